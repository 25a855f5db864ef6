variable "app" {
  description = "Name of the app whose machines have this role, such as `prod/todo`; in AWS `/` becomes `-`."
  type        = string

  validation {
    condition     = length(var.app) <= 64 && can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(/[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", var.app))
    error_message = "An app's name is at most 64 characters: lower case letters, digits and inner hyphens, in segments divided by `/`."
  }
}

variable "parameter_prefix" {
  description = "Path in the parameter store that the machines may read secrets below. Without it the app's own: `/prod/todo`."
  type        = string
  default     = null

  validation {
    condition     = var.parameter_prefix == null || can(regex("^(/[a-zA-Z0-9_.-]+)+$", var.parameter_prefix))
    error_message = "`parameter_prefix` begins with `/` and does not end with one."
  }
}

variable "tags" {
  description = "Further tags."
  type        = map(string)
  default     = {}
  nullable    = false
}
