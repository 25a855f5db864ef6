# What one release is made of. A release is immutable: once made, only its sizes and the suspension
# of its schedules change. So editing this file or the wiring plans nothing for what is live; it
# takes effect with the next release.

# What a release was made with. `input` is known while planning, `output` is not.
resource "terraform_data" "release" {
  for_each = local.releases

  input = {
    settings         = each.value.settings
    desired          = each.value.desired
    wiring           = local.wiring
    scaling_policies = var.scaling_policies
    schedules        = var.schedules
  }

  lifecycle {
    ignore_changes = [input]
  }
}

locals {
  settings = { for key, release in local.releases : key => jsondecode(release.settings) }

  tags = {
    for key, name in local.names : key => merge(var.tags, {
      "Name"         = name
      "amid:app"     = var.app
      "amid:release" = key
    })
  }

  # Base64 keeps every character of a value out of YAML's way.
  files = {
    for key, settings in local.settings : key => [
      {
        path        = "/etc/amid/release.json"
        permissions = "0644"
        encoding    = "b64"
        content = base64encode(jsonencode({
          app      = var.app
          release  = key
          ami      = settings.ami
          revision = try(settings.revision, 0)
        }))
      },
      {
        path        = "/etc/amid/env"
        permissions = "0600"
        encoding    = "b64"
        content = base64encode(join("", [
          for name, value in try(settings.env, {}) :
          # Within double quotes systemd and sh give a meaning to these four only.
          "${name}=\"${replace(value, "/([\\\\\"$`])/", "\\$1")}\"\n"
        ]))
      },
      {
        path        = "/etc/amid/secrets.json"
        permissions = "0600"
        encoding    = "b64"
        content     = base64encode(jsonencode(try(settings.secrets, {})))
      },
    ]
  }

  # JSON is YAML, so cloud-init reads this as it is.
  user_data = {
    for key, settings in local.settings : key => try(
      settings.user_data,
      "#cloud-config\n${jsonencode({ write_files = local.files[key] })}\n",
    )
  }

  sizes_of = {
    for key, release in local.releases : key => {
      min = release.drain ? 0 : max(release.min_size, release.pin)
      max = release.drain ? 0 : max(release.max_size, release.pin)
    }
  }

  # Schedules overwrite sizes, so they rest while a roll steers them. A pin is enough: the apply that
  # removes the other group then leaves a pinned one untouched.
  resting = {
    for key, release in local.releases : key => (
      (length(local.releases) > 1 || release.drain || release.pin > 0)
      && length(try(terraform_data.release[key].input.schedules, {})) > 0
    )
  }
}

resource "aws_launch_template" "release" {
  for_each = local.releases

  name          = local.names[each.key]
  description   = "${var.app} ${local.settings[each.key].ami}"
  image_id      = local.settings[each.key].ami
  instance_type = local.settings[each.key].instance_types[0]
  user_data     = base64encode(local.user_data[each.key])
  tags          = local.tags[each.key]

  vpc_security_group_ids = var.security_group_ids

  dynamic "iam_instance_profile" {
    for_each = var.instance_profile_name == null ? [] : [var.instance_profile_name]
    content {
      name = iam_instance_profile.value
    }
  }

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume"])
    content {
      resource_type = tag_specifications.value
      tags          = local.tags[each.key]
    }
  }

  lifecycle {
    ignore_changes = all

    precondition {
      condition     = length(base64encode(local.user_data[each.key])) <= 4 * ceil(16384 / 3)
      error_message = "The user data of release ${each.key} is larger than the 16 KB that EC2 takes: shorten `env` or `user_data`."
    }
  }
}

