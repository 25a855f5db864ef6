variable "app" {
  description = "Name of the replica set, for example `prod/mongodb`. Its members are the apps `prod/mongodb/<member>`; in AWS `/` becomes `-`."
  type        = string

  validation {
    condition     = length(var.app) <= 40 && can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(/[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", var.app))
    error_message = "The name is at most 40 characters: lower case letters, digits and inner hyphens, in segments divided by `/`."
  }
}

variable "members" {
  description = "Members, by name, in the order in which clients are told of them: the subnet that a member lives in for good, and on restoring the snapshot that its volume is made from. Sizes in GiB, `throughput` in MiB/s."
  type = map(object({
    subnet_id   = string
    size        = optional(number, 20)
    iops        = optional(number, 3000)
    throughput  = optional(number, 125)
    snapshot_id = optional(string)
  }))

  validation {
    condition     = alltrue([for name, _ in var.members : can(regex("^[a-z]([a-z0-9-]{0,13}[a-z0-9])?$", name))])
    error_message = "A member's name is 1 to 15 lower case letters, digits and inner hyphens, and begins with a letter."
  }

  validation {
    condition     = contains([1, 3, 5, 7], length(var.members))
    error_message = "A replica set has 1, 3, 5 or 7 members: with an even number the loss of one costs as much as with one member less."
  }

  validation {
    condition = alltrue([
      for member in var.members :
      member.size >= 1 && member.size <= 16384 && member.iops >= 3000 && member.iops <= 16000 && member.throughput >= 125 && member.throughput <= 1000
    ])
    error_message = "A gp3 volume has 1 to 16384 GiB, 3000 to 16000 IOPS and 125 to 1000 MiB/s."
  }
}

variable "vpc_id" {
  description = "Network of the members."
  type        = string
}

variable "dns_zone" {
  description = "Private DNS zone that is made for this replica set. A member's name in it never changes, whatever machine it is."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.dns_zone))
    error_message = "`dns_zone` is a domain name of lower case letters, such as `mongodb.prod.internal`."
  }
}

variable "client_security_group_ids" {
  description = "Who may talk to the database, by name: security groups of the apps."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "gate_security_group_ids" {
  description = "Who may ask the members' gate, by name: the security group of amid."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "kms_key_arn" {
  description = "Key that encrypts the volumes. Null: the account's own key for EBS."
  type        = string
  default     = null
}

variable "parameter_prefix" {
  description = "Path in the parameter store that the members may read secrets below, such as `/prod/mongodb`."
  type        = string

  validation {
    condition     = can(regex("^(/[a-zA-Z0-9_.-]+)+$", var.parameter_prefix))
    error_message = "`parameter_prefix` begins with `/` and does not end with one."
  }
}

variable "snapshots" {
  description = "Daily snapshots of all volumes: when (`03:00`, UTC) and how many of each are kept. Null: none are made."
  type = object({
    time = optional(string, "03:00")
    keep = optional(number, 14)
  })
  default = {}

  validation {
    condition     = var.snapshots == null || (can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", var.snapshots.time)) && try(var.snapshots.keep >= 1 && var.snapshots.keep <= 1000, false))
    error_message = "`snapshots` has a `time` such as `03:00` and keeps 1 to 1000."
  }
}

variable "tags" {
  description = "Further tags."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, _ in var.tags : !startswith(name, "amid:") && !startswith(name, "aws:")])
    error_message = "Tags that begin with `amid:` or `aws:` are not yours to set."
  }
}
