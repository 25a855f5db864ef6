# The sample app on top of the base.

build {
  name = "app"

  dynamic "source" {
    for_each = ["source.amazon-${var.builder}.image"]
    labels   = [source.value]

    content {
      name            = "app"
      ami_name        = "app-${local.name_suffix}"
      ami_description = "app ${var.release_version} on ${coalesce(var.base_ami, "nothing")}"
      source_ami      = var.base_ami

      tags = merge(local.tags, {
        "Name"      = "app-${local.name_suffix}"
        "amid:kind" = "app"
        "amid:base" = var.base_ami
      })

      snapshot_tags = merge(local.tags, {
        "Name"      = "app-${local.name_suffix}"
        "amid:kind" = "app"
        "amid:base" = var.base_ami
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
    environment_vars = concat(local.environment, ["AMID_KIND=app", "AMID_BASE=${var.base_ami}"])
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
        kind    = "app"
        base    = var.base_ami
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
