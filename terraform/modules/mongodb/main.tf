# What a MongoDB replica set has that outlives its machines: for each member a volume, a name, and a
# role. It belongs to people: amid never applies it. The machines themselves are releases, one unit
# a member, and find all of this by the volume's tags.

locals {
  aws_name = replace(var.app, "/", "-")

  # The app whose one machine is this member.
  apps  = { for name, _ in var.members : name => "${var.app}/${name}" }
  names = { for name, app in local.apps : name => replace(app, "/", "-") }
  hosts = { for name, _ in var.members : name => "${name}.${var.dns_zone}" }
}

data "aws_subnet" "member" {
  for_each = var.members

  id = each.value.subnet_id
}

# --- The data ---

resource "aws_ebs_volume" "member" {
  for_each = var.members

  availability_zone = data.aws_subnet.member[each.key].availability_zone
  type              = "gp3"
  size              = each.value.size
  iops              = each.value.iops
  throughput        = each.value.throughput
  encrypted         = true
  kms_key_id        = var.kms_key_arn
  snapshot_id       = each.value.snapshot_id

  # What the machine needs to know of itself, it reads here: it finds its volume by `amid:data`.
  tags = merge(var.tags, {
    "Name"         = "${local.names[each.key]}-data"
    "amid:data"    = local.apps[each.key]
    "mongodb:set"  = local.aws_name
    "mongodb:name" = local.hosts[each.key]
    "mongodb:zone" = aws_route53_zone.main.zone_id
    "mongodb:peers" = join(" ", [
      for name in keys(var.members) : local.hosts[name]
    ])
  })

  lifecycle {
    # The only copy of a member's data. To replace it on purpose, see docs/mongodb.md.
    prevent_destroy = true

    # Where the data came from is history, and a subnet that moves must not take the data along.
    ignore_changes = [snapshot_id]
  }
}

resource "aws_dlm_lifecycle_policy" "snapshots" {
  count = var.snapshots == null ? 0 : 1

  description        = "Daily snapshots of the replica set ${local.aws_name}"
  execution_role_arn = aws_iam_role.snapshots[0].arn
  state              = "ENABLED"

  policy_details {
    resource_types = ["VOLUME"]
    target_tags    = { "mongodb:set" = local.aws_name }

    schedule {
      name      = "daily"
      copy_tags = false

      create_rule {
        interval      = 24
        interval_unit = "HOURS"
        times         = [var.snapshots.time]
      }

      retain_rule {
        count = var.snapshots.keep
      }

      tags_to_add = { "mongodb:set" = local.aws_name }
    }
  }
}

# --- The names ---

resource "aws_route53_zone" "main" {
  name    = var.dns_zone
  comment = "Members of the replica set ${local.aws_name}"

  vpc {
    vpc_id = var.vpc_id
  }
}

# The machine writes its own address here when it boots. Until then the name leads nowhere: a name
# that does not exist at all is remembered as such by resolvers for a quarter of an hour.
resource "aws_route53_record" "member" {
  for_each = local.hosts

  zone_id = aws_route53_zone.main.zone_id
  name    = each.value
  type    = "A"
  ttl     = 10
  records = ["192.0.2.1"]

  lifecycle {
    ignore_changes = [records]
  }
}

# --- Who may talk to whom ---

resource "aws_security_group" "member" {
  name        = "${local.aws_name}-member"
  description = "Members of the replica set ${local.aws_name}: reached by each other and by their clients"
  vpc_id      = var.vpc_id
  tags        = { Name = "${local.aws_name}-member" }
}

resource "aws_vpc_security_group_ingress_rule" "peers" {
  for_each = { database = local.database_port, gate = local.gate_port }

  security_group_id            = aws_security_group.member.id
  description                  = "From the other members: ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
  referenced_security_group_id = aws_security_group.member.id
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = var.client_security_group_ids

  security_group_id            = aws_security_group.member.id
  description                  = "From ${each.key}: database"
  ip_protocol                  = "tcp"
  from_port                    = local.database_port
  to_port                      = local.database_port
  referenced_security_group_id = each.value
}

resource "aws_vpc_security_group_ingress_rule" "gate" {
  for_each = var.gate_security_group_ids

  security_group_id            = aws_security_group.member.id
  description                  = "From ${each.key}: gate"
  ip_protocol                  = "tcp"
  from_port                    = local.gate_port
  to_port                      = local.gate_port
  referenced_security_group_id = each.value
}

resource "aws_vpc_security_group_egress_rule" "out" {
  security_group_id = aws_security_group.member.id
  description       = "To each other, to AWS, to Debian's security updates"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

locals {
  database_port = 27017
  gate_port     = 27080
}
