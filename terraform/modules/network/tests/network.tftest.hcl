mock_provider "aws" {}

variables {
  name  = "demo"
  zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
}

run "each_zone_has_one_subnet_with_addresses_of_its_own" {
  command = plan

  assert {
    condition     = toset(keys(aws_subnet.public)) == toset(var.zones)
    error_message = "One subnet for each zone."
  }

  assert {
    condition     = length(distinct([for subnet in aws_subnet.public : subnet.cidr_block])) == 3
    error_message = "Subnets must not share addresses."
  }
}

run "only_the_balancer_reaches_the_apps" {
  assert {
    condition = alltrue([
      for rule in aws_security_group.app.ingress :
      rule.security_groups == toset([aws_security_group.balancer.id]) && length(rule.cidr_blocks == null ? [] : rule.cidr_blocks) == 0
    ])
    error_message = "The apps' security group must let in the balancer and nobody else."
  }

  assert {
    condition     = [for rule in aws_security_group.app.ingress : rule.from_port] == [8080]
    error_message = "The balancer reaches the apps' port."
  }
}

run "a_new_zone_at_the_end_moves_no_other_subnet" {
  variables {
    zones = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"]
  }

  assert {
    condition     = aws_subnet.public["us-east-1b"].cidr_block == "10.20.16.0/20"
    error_message = "The second zone keeps the second part."
  }

  assert {
    condition     = length(output.subnet_ids) == 4
    error_message = "All subnets are handed on."
  }
}

run "one_zone_is_refused" {
  command = plan

  variables {
    zones = ["us-east-1a"]
  }

  expect_failures = [var.zones]
}

run "a_network_too_small_to_share_out_is_refused" {
  command = plan

  variables {
    cidr_block = "10.0.0.0/28"
  }

  expect_failures = [var.cidr_block]
}

run "without_private_subnets_there_is_nothing_to_pay_for" {
  command = plan

  assert {
    condition     = length(aws_subnet.private) + length(aws_nat_gateway.main) + length(aws_route_table.private) == 0
    error_message = "Private subnets and gateways are made on request only."
  }
}

run "private_subnets_share_no_address_with_public_ones_and_nothing_there_gets_a_public_one" {
  variables {
    private_subnets = true
    nat_gateways    = "each_zone"
  }

  assert {
    condition     = length(distinct(concat([for s in aws_subnet.public : s.cidr_block], [for s in aws_subnet.private : s.cidr_block]))) == 6
    error_message = "Six subnets, six address ranges."
  }

  assert {
    condition     = alltrue([for s in aws_subnet.private : !s.map_public_ip_on_launch])
    error_message = "A machine in a private subnet has no public address."
  }

  assert {
    condition     = length(aws_nat_gateway.main) == 3 && length(distinct([for route in aws_route.nat : route.nat_gateway_id])) == 3
    error_message = "Each zone goes out through a gateway of its own."
  }

  assert {
    condition     = length(output.private_subnet_ids) == 3
    error_message = "All private subnets are handed on."
  }
}

run "one_gateway_serves_all_zones" {
  variables {
    private_subnets = true
    nat_gateways    = "one"
  }

  assert {
    condition     = keys(aws_nat_gateway.main) == ["us-east-1a"] && length(aws_route.nat) == 3 && alltrue([for route in aws_route.nat : route.nat_gateway_id == aws_nat_gateway.main["us-east-1a"].id])
    error_message = "The first zone's gateway serves all."
  }
}

run "a_private_subnet_without_a_gateway_has_no_way_out" {
  variables {
    private_subnets = true
  }

  assert {
    condition     = length(aws_nat_gateway.main) == 0 && length(aws_route.nat) == 0
    error_message = "No gateway, no route."
  }
}

run "an_unknown_way_out_is_refused" {
  command = plan

  variables {
    nat_gateways = "two"
  }

  expect_failures = [var.nat_gateways]
}

run "without_a_health_port_the_apps_are_reached_on_one_port_only" {
  command = plan

  assert {
    condition     = toset([for rule in aws_security_group.app.ingress : rule.from_port]) == toset([8080]) && output.health_port == null
    error_message = "What nobody asked for stays closed."
  }
}

run "a_health_port_is_open_from_the_balancer_to_the_apps_and_nowhere_else" {
  variables {
    health_port = 8079
  }

  assert {
    condition     = toset([for rule in aws_security_group.app.ingress : "${rule.from_port}-${rule.to_port}"]) == toset(["8079-8079", "8080-8080"])
    error_message = "The apps take requests, and questions for their health."
  }

  assert {
    condition = alltrue([
      for rule in aws_security_group.app.ingress :
      rule.security_groups == toset([aws_security_group.balancer.id]) && length(rule.cidr_blocks == null ? [] : rule.cidr_blocks) == 0
    ])
    error_message = "Both from the balancer alone."
  }

  assert {
    condition     = toset([for rule in aws_security_group.balancer.egress : rule.from_port]) == toset([8079, 8080])
    error_message = "The balancer gets there."
  }

  assert {
    condition     = toset([for rule in aws_security_group.balancer.ingress : rule.from_port]) == toset([80])
    error_message = "Nobody outside may ask."
  }
}

run "health_asked_on_the_apps_own_port_needs_no_second_rule" {
  command = plan

  variables {
    health_port = 8080
  }

  assert {
    condition     = length(aws_security_group.app.ingress) == 1
    error_message = "AWS refuses the same rule twice."
  }
}

run "a_health_port_that_is_none_is_refused" {
  command = plan

  variables {
    health_port = 70000
  }

  expect_failures = [var.health_port]
}
