mock_provider "aws" {
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/demo/1" }
  }
  mock_resource "aws_lb_listener" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/demo/1/2" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/demo/3" }
  }
}

variables {
  name               = "demo"
  vpc_id             = "vpc-1"
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  apps = {
    "demo/todo" = {}
    "demo/shop" = { hosts = ["shop.example.com"], port = 9000, health_path = "/up" }
  }
}

run "every_app_has_its_own_target_group_and_rule" {
  assert {
    condition     = toset(keys(output.target_group_arns)) == toset(["demo/todo", "demo/shop"])
    error_message = "A target group for each app, by its name."
  }

  assert {
    condition     = aws_lb_target_group.app["demo/shop"].port == 9000 && aws_lb_target_group.app["demo/shop"].health_check[0].path == "/up"
    error_message = "What an app says of itself counts."
  }

  assert {
    condition     = one(aws_lb_listener_rule.app["demo/todo"].condition).host_header[0].values == toset(["todo.*"])
    error_message = "Without hosts an app answers to its own name."
  }
}

run "a_long_name_is_cut_to_32_characters_and_stays_its_own" {
  command = plan

  variables {
    apps = {
      "demo/a-rather-long-name-for-an-app-one" = {}
      "demo/a-rather-long-name-for-an-app-two" = {}
    }
  }

  assert {
    condition     = alltrue([for group in aws_lb_target_group.app : length(group.name) <= 32])
    error_message = "AWS takes 32 characters."
  }

  assert {
    condition     = length(distinct([for group in aws_lb_target_group.app : group.name])) == 2
    error_message = "Two apps must not share a target group."
  }
}

run "a_timeout_longer_than_the_interval_is_refused" {
  command = plan

  variables {
    health_check = { interval = 5, timeout = 6 }
  }

  expect_failures = [var.health_check]
}

run "one_subnet_is_refused" {
  command = plan

  variables {
    subnet_ids = ["subnet-1"]
  }

  expect_failures = [var.subnet_ids]
}

run "a_name_that_is_no_app_is_refused" {
  command = plan

  variables {
    apps = { "demo/Todo" = {} }
  }

  expect_failures = [var.apps]
}
