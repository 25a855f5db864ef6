# The network of an environment.

locals {
  env = read_terragrunt_config(find_in_parent_folders("env.hcl")).locals
}

terraform {
  source = "${get_repo_root()}/terraform/modules//network"
}

inputs = merge(local.env.network_values, {
  name        = local.env.name
  zones       = local.env.zones
  app_port    = local.env.port
  health_port = local.env.health.port
})
