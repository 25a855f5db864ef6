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

run "without_a_word_an_app_is_asked_on_its_own_port_whether_it_is_ready" {
  command = plan

  assert {
    condition     = aws_lb_target_group.app["demo/todo"].health_check[0].port == "traffic-port" && aws_lb_target_group.app["demo/todo"].health_check[0].path == "/readyz"
    error_message = "The default suits every image that answers under /readyz."
  }
}

run "the_boot_suite_can_be_asked_instead_and_an_app_that_says_otherwise_is_left_alone" {
  command = plan

  variables {
    health_check = { port = 8079, path = "/healthz" }
    apps = {
      "demo/todo"  = {}
      "demo/shop"  = { health_path = "/up" }
      "demo/cart"  = { health_port = 9999 }
      "demo/clerk" = { health_path = "/up", health_port = 9998 }
    }
  }

  assert {
    condition = { for app, group in aws_lb_target_group.app : app => "${group.health_check[0].port} ${group.health_check[0].path}" } == {
      "demo/todo"  = "8079 /healthz"
      "demo/shop"  = "traffic-port /up"
      "demo/cart"  = "9999 /healthz"
      "demo/clerk" = "9998 /up"
    }
    error_message = "An app's own word counts, and brings no other app's port with it."
  }

  assert {
    condition     = alltrue([for group in aws_lb_target_group.app : group.port == 8080])
    error_message = "Requests go to the app, wherever its health is asked."
  }
}

run "a_health_path_without_a_slash_is_refused" {
  command = plan

  variables {
    health_check = { port = 8079, path = "healthz" }
  }

  expect_failures = [var.health_check]
}

run "a_health_port_that_is_none_is_refused" {
  command = plan

  variables {
    health_check = { port = 80790 }
  }

  expect_failures = [var.health_check]
}

run "an_apps_own_health_port_that_is_none_is_refused" {
  command = plan

  variables {
    apps = { "demo/todo" = { health_port = 0 } }
  }

  expect_failures = [var.apps]
}
