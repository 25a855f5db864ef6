# What stands before the apps: one load balancer for all of them, and for each app a target group
# that its groups register with. It belongs to people: a release comes and goes, this stays.

locals {
  aws_names = { for app, _ in var.apps : app => replace(app, "/", "-") }

  # A target group's name is at most 32 characters long.
  target_group_names = {
    for app, name in local.aws_names : app => (
      length(name) <= 32 ? name : "${trimsuffix(substr(name, 0, 23), "-")}-${substr(sha256(app), 0, 8)}"
    )
  }

  # Where an app's machines are asked. What an app says of itself counts as a whole: its path is
  # never asked on the port of everybody else's.
  health = {
    for app, given in var.apps : app => (
      given.health_path == null && given.health_port == null
      ? { port = var.health_check.port, path = var.health_check.path }
      : { port = given.health_port, path = coalesce(given.health_path, var.health_check.path) }
    )
  }
}

resource "aws_lb" "main" {
  name                       = var.name
  load_balancer_type         = "application"
  subnets                    = var.subnet_ids
  security_groups            = var.security_group_ids
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      message_body = "No app answers to this name"
      status_code  = "404"
    }
  }
}

resource "aws_lb_target_group" "app" {
  for_each = var.apps

  name                 = local.target_group_names[each.key]
  vpc_id               = var.vpc_id
  protocol             = "HTTP"
  port                 = each.value.port
  target_type          = "instance"
  deregistration_delay = var.deregistration_delay
  tags                 = { "amid:app" = each.key }

  health_check {
    port                = coalesce(local.health[each.key].port, "traffic-port")
    path                = local.health[each.key].path
    interval            = var.health_check.interval
    timeout             = var.health_check.timeout
    healthy_threshold   = var.health_check.healthy_threshold
    unhealthy_threshold = var.health_check.unhealthy_threshold
    matcher             = "200"
  }
}

resource "aws_lb_listener_rule" "app" {
  for_each = var.apps

  listener_arn = aws_lb_listener.http.arn

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app[each.key].arn
  }

  condition {
    host_header {
      values = coalesce(each.value.hosts, ["${basename(each.key)}.*"])
    }
  }
}
