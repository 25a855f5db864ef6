# The edge module without a load balancer: of its inputs and outputs, those that are of use without one.

variable "vpc_id" {
  type = string
}

variable "apps" {
  type = map(object({ port = number }))
}

variable "deregistration_delay" {
  type = number
}

resource "aws_lb_target_group" "app" {
  for_each = var.apps

  name                 = replace(each.key, "/", "-")
  vpc_id               = var.vpc_id
  protocol             = "HTTP"
  port                 = each.value.port
  target_type          = "instance"
  deregistration_delay = var.deregistration_delay
  tags                 = { "amid:app" = each.key }

  health_check {
    path = "/readyz"
  }
}

output "target_group_arns" {
  value = { for app, group in aws_lb_target_group.app : app => group.arn }
}
