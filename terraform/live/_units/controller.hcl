# amid's own machine. Applied by people, never by amid: to upgrade it, put another `ami` into env.hcl
# and apply. The new machine starts when the old one has finished what it was applying.

locals {
  env = read_terragrunt_config(find_in_parent_folders("env.hcl")).locals
}

terraform {
  source = "${get_repo_root()}/terraform/modules//controller"
}

dependency "network" {
  config_path = "${dirname(find_in_parent_folders("root.hcl"))}/${local.env.network}"

  # Never for plan: a plan made with mocks carries them into the apply.
  mock_outputs_allowed_terraform_commands = ["validate"]
  mock_outputs = {
    vpc_id             = "vpc-mock"
    private_subnet_ids = ["subnet-mock1", "subnet-mock2"]
  }
}

inputs = {
  name          = "${local.env.name}-amid"
  ami           = local.env.controller_values.ami
  instance_type = local.env.controller_values.instance_type
  cleanup       = local.env.controller_values.cleanup

  vpc_id     = dependency.network.outputs.vpc_id
  subnet_ids = dependency.network.outputs.private_subnet_ids

  app_prefixes     = ["${local.env.name}/"]
  state_bucket     = local.env.state_bucket
  parameter_prefix = "/${local.env.name}/amid"

  # The roles that this environment's apps and members have by their modules' own rule.
  instance_role_names = concat(
    [for app in local.env.apps : replace(app, "/", "-")],
    ["${local.env.name}-mongodb-*-member"],
  )

  secrets = { GIT_TOKEN = "ssm:/${local.env.name}/amid/git_token" }

  config = {
    repository = {
      url        = local.env.controller_values.repository
      branch     = local.env.controller_values.branch
      token_file = "/run/credentials/amid.service/secrets_GIT_TOKEN"
    }
    state_dir = "/var/lib/amid"
    targets = [{
      prefix     = "${local.env.name}/"
      account_id = local.env.account_id
      region     = local.env.region
    }]
  }
}
