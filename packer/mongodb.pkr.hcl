# A member of the app's database on top of the base.

locals {
  mongodb = {
    source_ami = var.base_ami
  }
}
