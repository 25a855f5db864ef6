# The sample app on top of the base.

locals {
  app = {
    source_ami = var.base_ami
  }
}
