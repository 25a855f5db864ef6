include "root" {
  path = find_in_parent_folders("root.hcl")
}

locals {
  env = read_terragrunt_config(find_in_parent_folders("env.hcl")).locals
}

terraform {
  source = "${get_repo_root()}/terraform/modules//network"
}

inputs = {
  name     = "demo"
  zones    = local.env.zones
  app_port = local.env.port
}
