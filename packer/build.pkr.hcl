# How every image is built. What an image is made from stands in the file of its
# name, what happens in it in provision/.

locals {
  images = {
    base       = local.base
    app        = local.app
    mongodb    = local.mongodb
    controller = local.controller
  }
  image = local.images[var.kind]
  name  = "${var.kind}-${local.name_suffix}"

  # AWS records none of this for an image that was built in a chroot: it is
  # registered from a snapshot. amid's clean-up reads it, and so do people.
  tags = {
    "Name"         = local.name
    "amid:kind"    = var.kind
    "amid:base"    = local.image.source_ami
    "amid:commit"  = var.commit
    "amid:build"   = var.build
    "amid:version" = var.release_version
  }
}

build {
  name = "image"

  dynamic "source" {
    for_each = ["source.amazon-${var.builder}.image"]
    labels   = [source.value]

    content {
      ami_name        = local.name
      ami_description = "${var.kind} ${var.release_version} on ${coalesce(local.image.source_ami, "nothing")}"
      source_ami      = local.image.source_ami
      tags            = local.tags
      snapshot_tags   = local.tags
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
    inline          = [":"]
    execute_command = local.run
    environment_vars = [
      "AMID_KIND=${var.kind}",
      "AMID_BASE=${local.image.source_ami}",
      "AMID_COMMIT=${var.commit}",
      "AMID_BUILD=${var.build}",
      "AMID_VERSION=${var.release_version}",
    ]
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
        kind    = var.kind
        base    = local.image.source_ami
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
