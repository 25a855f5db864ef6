variable "name" {
  description = "Name of everything here, for example `prod-amid`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$", var.name))
    error_message = "`name` is 1 to 24 lower case letters, digits and inner hyphens."
  }
}

variable "ami" {
  description = "Image of the kind `controller`. A new one replaces the machine, the old one first: nobody but people rolls amid itself."
  type        = string

  validation {
    condition     = can(regex("^ami-([0-9a-f]{8}|[0-9a-f]{17})$", var.ami))
    error_message = "`ami` is `ami-` and 8 or 17 hexadecimal digits."
  }
}

variable "instance_type" {
  description = "One terraform run takes about 700 MiB."
  type        = string
  default     = "t3.medium"
  nullable    = false
}

variable "disk_size" {
  description = "GiB of the machine's own disk. Each app's unit has a cache of terraform's providers there, some 700 MiB."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.disk_size >= 8 && var.disk_size <= 1000
    error_message = "`disk_size` is between 8 and 1000 GiB."
  }
}

variable "vpc_id" {
  description = "Network of the machine."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets with a way out: to AWS, and to the git server. With a state volume exactly one."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0 && (var.state_volume_size == null || length(var.subnet_ids) == 1)
    error_message = "At least one subnet, and with `state_volume_size` exactly one: a volume lives in one zone."
  }
}

variable "config" {
  description = "What `amid.json` holds, see docs/config.md. It ends up in the machine's user data: secrets are named in it, never written."
  type        = any

  validation {
    condition     = can([var.config.repository.url, var.config.state_dir, var.config.targets[0].account_id])
    error_message = "`config` has at least `repository`, `state_dir` and `targets`, see docs/config.md."
  }

  validation {
    condition     = try(var.config.state_dir, "") == "/var/lib/amid"
    error_message = "`state_dir` is `/var/lib/amid`, where the image expects it."
  }
}

variable "secrets" {
  description = "Secrets by name, as references below `parameter_prefix`: `ssm:/prod/amid/git_token`. The machine fetches them at boot; the config finds them as `/run/credentials/amid.service/secrets_GIT_TOKEN`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for reference in var.secrets : startswith(reference, "ssm:${var.parameter_prefix}/")])
    error_message = "A secret is a reference `ssm:` to a parameter below `parameter_prefix`; the machine's role reads no other."
  }
}

variable "parameter_prefix" {
  description = "Path in the parameter store that the machine may read secrets below, such as `/prod/amid`."
  type        = string

  validation {
    condition     = can(regex("^(/[a-zA-Z0-9_.-]+)+$", var.parameter_prefix))
    error_message = "`parameter_prefix` begins with `/` and does not end with one."
  }
}

variable "state_volume_size" {
  description = "GiB of a volume for the state directory, which then outlives the machine. Null: it lies on the machine's own disk, and losing it is survived."
  type        = number
  default     = null

  validation {
    condition     = var.state_volume_size == null || try(var.state_volume_size >= 1 && var.state_volume_size <= 1000, false)
    error_message = "`state_volume_size` is between 1 and 1000 GiB."
  }
}

variable "leave_timeout" {
  description = "Seconds that a machine which is replaced may take to finish a running apply. Longer than `stop_grace` in the config."
  type        = number
  default     = 1200
  nullable    = false

  validation {
    condition     = var.leave_timeout >= 60 && var.leave_timeout <= 7200
    error_message = "`leave_timeout` is between 60 and 7200 seconds."
  }
}

# --- What it may do ---

variable "app_prefixes" {
  description = "Prefixes of the apps that it steers, such as `prod/`: groups, templates and states of no other may be changed."
  type        = list(string)

  validation {
    condition     = length(var.app_prefixes) > 0 && alltrue([for prefix in var.app_prefixes : can(regex("^[a-z0-9][a-z0-9/-]*/$", prefix))])
    error_message = "Each of `app_prefixes` is the beginning of app names and ends with `/`."
  }
}

variable "app_units" {
  description = "What the folders of apps' units look like below a prefix, `*` for any text: only their states may be written. `*/app` is `live/prod/todo/app`, and not `live/prod/network`."
  type        = string
  default     = "*/app"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9*/_-]*[a-z0-9_-]$", var.app_units))
    error_message = "`app_units` does not end with `*` or `/`: it says how such a folder is called."
  }
}

variable "private_units" {
  description = "Folders below a prefix whose states nobody here may read: this unit's own."
  type        = list(string)
  default     = ["controller"]
  nullable    = false

  validation {
    condition     = length(var.private_units) > 0
    error_message = "At least this unit's own folder is private."
  }
}

variable "state_bucket" {
  description = "Bucket with terraform's states."
  type        = string
}

variable "instance_role_names" {
  description = "Roles that the apps' machines run with, `*` for any text: the only ones that amid may hand on. Names, because those units look at this one in turn."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.instance_role_names : can(regex("^[a-zA-Z0-9][a-zA-Z0-9_.-]*[*a-zA-Z0-9_.-]*$", name))])
    error_message = "`instance_role_names` are names of roles, not ARNs, and do not begin with `*`."
  }
}

variable "cleanup" {
  description = "Whether it may clean up images. Only those that our builds have tagged with `amid:kind`."
  type        = bool
  default     = false
  nullable    = false
}

variable "image_parameters" {
  description = "Parameters, `*` for any text, that may name images: clean-up reads those that launch templates refer to. No secure text is decrypted."
  type        = list(string)
  default     = ["*"]
  nullable    = false

  validation {
    condition     = length(var.image_parameters) > 0
    error_message = "At least one pattern, or clean-up could not learn which image a parameter names."
  }
}

variable "assume_role_arns" {
  description = "Roles in other accounts that it may take on: the `role_arn` of its targets."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "plan_principal_arns" {
  description = "Who may take on the role that only looks and plans, for previews of pull requests: a build server's role."
  type        = list(string)
  default     = []
  nullable    = false
}

# --- Doors: none unless asked for ---

variable "webhook" {
  description = "A public load balancer for webhooks, and nothing else: its subnets, certificate, and whose addresses reach it. The config's `webhook.listen` is `0.0.0.0:9465` then."
  type = object({
    subnet_ids          = list(string)
    certificate_arn     = string
    ingress_cidr_blocks = list(string)
  })
  default = null

  validation {
    condition     = var.webhook == null || try(var.config.webhook.listen, "") == "0.0.0.0:9465"
    error_message = "With `webhook` the config's `webhook.listen` is `0.0.0.0:9465`: the load balancer asks there."
  }
}

variable "page" {
  description = "An internal load balancer for page, status and metrics, behind the company's sign-on: subnets, certificate, whose addresses reach it, and the OpenID Connect client. `oidc_client_secret_parameter` names the parameter with its secret. The config's `http.listen` is `0.0.0.0:9464` then."
  type = object({
    subnet_ids          = list(string)
    certificate_arn     = string
    ingress_cidr_blocks = list(string)
    oidc = object({
      issuer                  = string
      authorization_endpoint  = string
      token_endpoint          = string
      user_info_endpoint      = string
      client_id               = string
      client_secret_parameter = string
    })
  })
  default = null

  validation {
    condition     = var.page == null || try(var.config.http.listen, "") == "0.0.0.0:9464"
    error_message = "With `page` the config's `http.listen` is `0.0.0.0:9464`: the load balancer asks there."
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
