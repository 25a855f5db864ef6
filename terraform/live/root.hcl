# What every unit has in common: where its state is, and which AWS it talks to.
#
# `AWS_ENDPOINT_URL` in the environment is the one thing that turns on an emulator's settings.

locals {
  env       = read_terragrunt_config(find_in_parent_folders("env.hcl")).locals
  emulated  = get_env("AWS_ENDPOINT_URL", "") != ""
  accounts  = [for id in [local.env.account_id] : id if id != "" && !local.emulated]
  state_key = "${path_relative_to_include()}/terraform.tfstate"

  # terraform's own S3 backend settings. The module `releases` reads its state back with the same.
  state = merge(
    {
      bucket       = local.env.state_bucket
      key          = local.state_key
      region       = local.env.region
      encrypt      = true
      use_lockfile = true
    },
    {
      for name, value in {
        endpoints                   = { s3 = get_env("AWS_ENDPOINT_URL", "") }
        use_path_style              = true
        skip_credentials_validation = true
        skip_metadata_api_check     = true
        skip_region_validation      = true
        skip_requesting_account_id  = true
      } : name => value if local.emulated
    },
  )
}

remote_state {
  backend = "s3"

  generate = {
    path      = "backend.tf"
    if_exists = "overwrite_terragrunt"
  }

  # The bucket policy that terragrunt writes refuses plain HTTP, which is all that an emulator speaks.
  config = merge(local.state, { for name in ["skip_bucket_enforced_tls"] : name => true if local.emulated })
}

generate "provider" {
  path      = "provider.tf"
  if_exists = "overwrite_terragrunt"

  contents = <<-EOF
    provider "aws" {
      region = "${local.env.region}"
      %{~if length(local.accounts) > 0~}

      allowed_account_ids = ${jsonencode(local.accounts)}
      %{~endif~}
      %{~if local.emulated~}

      s3_use_path_style           = true
      skip_credentials_validation = true
      skip_metadata_api_check     = true
      skip_region_validation      = true
      skip_requesting_account_id  = true
      %{~endif~}

      default_tags {
        tags = ${jsonencode(local.env.tags)}
      }
    }
  EOF
}

inputs = {
  state = local.state
}
