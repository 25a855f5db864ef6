# amid itself: one machine in a group of one, which replaces it when it breaks. It belongs to
# people: amid never rolls the unit that it runs in. A new image takes the place of the old one only
# after the old machine has finished what it was applying.

resource "aws_launch_template" "main" {
  name                   = var.name
  image_id               = var.ami
  instance_type          = var.instance_type
  update_default_version = true
  user_data              = base64encode("#cloud-config\n${jsonencode({ write_files = local.files })}\n")
  vpc_security_group_ids = [aws_security_group.main.id]
  tags                   = var.tags

  iam_instance_profile {
    name = aws_iam_instance_profile.machine.name
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted             = true
      volume_type           = "gp3"
      volume_size           = var.disk_size
      delete_on_termination = true
    }
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume"])
    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = var.name, "amid:controller" = var.name })
    }
  }
}

locals {
  # Base64 keeps every character out of YAML's way.
  files = [
    for path, content in merge(
      {
        "/etc/amid/amid.json"    = jsonencode(var.config)
        "/etc/amid/secrets.json" = jsonencode(var.secrets)
        "/etc/amid/release.json" = jsonencode({ app = var.name, ami = var.ami })
      },
      { for size in [var.state_volume_size] : "/etc/amid/state-volume" => "${size}\n" if size != null },
    ) :
    {
      path        = path
      permissions = path == "/etc/amid/secrets.json" ? "0600" : "0644"
      encoding    = "b64"
      content     = base64encode(content)
    }
  ]
}

resource "aws_autoscaling_group" "main" {
  name                      = var.name
  min_size                  = 1
  max_size                  = 1
  vpc_zone_identifier       = var.subnet_ids
  health_check_type         = "EC2"
  wait_for_capacity_timeout = "0"
  target_group_arns         = [for group in aws_lb_target_group.door : group.arn]

  launch_template {
    id      = aws_launch_template.main.id
    version = aws_launch_template.main.latest_version
  }

  # The old machine goes first: two must not steer the same apps.
  instance_maintenance_policy {
    min_healthy_percentage = 0
    max_healthy_percentage = 100
  }

  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 0
      max_healthy_percentage = 100
    }
  }

  # The machine stops amid, waits for a running apply, and says when it may go.
  initial_lifecycle_hook {
    name                 = "leave"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    default_result       = "CONTINUE"
    heartbeat_timeout    = var.leave_timeout
  }

  dynamic "tag" {
    for_each = merge(var.tags, { Name = var.name })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false
    }
  }

  depends_on = [aws_iam_role_policy_attachment.machine, aws_iam_role_policy.machine]
}

# --- The state directory, if it is to outlive the machine ---

data "aws_subnet" "state" {
  count = var.state_volume_size == null ? 0 : 1

  id = var.subnet_ids[0]
}

resource "aws_ebs_volume" "state" {
  count = var.state_volume_size == null ? 0 : 1

  availability_zone = data.aws_subnet.state[0].availability_zone
  type              = "gp3"
  size              = var.state_volume_size
  encrypted         = true
  # No prevent_destroy: what is lost with it can be done without, see docs/config.md.
  tags = merge(var.tags, { Name = "${var.name}-state", "amid:data" = var.name })
}

# --- Who may talk to whom ---

resource "aws_security_group" "main" {
  name        = var.name
  description = "amid: reached by nobody, except through the doors that were asked for"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = var.name })
}

resource "aws_vpc_security_group_egress_rule" "main" {
  security_group_id = aws_security_group.main.id
  description       = "To AWS, to the git server, to the gates of apps"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}
