# What a build is told. packer/build.sh fills in the second half; the first half
# belongs into a file of yours, pins.auto.pkrvars.hcl or another.

variable "region" {
  description = "Region that images are built and registered in."
  type        = string
  default     = "us-east-1"
}

variable "ec2_endpoint" {
  description = "An emulator in place of EC2, for tests; it answers for the metadata of the build instance, too. Null: AWS itself."
  type        = string
  default     = null
}

variable "copy_to_regions" {
  description = "Further regions that each image is copied to."
  type        = list(string)
  default     = []
}

variable "builder" {
  description = "`chroot`: on an EC2 instance, in a volume of its own, about a minute. `ebs`: from anywhere, on an instance that packer launches, about five."
  type        = string
  default     = "chroot"

  validation {
    condition     = contains(["chroot", "ebs"], var.builder)
    error_message = "The `builder` is `chroot` or `ebs`."
  }
}

variable "architecture" {
  description = "Architecture of the images: `x86_64` or `arm64`."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The `architecture` is `x86_64` or `arm64`."
  }
}

variable "debian_ami" {
  description = "Debian 12's own image, which `base` is built from. An id, never a search: what is built tomorrow is what was tested today."
  type        = string
  default     = null

  validation {
    condition     = var.debian_ami == null || can(regex("^ami-[0-9a-f]{8,17}$", var.debian_ami))
    error_message = "The `debian_ami` is the id of an image, such as `ami-0123456789abcdef0`."
  }
}

variable "base_ami" {
  description = "The `base` image that the others are built from. Set by packer/pin.sh from the manifest of its build, and committed."
  type        = string
  default     = null

  validation {
    condition     = var.base_ami == null || can(regex("^ami-[0-9a-f]{8,17}$", var.base_ami))
    error_message = "The `base_ami` is the id of an image, such as `ami-0123456789abcdef0`."
  }
}

variable "nvme_device" {
  description = "chroot: where the volume's partitions appear on an instance with NVMe, which is every current one, without their number: packer puts the 1 behind it. Empty for older ones."
  type        = string
  default     = "/dev/nvme1n1p"

  validation {
    condition     = !can(regex("p[0-9]+$", var.nvme_device))
    error_message = "The `nvme_device` ends before the partition's number, such as `/dev/nvme1n1p`: packer puts the 1 behind it."
  }
}

variable "device" {
  description = "chroot: name that the volume is attached by."
  type        = string
  default     = "/dev/xvdf"
}

variable "instance_type" {
  description = "ebs: type of the instance that packer launches."
  type        = string
  default     = "t3.small"
}

variable "subnet_id" {
  description = "ebs: subnet of that instance. Null: the default one."
  type        = string
  default     = null
}

variable "kms_key_id" {
  description = "Key that snapshots are encrypted with. Null: the region's own."
  type        = string
  default     = null
}

# --- From packer/build.sh ---

variable "kind" {
  description = "Which image."
  type        = string

  validation {
    condition     = contains(["base", "app", "mongodb", "controller"], var.kind)
    error_message = "The `kind` is `base`, `app`, `mongodb` or `controller`."
  }
}

variable "stage" {
  description = "Folder made by packer/stage.sh: all that is brought into the image."
  type        = string
}

variable "output" {
  description = "Folder for what the build leaves: the manifest, and the image's release file."
  type        = string
}

variable "commit" {
  description = "Commit of what is built, 40 hex digits; `-dirty` behind it when there were changes besides."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{40}(-dirty)?$", var.commit))
    error_message = "The `commit` is 40 hex digits, perhaps with `-dirty` behind."
  }
}

variable "build" {
  description = "Name of this build: time and a random part, or the number that CI gave it."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._:-]{1,64}$", var.build))
    error_message = "The `build` is 1 to 64 letters, digits, `.`, `_`, `:` and `-`."
  }
}

variable "release_version" {
  description = "Version of what the image holds."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z.+~-]{0,63}$", var.release_version))
    error_message = "The `release_version` is a version such as `1.42.0` or `1.42.0+9f3c2e1`."
  }
}
