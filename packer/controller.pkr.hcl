# amid itself on top of the base.

locals {
  controller = {
    source_ami = var.base_ami
  }
}
