# A small network: one public subnet in each zone, on request a private one beside it, and who may
# talk to whom.

resource "aws_vpc" "main" {
  cidr_block = var.cidr_block
  tags       = { Name = var.name }

  # Names of a private zone, such as those of a database, are answered only with both.
  enable_dns_support   = true
  enable_dns_hostnames = true
}

# Whoever forgets to name a security group gets one that lets nothing through.
resource "aws_default_security_group" "main" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = "${var.name}-default" }
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = var.name }
}

resource "aws_subnet" "public" {
  for_each = { for index, zone in var.zones : zone => index }

  vpc_id                  = aws_vpc.main.id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(var.cidr_block, 4, each.value)
  map_public_ip_on_launch = true
  tags                    = { Name = "${var.name}-${each.key}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = var.name }

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

# --- Private subnets: nothing outside reaches in, and what is inside goes out through a NAT ---

locals {
  private_zones = var.private_subnets ? toset(var.zones) : toset([])

  # The zone whose NAT gateway serves a zone: its own, the first one's, or none at all.
  nat_zones = {
    none      = {}
    one       = { for zone in local.private_zones : zone => var.zones[0] }
    each_zone = { for zone in local.private_zones : zone => zone }
  }[var.nat_gateways]
}

resource "aws_subnet" "private" {
  for_each = local.private_zones

  vpc_id            = aws_vpc.main.id
  availability_zone = each.key
  # The upper half of the addresses, so that a new zone moves nobody.
  cidr_block              = cidrsubnet(var.cidr_block, 4, 8 + index(var.zones, each.key))
  map_public_ip_on_launch = false
  tags                    = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_eip" "nat" {
  for_each = toset(values(local.nat_zones))

  domain = "vpc"
  tags   = { Name = "${var.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "main" {
  for_each = toset(values(local.nat_zones))

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${var.name}-${each.key}" }

  depends_on = [aws_internet_gateway.main]
}

resource "aws_route_table" "private" {
  for_each = local.private_zones

  vpc_id = aws_vpc.main.id
  tags   = { Name = "${var.name}-private-${each.key}" }
}

# Not within the table: a table without routes in it would keep a route that is no longer wanted.
resource "aws_route" "nat" {
  for_each = local.nat_zones

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.main[each.value].id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

# --- Who may talk to whom ---

locals {
  # One rule where requests and health go to the same port: AWS refuses the same rule twice.
  app_ports = merge(
    { (var.app_port) = "" },
    { for port in [var.health_port] : port => ", for their health" if port != null && port != var.app_port },
  )
}

resource "aws_security_group" "balancer" {
  name        = "${var.name}-balancer"
  description = "The load balancer: reached from outside, reaches the apps"
  vpc_id      = aws_vpc.main.id

  ingress {
    description = "HTTP from outside"
    protocol    = "tcp"
    from_port   = 80
    to_port     = 80
    cidr_blocks = var.ingress_cidr_blocks
  }

  dynamic "egress" {
    for_each = local.app_ports
    content {
      description = "To the apps${egress.value}"
      protocol    = "tcp"
      from_port   = egress.key
      to_port     = egress.key
      cidr_blocks = [var.cidr_block]
    }
  }
}

resource "aws_security_group" "app" {
  name        = "${var.name}-app"
  description = "The apps: reached from the load balancer only"
  vpc_id      = aws_vpc.main.id

  dynamic "ingress" {
    for_each = local.app_ports
    content {
      description     = "From the load balancer${ingress.value}"
      protocol        = "tcp"
      from_port       = ingress.key
      to_port         = ingress.key
      security_groups = [aws_security_group.balancer.id]
    }
  }

  egress {
    description = "Anywhere"
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}
