# The releases of one app. This file: which releases there are, the guard that keeps an apply from
# removing one by mistake, the memory, and the adoption of what a killed apply left behind.
# release.tf: what one release is made of.

locals {
  # One documented rule for names in AWS: `/` becomes `-`.
  aws_name = replace(var.app, "/", "-")

  by_hand = var.releases == null

  releases = local.by_hand ? tomap({
    (module.manifest.key) = {
      settings = module.manifest.settings
      min_size = local.sizes.min_size
      max_size = local.sizes.max_size
      desired  = local.sizes.min_size
      pin      = 0
      drain    = false
    }
  }) : var.releases

  sizes = local.by_hand ? {
    min_size = jsondecode(var.manifest).min_size
    max_size = jsondecode(var.manifest).max_size
  } : { min_size = 0, max_size = 0 }

  names = { for key, _ in local.releases : key => "${local.aws_name}-${key}" }

  # Whatever a new release would be made with, apart from its settings. Comments and blank lines of
  # release.tf do not count.
  wiring = substr(sha256(jsonencode({
    subnet_ids                = sort(var.subnet_ids)
    target_group_arns         = sort(var.target_group_arns)
    security_group_ids        = sort(var.security_group_ids)
    instance_profile_name     = var.instance_profile_name
    health_check_type         = var.health_check_type
    health_check_grace_period = var.health_check_grace_period
    scaling_policies          = var.scaling_policies
    schedules                 = var.schedules
    lifecycle_hooks           = var.lifecycle_hooks
    tags                      = var.tags
    code = [
      for line in split("\n", file("${path.module}/release.tf")) : trimspace(line)
      if trimspace(line) != "" && !startswith(trimspace(line), "#")
    ]
  })), 0, 10)
}

# By hand there is exactly one release: the one that the manifest asks for.
module "manifest" {
  source   = "./key"
  manifest = local.by_hand ? var.manifest : "{}"
}

# --- The guard ---

data "aws_autoscaling_groups" "live" {
  filter {
    name   = "tag:amid:app"
    values = [var.app]
  }
}

locals {
  left_out = sort(setsubtract(
    data.aws_autoscaling_groups.live.names,
    concat(values(local.names), var.may_remove),
  ))

  wrong_keys = [for key, release in local.releases : key if key != substr(sha256(release.settings), 0, 10)]
}

# Always there, because a precondition on a resource without instances never runs.
resource "terraform_data" "guard" {
  input = var.app

  lifecycle {
    precondition {
      condition     = length(local.left_out) == 0
      error_message = "This apply would leave out groups of ${var.app} that are live: ${join(", ", local.left_out)}. Probably a roll is running, or git asks for another release than the live one and amid has not rolled it yet. `amid status ${var.app}` says which. Wait for it, or stop it with `amid suspend ${var.app} --until TIME`. To remove a group yourself, name it in `may_remove`."
    }

    precondition {
      condition     = length(local.wrong_keys) == 0
      error_message = "These keys are not the hash of their settings: ${join(", ", local.wrong_keys)}. A key is made by amid or by this module, never by hand; perhaps the two are of different versions."
    }

    precondition {
      condition     = var.memory != null || var.state != null
      error_message = "Without `memory` the module reads back what its state holds, and needs to know where that is: pass `state`, as live/root.hcl does."
    }
  }
}

# --- The memory ---

locals {
  recall = var.memory == null && var.state != null
}

# Before the first apply there is no state to read.
data "aws_s3_objects" "state" {
  count  = local.recall ? 1 : 0
  bucket = var.state.bucket
  prefix = var.state.key
}

data "terraform_remote_state" "self" {
  count   = local.recall && try(contains(data.aws_s3_objects.state[0].keys, var.state.key), false) ? 1 : 0
  backend = "s3"
  config  = var.state
}

resource "terraform_data" "memory" {
  input = var.memory != null ? var.memory : try(data.terraform_remote_state.self[0].outputs.memory, "")
}

# --- Adoption ---

import {
  for_each = var.adopt
  to       = aws_launch_template.release[each.key]
  id       = each.value.template_id
}

import {
  for_each = { for key, adopted in var.adopt : key => adopted.group_name if adopted.group_name != null }
  to       = aws_autoscaling_group.release[each.key]
  id       = each.value
}