resource "aws_autoscaling_group" "release" {
  for_each = local.releases

  name                      = local.names[each.key]
  min_size                  = local.sizes_of[each.key].min
  max_size                  = local.sizes_of[each.key].max
  desired_capacity          = min(max(each.value.desired, local.sizes_of[each.key].min), local.sizes_of[each.key].max)
  vpc_zone_identifier       = var.subnet_ids
  target_group_arns         = var.target_group_arns
  health_check_type         = var.health_check_type
  health_check_grace_period = var.health_check_grace_period

  # Waiting is amid's, with its own eyes.
  wait_for_capacity_timeout = "0"

  suspended_processes = local.resting[each.key] ? ["ScheduledActions"] : null

  # Always version 1 of a template that nobody changes: a group moved by hand to another version or
  # template is drift, and is put back.
  dynamic "launch_template" {
    for_each = length(local.settings[each.key].instance_types) == 1 ? [aws_launch_template.release[each.key].id] : []
    content {
      id      = launch_template.value
      version = "1"
    }
  }

  dynamic "mixed_instances_policy" {
    for_each = length(local.settings[each.key].instance_types) > 1 ? [aws_launch_template.release[each.key].id] : []
    content {
      launch_template {
        launch_template_specification {
          launch_template_id = mixed_instances_policy.value
          version            = "1"
        }

        dynamic "override" {
          for_each = local.settings[each.key].instance_types
          content {
            instance_type = override.value
          }
        }
      }
    }
  }

  dynamic "initial_lifecycle_hook" {
    for_each = var.lifecycle_hooks
    content {
      name                    = initial_lifecycle_hook.key
      lifecycle_transition    = initial_lifecycle_hook.value.transition
      default_result          = initial_lifecycle_hook.value.default_result
      heartbeat_timeout       = initial_lifecycle_hook.value.heartbeat_timeout
      notification_target_arn = initial_lifecycle_hook.value.notification_target_arn
      role_arn                = initial_lifecycle_hook.value.role_arn
      notification_metadata   = initial_lifecycle_hook.value.notification_metadata
    }
  }

  dynamic "tag" {
    for_each = local.tags[each.key]
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  lifecycle {
    # Desired capacity belongs to autoscaling. Everything else here is wiring; changing target
    # groups in place would even detach, wait and attach again: an outage.
    ignore_changes = [
      availability_zones,
      capacity_rebalance,
      default_cooldown,
      default_instance_warmup,
      desired_capacity,
      desired_capacity_type,
      enabled_metrics,
      force_delete,
      force_delete_warm_pool,
      health_check_grace_period,
      health_check_type,
      initial_lifecycle_hook,
      instance_maintenance_policy,
      load_balancers,
      max_instance_lifetime,
      metrics_granularity,
      min_elb_capacity,
      mixed_instances_policy[0].instances_distribution,
      name,
      name_prefix,
      placement_group,
      protect_from_scale_in,
      service_linked_role_arn,
      tag,
      target_group_arns,
      termination_policies,
      traffic_source,
      vpc_zone_identifier,
      wait_for_elb_capacity,
      warm_pool,
    ]
  }
}

# Policies and schedules come from what the release was made with, so that a new one in the wiring
# does not appear on a live group.

locals {
  scaling_policies = merge([
    for key, release in terraform_data.release : {
      for name, policy in try(release.input.scaling_policies, {}) : "${key}/${name}" => merge(policy, { release = key, name = name })
    }
  ]...)

  schedules = merge([
    for key, release in terraform_data.release : {
      for name, schedule in try(release.input.schedules, {}) : "${key}/${name}" => merge(schedule, { release = key, name = name })
    }
  ]...)
}

resource "aws_autoscaling_policy" "release" {
  for_each = local.scaling_policies

  # AWS keeps names apart by group, emulators do not: the key is part of the name.
  name                      = "${each.value.release}-${each.value.name}"
  autoscaling_group_name    = aws_autoscaling_group.release[each.value.release].name
  policy_type               = "TargetTrackingScaling"
  estimated_instance_warmup = each.value.warmup_seconds

  target_tracking_configuration {
    target_value     = each.value.target_value
    disable_scale_in = each.value.disable_scale_in

    predefined_metric_specification {
      predefined_metric_type = each.value.metric
      resource_label         = each.value.resource_label
    }
  }

  lifecycle {
    ignore_changes = all
  }
}

resource "aws_autoscaling_schedule" "release" {
  for_each = local.schedules

  scheduled_action_name  = "${each.value.release}-${each.value.name}"
  autoscaling_group_name = aws_autoscaling_group.release[each.value.release].name
  recurrence             = each.value.recurrence
  time_zone              = each.value.time_zone

  # -1 is the provider's word for "leave as it is".
  min_size         = coalesce(each.value.min_size, -1)
  max_size         = coalesce(each.value.max_size, -1)
  desired_capacity = coalesce(each.value.desired_capacity, -1)

  lifecycle {
    ignore_changes = all
  }
}
