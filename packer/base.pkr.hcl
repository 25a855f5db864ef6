# The base of all images: Debian 12, brought up to date, with what every machine has.

build {
  name = "base"

  dynamic "source" {
    for_each = ["source.amazon-${var.builder}.image"]
    labels   = [source.value]

    content {
      name            = "base"
      ami_name        = "base-${local.name_suffix}"
      ami_description = "base ${var.release_version} on ${coalesce(var.debian_ami, "nothing")}"
      source_ami      = var.debian_ami

      tags = merge(local.tags, {
        "Name"      = "base-${local.name_suffix}"
        "amid:kind" = "base"
        "amid:base" = var.debian_ami
      })

      snapshot_tags = merge(local.tags, {
        "Name"      = "base-${local.name_suffix}"
        "amid:kind" = "base"
        "amid:base" = var.debian_ami
      })
    }
  }

  # scp copies into a folder that is there.
  provisioner "shell" {
    inline = ["mkdir -p /tmp/amid-image"]
  }

  provisioner "file" {
    source      = "${var.stage}/"
    destination = "/tmp/amid-image"
  }

  # Provisions, cleans, and runs the image suite; a red suite is a failed build.
  provisioner "shell" {
    inline           = [":"]
    execute_command  = local.run
    environment_vars = concat(local.environment, ["AMID_KIND=base", "AMID_BASE=${var.debian_ami}"])
  }

  provisioner "file" {
    direction   = "download"
    source      = "/etc/image-release.json"
    destination = "${var.output}/image-release.json"
  }

  post-processors {
    # What comes after knows the build by this file alone.
    post-processor "manifest" {
      output = "${var.output}/packer-manifest.json"

      custom_data = {
        kind    = "base"
        base    = var.debian_ami
        commit  = var.commit
        build   = var.build
        version = var.release_version
      }
    }

    # Adds the digest of the suite's result to the manifest, the image and its
    # snapshots. Only now is there an image to tag.
    post-processor "shell-local" {
      command = "${path.root}/seal.sh ${var.output}"
    }
  }
}
