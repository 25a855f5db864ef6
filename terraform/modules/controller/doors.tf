# The two ways in that can be asked for: a public one for webhooks, an internal one for people. Each
# is a load balancer with TLS in front of one port, so that the machine itself stays unreachable.

locals {
  doors = merge(
    { for door in [var.webhook] : "webhook" => {
      internal            = false
      port                = 9465
      subnet_ids          = door.subnet_ids
      certificate_arn     = door.certificate_arn
      ingress_cidr_blocks = door.ingress_cidr_blocks
      # It takes POST only: to a GET it says so.
      healthy = "200-499"
      oidc    = null
    } if door != null },
    { for door in [var.page] : "page" => {
      internal            = true
      port                = 9464
      subnet_ids          = door.subnet_ids
      certificate_arn     = door.certificate_arn
      ingress_cidr_blocks = door.ingress_cidr_blocks
      healthy             = "200"
      oidc                = door.oidc
    } if door != null },
  )

  # Security groups take one range a rule.
  ways_in = merge([
    for name, door in local.doors : { for block in door.ingress_cidr_blocks : "${name}/${block}" => { door = name, block = block } }
  ]...)
}

resource "aws_security_group" "door" {
  for_each = local.doors

  name        = "${var.name}-${each.key}"
  description = "amid: the load balancer for ${each.key}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_vpc_security_group_ingress_rule" "door" {
  for_each = local.ways_in

  security_group_id = aws_security_group.door[each.value.door].id
  description       = "HTTPS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.value.block
}

resource "aws_vpc_security_group_egress_rule" "door" {
  for_each = local.doors

  security_group_id            = aws_security_group.door[each.key].id
  description                  = "To amid"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = aws_security_group.main.id
}

# The sign-on is asked by the load balancer, not only by people's browsers.
resource "aws_vpc_security_group_egress_rule" "sign_on" {
  for_each = { for name, door in local.doors : name => door if door.oidc != null }

  security_group_id = aws_security_group.door[each.key].id
  description       = "To the sign-on"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_ingress_rule" "main" {
  for_each = local.doors

  security_group_id            = aws_security_group.main.id
  description                  = "From the load balancer for ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = aws_security_group.door[each.key].id
}

resource "aws_lb" "door" {
  for_each = local.doors

  name                       = "${var.name}-${each.key}"
  internal                   = each.value.internal
  load_balancer_type         = "application"
  subnets                    = each.value.subnet_ids
  security_groups            = [aws_security_group.door[each.key].id]
  drop_invalid_header_fields = true
  enable_deletion_protection = false
  tags                       = var.tags
}

resource "aws_lb_target_group" "door" {
  for_each = local.doors

  name                 = "${var.name}-${each.key}"
  vpc_id               = var.vpc_id
  protocol             = "HTTP"
  port                 = each.value.port
  target_type          = "instance"
  deregistration_delay = 5
  tags                 = var.tags

  health_check {
    path    = "/livez"
    matcher = each.value.healthy
  }
}

data "aws_ssm_parameter" "client_secret" {
  for_each = { for name, door in local.doors : name => door if door.oidc != null }

  name = each.value.oidc.client_secret_parameter
}

resource "aws_lb_listener" "door" {
  for_each = local.doors

  load_balancer_arn = aws_lb.door[each.key].arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = each.value.certificate_arn

  dynamic "default_action" {
    for_each = each.value.oidc == null ? [] : [each.value.oidc]
    content {
      type  = "authenticate-oidc"
      order = 1

      authenticate_oidc {
        issuer                 = default_action.value.issuer
        authorization_endpoint = default_action.value.authorization_endpoint
        token_endpoint         = default_action.value.token_endpoint
        user_info_endpoint     = default_action.value.user_info_endpoint
        client_id              = default_action.value.client_id
        client_secret          = data.aws_ssm_parameter.client_secret[each.key].value
      }
    }
  }

  default_action {
    type             = "forward"
    order            = 2
    target_group_arn = aws_lb_target_group.door[each.key].arn
  }
}
