variable "name" {
  description = "Name of the network, for example the environment's."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", var.name))
    error_message = "`name` is 1 to 32 lower case letters, digits and inner hyphens."
  }
}

variable "cidr_block" {
  description = "Addresses of the network. Each zone's subnet gets one of 16 equal parts."
  type        = string
  default     = "10.20.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrsubnet(var.cidr_block, 4, 15)) && try(tonumber(split("/", var.cidr_block)[1]) <= 24, false)
    error_message = "`cidr_block` is an IPv4 range of /24 or larger, for example `10.20.0.0/16`."
  }
}

variable "zones" {
  description = "Availability zones, one subnet in each. A load balancer needs at least two."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 16 && length(distinct(var.zones)) == length(var.zones)
    error_message = "`zones` names 2 to 16 different availability zones."
  }
}

variable "private_subnets" {
  description = "Whether each zone has a private subnet too. Then at most 8 zones."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.private_subnets || length(var.zones) <= 8
    error_message = "With private subnets there are at most 8 zones: each takes two of the 16 parts of `cidr_block`."
  }
}

variable "nat_gateways" {
  description = "How the private subnets reach the internet: `none`, `one` NAT gateway for all (cheap; its zone is a single point of failure), or one in `each_zone`."
  type        = string
  default     = "none"
  nullable    = false

  validation {
    condition     = contains(["none", "one", "each_zone"], var.nat_gateways)
    error_message = "`nat_gateways` is `none`, `one` or `each_zone`."
  }
}

variable "app_port" {
  description = "Port that the apps listen on. The balancer alone reaches it."
  type        = number
  default     = 8080
  nullable    = false

  validation {
    condition     = var.app_port >= 1 && var.app_port <= 65535 && floor(var.app_port) == var.app_port
    error_message = "`app_port` is a port number."
  }
}

variable "health_port" {
  description = "Port that the balancer asks for the machines' health, where that is not `app_port`: 8079 for the boot suite of images of packer/. Null: none."
  type        = number
  default     = null

  validation {
    condition     = var.health_port == null || try(var.health_port >= 1 && var.health_port <= 65535 && floor(var.health_port) == var.health_port, false)
    error_message = "`health_port` is a port number, or null."
  }
}

variable "ingress_cidr_blocks" {
  description = "Addresses from which the balancer may be reached."
  type        = list(string)
  default     = ["0.0.0.0/0"]
  nullable    = false

  validation {
    condition     = alltrue([for block in var.ingress_cidr_blocks : can(cidrhost(block, 0))])
    error_message = "`ingress_cidr_blocks` are address ranges such as `10.0.0.0/8`."
  }
}
