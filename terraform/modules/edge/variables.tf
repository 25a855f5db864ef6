variable "name" {
  description = "Name of the load balancer."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", var.name))
    error_message = "`name` is 1 to 32 lower case letters, digits and inner hyphens."
  }
}

variable "vpc_id" {
  description = "Network of the target groups."
  type        = string

  validation {
    condition     = var.vpc_id != ""
    error_message = "`vpc_id` is empty."
  }
}

variable "subnet_ids" {
  description = "Subnets of the load balancer, in at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "A load balancer needs subnets in at least two zones."
  }
}

variable "security_group_ids" {
  description = "Security groups of the load balancer."
  type        = list(string)

  validation {
    condition     = length(var.security_group_ids) > 0
    error_message = "The load balancer needs a security group."
  }
}

variable "apps" {
  description = "Apps behind this load balancer, by name (`demo/todo`). Each gets a target group and a rule for its `hosts`; without hosts `todo.*` for `demo/todo`. An app with a `health_path` or a `health_port` of its own is asked there, on its own port unless it names another; the others as `health_check` says."
  type = map(object({
    hosts       = optional(list(string))
    port        = optional(number, 8080)
    health_path = optional(string)
    health_port = optional(number)
  }))

  validation {
    condition     = alltrue([for app, _ in var.apps : can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(/[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", app))])
    error_message = "An app's name is lower case letters, digits and inner hyphens, in segments divided by `/`."
  }

  validation {
    condition = alltrue([
      for app in var.apps : app.port >= 1 && app.port <= 65535 &&
      (app.health_path == null || try(startswith(app.health_path, "/"), false)) &&
      (app.health_port == null || try(app.health_port >= 1 && app.health_port <= 65535, false))
    ])
    error_message = "An app's `port` and `health_port` are from 1 to 65535, and its `health_path` begins with `/`."
  }

  validation {
    condition     = alltrue([for app in var.apps : app.hosts == null || try(length(app.hosts) >= 1 && length(app.hosts) <= 5, false)])
    error_message = "An app has 1 to 5 `hosts`, or none are given."
  }
}

variable "deregistration_delay" {
  description = "Seconds that a target which is leaving may still finish its requests."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.deregistration_delay >= 0 && var.deregistration_delay <= 3600 && floor(var.deregistration_delay) == var.deregistration_delay
    error_message = "`deregistration_delay` is between 0 and 3600 seconds."
  }
}

variable "health_check" {
  description = "Where a target is asked, how often, in seconds, and how many answers in a row decide. Without a `port` on the app's own; for images of packer/ it is the boot suite's, 8079 with the path `/healthz`, which asks the app as well."
  type = object({
    port                = optional(number)
    path                = optional(string, "/readyz")
    interval            = optional(number, 10)
    timeout             = optional(number, 5)
    healthy_threshold   = optional(number, 2)
    unhealthy_threshold = optional(number, 2)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.health_check.interval >= 5 && var.health_check.interval <= 300 && var.health_check.timeout < var.health_check.interval
    error_message = "The `interval` is between 5 and 300 seconds, and the `timeout` is shorter."
  }

  validation {
    condition     = startswith(var.health_check.path, "/") && (var.health_check.port == null || try(var.health_check.port >= 1 && var.health_check.port <= 65535, false))
    error_message = "The `port` is from 1 to 65535, and the `path` begins with `/`."
  }
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the load balancer. On for anything that matters."
  type        = bool
  default     = true
  nullable    = false
}
