mock_provider "aws" {
  override_during = plan

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }
}

variables {
  app = "prod/todo"
}

run "a_machine_reads_its_own_apps_secrets_and_no_others" {
  command = plan

  assert {
    condition     = flatten([for statement in data.aws_iam_policy_document.secrets.statement : statement.resources]) == ["arn:aws:ssm:us-east-1:123456789012:parameter/prod/todo/*"]
    error_message = "The app's own path and nothing else."
  }

  assert {
    condition     = aws_iam_instance_profile.main.name == "prod-todo"
    error_message = "The profile has the app's name in AWS."
  }
}

run "another_path_can_be_named" {
  command = plan

  variables {
    parameter_prefix = "/shared/todo"
  }

  assert {
    condition     = flatten([for statement in data.aws_iam_policy_document.secrets.statement : statement.resources]) == ["arn:aws:ssm:us-east-1:123456789012:parameter/shared/todo/*"]
    error_message = "The named path instead of the app's."
  }
}

run "a_path_that_would_cover_everything_is_refused" {
  command = plan

  variables {
    parameter_prefix = "/"
  }

  expect_failures = [var.parameter_prefix]
}
