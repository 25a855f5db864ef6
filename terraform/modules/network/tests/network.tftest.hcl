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
