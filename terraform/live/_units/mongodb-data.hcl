# What a replica set has that outlives its machines: volumes, names, roles. Applied by people, never
# by amid. To add a member, name it in env.hcl, apply this unit, and copy a member's folder.

locals {
  env = read_terragrunt_config(find_in_parent_folders("env.hcl")).locals
  app = trimprefix(dirname(get_path_from_repo_root()), "terraform/live/")
}

terraform {
  source = "${get_repo_root()}/terraform/modules//mongodb"
}

dependency "network" {
  config_path = "${dirname(find_in_parent_folders("root.hcl"))}/${local.env.network}"

  # Never for plan: a plan made with mocks carries them into the apply.
  mock_outputs_allowed_terraform_commands = ["validate"]
  mock_outputs = {
    vpc_id                = "vpc-mock"
    private_subnet_ids    = ["subnet-mock1", "subnet-mock2", "subnet-mock3"]
    app_security_group_id = "sg-mock"
  }
}

dependency "controller" {
  config_path = "${dirname(find_in_parent_folders("root.hcl"))}/${local.env.controller}"

  mock_outputs_allowed_terraform_commands = ["validate"]
  mock_outputs = {
    security_group_id = "sg-mock-amid"
  }
}

inputs = {
  app              = local.app
  vpc_id           = dependency.network.outputs.vpc_id
  dns_zone         = "mongodb.${local.env.name}.internal"
  parameter_prefix = "/${local.app}"

  # Emulators know nothing of snapshot policies.
  snapshots = get_env("AWS_ENDPOINT_URL", "") == "" ? local.env.mongodb_values.snapshots : null

  # The n-th member lives in the n-th zone, for good.
  members = {
    for index, name in local.env.mongodb_values.members : name => merge(local.env.mongodb_values.volume, {
      subnet_id   = dependency.network.outputs.private_subnet_ids[index]
      snapshot_id = lookup(local.env.mongodb_values.restore, name, null)
    })
  }

  client_security_group_ids = { apps = dependency.network.outputs.app_security_group_id }
  gate_security_group_ids   = { amid = dependency.controller.outputs.security_group_id }
}
