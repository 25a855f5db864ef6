# The releases of one app behind the load balancer. amid applies such a unit; people only look at it.
# Everything here follows from the folder's path, so an app more is a copy of its folder, a manifest
# `desired/<environment>/<app>.json`, and a name among `apps` in env.hcl.

locals {
  env = read_terragrunt_config(find_in_parent_folders("env.hcl")).locals
  app = trimprefix(dirname(get_path_from_repo_root()), "terraform/live/")

  # Unreadable text is the module's to refuse, and only where it is needed: a roll goes on while a
  # later commit has broken the manifest.
  manifest = try(file("${get_repo_root()}/desired/${local.app}.json"), "")
  balanced = try(jsondecode(local.manifest).health.type, "load_balancer") != "none"
}

terraform {
  source = "${get_repo_root()}/terraform/modules//releases"
}

dependency "network" {
  config_path = "${dirname(find_in_parent_folders("root.hcl"))}/${local.env.network}"

  # Never for plan: a plan made with mocks carries them into the apply.
  mock_outputs_allowed_terraform_commands = ["validate"]
  mock_outputs = {
    private_subnet_ids    = ["subnet-mock1", "subnet-mock2"]
    app_security_group_id = "sg-mock"
  }
}

dependency "edge" {
  config_path = "${dirname(find_in_parent_folders("root.hcl"))}/${local.env.edge}"

  mock_outputs_allowed_terraform_commands = ["validate"]
  mock_outputs = {
    target_group_arns = { (local.app) = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/mock/1" }
  }
}

dependency "role" {
  config_path = "${dirname(get_terragrunt_dir())}/role"

  mock_outputs_allowed_terraform_commands = ["validate"]
  mock_outputs = {
    instance_profile_name = "mock"
  }
}

inputs = {
  app      = local.app
  manifest = local.manifest

  subnet_ids            = dependency.network.outputs.private_subnet_ids
  security_group_ids    = [dependency.network.outputs.app_security_group_id]
  instance_profile_name = dependency.role.outputs.instance_profile_name
  target_group_arns     = local.balanced ? [dependency.edge.outputs.target_group_arns[local.app]] : []
  health_check_type     = local.balanced ? "ELB" : "EC2"
}
