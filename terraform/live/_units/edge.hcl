# One load balancer for the apps of an environment. To add an app, name it among `apps` in env.hcl
# and apply this unit.

locals {
  env = read_terragrunt_config(find_in_parent_folders("env.hcl")).locals
}

terraform {
  source = "${get_repo_root()}/terraform/modules//edge"
}

dependency "network" {
  config_path = "${dirname(find_in_parent_folders("root.hcl"))}/${local.env.network}"

  # Never for plan: a plan made with mocks carries them into the apply.
  mock_outputs_allowed_terraform_commands = ["validate"]
  mock_outputs = {
    vpc_id                     = "vpc-mock"
    subnet_ids                 = ["subnet-mock1", "subnet-mock2"]
    balancer_security_group_id = "sg-mock"
    app_port                   = 8080
    health_port                = 8079
  }
}

inputs = merge(local.env.edge_values, {
  name               = local.env.name
  vpc_id             = dependency.network.outputs.vpc_id
  subnet_ids         = dependency.network.outputs.subnet_ids
  security_group_ids = [dependency.network.outputs.balancer_security_group_id]
  apps               = { for app in local.env.apps : app => { port = dependency.network.outputs.app_port } }

  # The network's port, so that nobody asks where nothing was opened.
  health_check = {
    port = local.env.health.port == null ? null : dependency.network.outputs.health_port
    path = local.env.health.path
  }
})
