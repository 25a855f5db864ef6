# The releases of one member of a replica set: a group of one, in the subnet where its volume is.
# amid applies it; which member it is follows from the folder's path.

locals {
  app    = trimprefix(dirname(get_path_from_repo_root()), "terraform/live/")
  member = basename(local.app)

  # As in app.hcl: unreadable text is the module's to refuse.
  manifest = try(file("${get_repo_root()}/desired/${local.app}.json"), "")
}

terraform {
  source = "${get_repo_root()}/terraform/modules//releases"
}

dependency "data" {
  config_path = "${dirname(dirname(get_terragrunt_dir()))}/data"

  # Never for plan: a plan made with mocks carries them into the apply.
  mock_outputs_allowed_terraform_commands = ["validate"]
  mock_outputs = {
    security_group_id = "sg-mock"
    members           = { (local.member) = { subnet_id = "subnet-mock", instance_profile_name = "mock" } }
  }
}

inputs = {
  app      = local.app
  manifest = local.manifest

  subnet_ids            = [dependency.data.outputs.members[local.member].subnet_id]
  security_group_ids    = [dependency.data.outputs.security_group_id]
  instance_profile_name = dependency.data.outputs.members[local.member].instance_profile_name
  health_check_type     = "EC2"

  # The machine stops its database, lets go of the volume, and says when it may go.
  lifecycle_hooks = {
    leave = {
      transition        = "autoscaling:EC2_INSTANCE_TERMINATING"
      default_result    = "CONTINUE"
      heartbeat_timeout = 600
    }
  }
}
