# --- What amid passes with every apply (TF_VAR_…), and what stands in for it by hand ---

variable "app" {
  description = "Name of the app: the manifest's path under `desired/` without `.json`, for example `demo/todo`."
  type        = string

  validation {
    condition     = length(var.app) <= 64 && can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(/[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", var.app))
    error_message = "An app's name is at most 64 characters: lower case letters, digits and inner hyphens, in segments divided by `/`."
  }
}

variable "manifest" {
  description = "Text of the app's manifest. Used only when `releases` is null, that is when a person runs terragrunt. Text, not a decoded value: terraform reads values from the environment as HCL, which knows no `\\b` and would take `$${…}` for a template."
  type        = string
  default     = null

  validation {
    condition     = var.releases != null || can(keys(jsondecode(var.manifest)))
    error_message = "Without `releases` the manifest says what there should be, and it is missing or not a JSON object: check the file under `desired/` with `amid validate`."
  }

  validation {
    condition = var.releases != null || can([
      jsondecode(var.manifest).ami,
      jsondecode(var.manifest).instance_types[0],
      jsondecode(var.manifest).min_size,
      jsondecode(var.manifest).max_size,
    ])
    error_message = "The manifest needs `ami`, `instance_types`, `min_size` and `max_size`: `amid validate` says what is missing where."
  }
}

variable "releases" {
  description = "Releases that shall exist, by key. `settings` is the canonical text of what the manifest says of a machine; `desired` counts at creation only; `pin` keeps the group at least that large; `drain` empties it. Null: the one release that `manifest` asks for."
  type = map(object({
    settings = string
    min_size = number
    max_size = number
    desired  = number
    pin      = optional(number, 0)
    drain    = optional(bool, false)
  }))
  default = null

  validation {
    condition = alltrue([
      for release in coalesce(var.releases, {}) : alltrue([
        for size in [release.min_size, release.max_size, release.desired, release.pin] : size >= 0 && floor(size) == size
      ])
    ])
    error_message = "Sizes are whole numbers from 0 up."
  }

  validation {
    condition     = alltrue([for release in coalesce(var.releases, {}) : release.min_size <= release.max_size])
    error_message = "The `min_size` of a release is above its `max_size`."
  }

  validation {
    condition = alltrue([
      for release in coalesce(var.releases, {}) :
      can(regex("^ami-", jsondecode(release.settings).ami)) && can(jsondecode(release.settings).instance_types[0])
    ])
    error_message = "The `settings` of a release are the JSON text of an object with at least `ami` and `instance_types`."
  }
}

variable "may_remove" {
  description = "Names of live groups that this apply may leave out. Empty, except for the one step of a roll that removes a group."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "memory" {
  description = "Text that the state keeps and gives back: what amid must not forget even when its disk is lost. Null, by hand: what the state holds is kept."
  type        = string
  default     = null
}

variable "adopt" {
  description = "Launch templates and groups, by release key, that exist in AWS but not in state: an apply was killed before the state was written."
  type = map(object({
    template_id = string
    group_name  = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for adopted in var.adopt : startswith(adopted.template_id, "lt-")])
    error_message = "`template_id` is the id of a launch template, for example `lt-0123456789abcdef0`."
  }
}

variable "state" {
  description = "S3 backend settings of this unit's own state (`bucket`, `key`, `region`, …). Read only when `memory` is null."
  type        = any
  default     = null

  validation {
    condition     = var.state == null || can([var.state.bucket, var.state.key, var.state.region])
    error_message = "`state` holds the settings of an S3 backend: at least `bucket`, `key` and `region`."
  }
}

# --- Wiring: what a new release is made with. Live releases keep what they were made with. ---

variable "subnet_ids" {
  description = "Subnets that the instances start in."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "At least one subnet."
  }
}

variable "target_group_arns" {
  description = "Target groups that the instances are registered in. Empty for apps without a load balancer."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "security_group_ids" {
  description = "Security groups of the instances."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "instance_profile_name" {
  description = "IAM instance profile of the instances. It needs to read what the manifest's `secrets` refer to."
  type        = string
  default     = null
}

variable "health_check_type" {
  description = "What the group replaces instances for: `ELB` (failed target health checks too) or `EC2`."
  type        = string
  default     = "ELB"
  nullable    = false

  validation {
    condition     = contains(["ELB", "EC2"], var.health_check_type)
    error_message = "`health_check_type` is `ELB` or `EC2`."
  }
}

variable "health_check_grace_period" {
  description = "Seconds that a new instance has before failed health checks count."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.health_check_grace_period >= 0 && floor(var.health_check_grace_period) == var.health_check_grace_period
    error_message = "`health_check_grace_period` is a whole number of seconds from 0 up."
  }
}

variable "scaling_policies" {
  description = "Target tracking policies, by name. `metric` is a predefined metric type such as `ASGAverageCPUUtilization`."
  type = map(object({
    metric           = string
    target_value     = number
    resource_label   = optional(string)
    disable_scale_in = optional(bool, false)
    warmup_seconds   = optional(number)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name, _ in var.scaling_policies : can(regex("^[A-Za-z0-9_.-]{1,64}$", name))])
    error_message = "The name of a scaling policy is 1 to 64 letters, digits, `_`, `.` and `-`."
  }

  validation {
    condition     = alltrue([for policy in var.scaling_policies : policy.target_value > 0])
    error_message = "The `target_value` of a scaling policy is above 0."
  }
}

variable "schedules" {
  description = "Scheduled sizes, by name. `recurrence` is a cron expression; sizes left out stay as they are. A schedule that sets `min_size` or `max_size` moves the group away from its manifest: give such an app `on_drift: \"report\"`."
  type = map(object({
    recurrence       = string
    time_zone        = optional(string, "Etc/UTC")
    min_size         = optional(number)
    max_size         = optional(number)
    desired_capacity = optional(number)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name, _ in var.schedules : can(regex("^[A-Za-z0-9_.-]{1,64}$", name))])
    error_message = "The name of a schedule is 1 to 64 letters, digits, `_`, `.` and `-`."
  }

  validation {
    condition = alltrue([
      for schedule in var.schedules : length(compact([schedule.min_size, schedule.max_size, schedule.desired_capacity])) > 0
    ])
    error_message = "A schedule sets at least one of `min_size`, `max_size` and `desired_capacity`."
  }
}

variable "lifecycle_hooks" {
  description = "Lifecycle hooks, by name. They are made together with the group, so that its first instances have them."
  type = map(object({
    transition              = string
    default_result          = optional(string, "ABANDON")
    heartbeat_timeout       = optional(number, 300)
    notification_target_arn = optional(string)
    role_arn                = optional(string)
    notification_metadata   = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for hook in var.lifecycle_hooks :
      contains(["autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"], hook.transition)
    ])
    error_message = "The `transition` of a hook is `autoscaling:EC2_INSTANCE_LAUNCHING` or `autoscaling:EC2_INSTANCE_TERMINATING`."
  }

  validation {
    condition     = alltrue([for hook in var.lifecycle_hooks : contains(["ABANDON", "CONTINUE"], hook.default_result)])
    error_message = "The `default_result` of a hook is `ABANDON` or `CONTINUE`."
  }

  validation {
    condition     = alltrue([for hook in var.lifecycle_hooks : hook.heartbeat_timeout >= 30 && hook.heartbeat_timeout <= 7200])
    error_message = "The `heartbeat_timeout` of a hook is between 30 and 7200 seconds."
  }
}

variable "tags" {
  description = "Further tags for templates, groups, instances and volumes."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, _ in var.tags : !startswith(name, "amid:") && !startswith(name, "aws:")])
    error_message = "Tags that begin with `amid:` or `aws:` are not yours to set."
  }
}
