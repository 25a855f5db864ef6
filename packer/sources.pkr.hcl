# The two ways to build an image, and what all images have in common.

packer {
  required_version = ">= 1.11.0"

  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = "~> 1.8"
    }
  }
}

locals {
  # Characters of a name in AWS are fewer than those of a build.
  name_suffix = replace(var.build, "/[^A-Za-z0-9.-]/", "-")

  # In a chroot packer is root already, and there may be no sudo.
  as_root = var.builder == "chroot" ? "" : "sudo"

  run = "cd /tmp && ${local.as_root} env {{ .Vars }} bash /tmp/amid-image/provision/run.sh"
}

source "amazon-chroot" "image" {
  region              = var.region
  custom_endpoint_ec2 = var.ec2_endpoint

  ami_regions      = var.copy_to_regions
  ami_architecture = var.architecture
  ena_support      = true
  imds_support     = "v2.0"

  device_path      = var.device
  nvme_device_path = var.nvme_device
  mount_options    = ["noatime"]

  root_volume_encrypt_boot = true
  root_volume_kms_key_id   = var.kms_key_id

  # The image's own resolv.conf is a link into /run, which a chroot lacks. Packer
  # would put a file in the link's place and leave nothing there afterwards.
  copy_files = []
  post_mount_commands = [
    "mkdir -p {{ .MountPath }}/run/systemd/resolve",
    "cp -L /etc/resolv.conf {{ .MountPath }}/run/systemd/resolve/stub-resolv.conf",
  ]
}

source "amazon-ebs" "image" {
  region              = var.region
  custom_endpoint_ec2 = var.ec2_endpoint

  ami_regions   = var.copy_to_regions
  instance_type = var.instance_type
  subnet_id     = var.subnet_id
  ena_support   = true
  imds_support  = "v2.0"

  encrypt_boot = true
  kms_key_id   = var.kms_key_id

  ssh_username              = "admin"
  ssh_clear_authorized_keys = true

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }
}
