# What the units of this environment have in common.

locals {
  region = get_env("AWS_REGION", "us-east-1")

  # Terraform refuses every other account. Empty: whichever the credentials belong to.
  account_id = ""

  # Names of buckets are the world's: choose your own.
  state_bucket = "amid-demo-terraform-state"

  zones = ["${local.region}a", "${local.region}b"]
  port  = 8080

  # Units that the apps' units look at.
  network = "demo/network"
  edge    = "demo/todo/edge"

  tags = {
    environment = "demo"
  }
}
