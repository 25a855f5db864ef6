# The base of all images: Debian 12, brought up to date, with what every machine has.

locals {
  base = {
    source_ami = var.debian_ami
  }
}
