# Production: everything that differs between this environment and another. The units below are the
# same everywhere.

locals {
  name   = "prod"
  region = "eu-central-1"

  # Terraform refuses every other account: put yours here.
  account_id = "123456789012"

  # Names of buckets are the world's: choose your own.
  state_bucket = "amid-prod-terraform-state"

  zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  port  = 8080
  apps  = ["prod/todo"]

  # What the load balancer asks: the boot suite of packer's images, which asks the app as well. An
  # image without it is asked on the app's own port: { port = null, path = "/readyz" }.
  health = { port = 8079, path = "/healthz" }

  # Units that others look at.
  network    = "prod/network"
  edge       = "prod/todo/edge"
  controller = "prod/controller"

  tags = {
    environment = "prod"
  }

  network_values = {
    cidr_block      = "10.40.0.0/16"
    private_subnets = true
    nat_gateways    = "each_zone"
  }

  edge_values = {
    deletion_protection  = true
    deregistration_delay = 30
  }

  mongodb_values = {
    members   = ["a", "b", "c"]
    volume    = { size = 200, iops = 6000, throughput = 250 }
    snapshots = { time = "02:30", keep = 30 }

    # Snapshots by member, only while one is restored: see docs/mongodb.md.
    restore = {}
  }

  controller_values = {
    ami           = "ami-00000000000000001"
    instance_type = "t3.large"
    repository    = "https://git.example.com/you/infrastructure.git"
    branch        = "main"
    cleanup       = true
  }
}
