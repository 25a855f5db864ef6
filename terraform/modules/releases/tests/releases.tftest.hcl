# Sizes, the machine that a release becomes, and that a live release is left alone.

mock_provider "aws" {
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0" }
  }

  override_data {
    target = data.aws_autoscaling_groups.live
    values = { names = [] }
  }
}

variables {
  app        = "demo/todo"
  subnet_ids = ["subnet-1"]
  memory     = ""

  releases = {
    "6d8edb7a54" = {
      settings = jsonencode({
        ami            = "ami-1"
        instance_types = ["t3.small"]
        revision       = 4
        env            = { A = "say \"$x\" `y` \\", N = 8080 }
        secrets        = { DB = "ssm:/db" }
      })
      min_size = 2
      max_size = 6
      desired  = 4
    }
  }
}

run "a_release_becomes_a_template_and_a_group" {
  assert {
    condition     = aws_autoscaling_group.release["6d8edb7a54"].name == "demo-todo-6d8edb7a54" && aws_launch_template.release["6d8edb7a54"].name == "demo-todo-6d8edb7a54"
    error_message = "Template and group are named after app and key."
  }

  assert {
    condition     = aws_autoscaling_group.release["6d8edb7a54"].desired_capacity == 4
    error_message = "The group starts at the desired capacity."
  }

  assert {
    condition     = one(aws_autoscaling_group.release["6d8edb7a54"].launch_template).version == "1"
    error_message = "The group stays at version 1 of its template."
  }

  assert {
    condition     = { for tag in aws_autoscaling_group.release["6d8edb7a54"].tag : tag.key => tag.value if tag.propagate_at_launch } == { "Name" = "demo-todo-6d8edb7a54", "amid:app" = "demo/todo", "amid:release" = "6d8edb7a54" }
    error_message = "App and release are known by tag, on instances too."
  }

  assert {
    condition     = aws_launch_template.release["6d8edb7a54"].metadata_options[0].http_tokens == "required"
    error_message = "IMDSv2 only."
  }

  assert {
    condition     = output.releases["6d8edb7a54"].settings == var.releases["6d8edb7a54"].settings && output.releases["6d8edb7a54"].wiring == output.wiring
    error_message = "The output shows what the release was made with."
  }
}

run "a_machine_finds_its_env_quoted_and_its_secrets_as_references" {
  command = plan

  assert {
    condition     = startswith(base64decode(aws_launch_template.release["6d8edb7a54"].user_data), "#cloud-config\n")
    error_message = "User data is a cloud-config document."
  }

  assert {
    condition = { for file in yamldecode(base64decode(aws_launch_template.release["6d8edb7a54"].user_data)).write_files : file.path => base64decode(file.content) } == {
      "/etc/amid/release.json" = jsonencode({ app = "demo/todo", release = "6d8edb7a54", ami = "ami-1", revision = 4 })
      "/etc/amid/env"          = "A=\"say \\\"\\$x\\\" \\`y\\` \\\\\"\nN=\"8080\"\n"
      "/etc/amid/secrets.json" = "{\"DB\":\"ssm:/db\"}"
    }
    error_message = "The files differ."
  }
}

run "a_pin_raises_the_sizes" {
  variables {
    releases = {
      "6d8edb7a54" = merge(var.releases["6d8edb7a54"], { desired = 9, pin = 8 })
    }
  }

  assert {
    condition     = aws_autoscaling_group.release["6d8edb7a54"].min_size == 8 && aws_autoscaling_group.release["6d8edb7a54"].max_size == 8
    error_message = "A pinned group is at least as large as its pin."
  }

  assert {
    condition     = aws_autoscaling_group.release["6d8edb7a54"].desired_capacity == 4 && output.releases["6d8edb7a54"].desired == 4
    error_message = "Desired capacity counts at creation only."
  }
}

run "a_drained_group_is_empty" {
  variables {
    releases = {
      "6d8edb7a54" = merge(var.releases["6d8edb7a54"], { pin = 4, drain = true })
    }
  }

  assert {
    condition     = aws_autoscaling_group.release["6d8edb7a54"].min_size == 0 && aws_autoscaling_group.release["6d8edb7a54"].max_size == 0
    error_message = "Draining sets both sizes to 0, whatever the pin."
  }
}

run "new_wiring_leaves_a_live_release_alone" {
  variables {
    subnet_ids                = ["subnet-2"]
    security_group_ids        = ["sg-2"]
    target_group_arns         = ["arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/t/1"]
    health_check_type         = "EC2"
    health_check_grace_period = 7
    tags                      = { team = "todo" }
    scaling_policies          = { cpu = { metric = "ASGAverageCPUUtilization", target_value = 50 } }
    schedules                 = { night = { recurrence = "0 22 * * *", desired_capacity = 2 } }
    lifecycle_hooks           = { bye = { transition = "autoscaling:EC2_INSTANCE_TERMINATING" } }
  }

  assert {
    condition = (
      aws_autoscaling_group.release["6d8edb7a54"].vpc_zone_identifier == toset(["subnet-1"])
      && length(aws_autoscaling_group.release["6d8edb7a54"].target_group_arns) == 0
      && aws_autoscaling_group.release["6d8edb7a54"].health_check_type == "ELB"
      && aws_autoscaling_group.release["6d8edb7a54"].health_check_grace_period == 300
      && length(aws_autoscaling_group.release["6d8edb7a54"].initial_lifecycle_hook) == 0
      && length(aws_autoscaling_group.release["6d8edb7a54"].tag) == 3
    )
    error_message = "The group of a live release changed with the wiring."
  }

  assert {
    condition     = length(aws_launch_template.release["6d8edb7a54"].vpc_security_group_ids) == 0
    error_message = "The template of a live release changed with the wiring."
  }

  assert {
    condition     = length(aws_autoscaling_policy.release) == 0 && length(aws_autoscaling_schedule.release) == 0
    error_message = "A live release got a policy or a schedule that it was not made with."
  }

  assert {
    condition     = output.wiring != output.releases["6d8edb7a54"].wiring && output.releases["6d8edb7a54"].wiring == run.a_release_becomes_a_template_and_a_group.wiring
    error_message = "The output must tell the wiring now from the wiring then."
  }
}

run "a_new_release_is_made_with_the_new_wiring_and_schedules_rest_while_two_live" {
  variables {
    tags             = { team = "todo" }
    scaling_policies = { cpu = { metric = "ASGAverageCPUUtilization", target_value = 50 } }
    schedules        = { night = { recurrence = "0 22 * * *", desired_capacity = 2 } }
    lifecycle_hooks  = { bye = { transition = "autoscaling:EC2_INSTANCE_TERMINATING" } }

    releases = {
      "6d8edb7a54" = var.releases["6d8edb7a54"]
      "8b9fb1a9f1" = {
        settings = jsonencode({ ami = "ami-2", instance_types = ["t3.small", "t3a.small"], user_data = "#!/bin/sh\n" })
        min_size = 2
        max_size = 6
        desired  = 1
      }
    }
  }

  assert {
    condition     = toset(keys(aws_autoscaling_policy.release)) == toset(["8b9fb1a9f1/cpu"]) && toset(keys(aws_autoscaling_schedule.release)) == toset(["8b9fb1a9f1/night"])
    error_message = "The new release, and it alone, has the policy and the schedule."
  }

  assert {
    condition     = aws_autoscaling_schedule.release["8b9fb1a9f1/night"].min_size == -1
    error_message = "What a schedule does not set stays as it is."
  }

  assert {
    condition     = aws_autoscaling_group.release["8b9fb1a9f1"].suspended_processes == toset(["ScheduledActions"]) && aws_autoscaling_group.release["6d8edb7a54"].suspended_processes == null
    error_message = "While two live, schedules rest; a group without schedules is not touched."
  }

  assert {
    condition     = aws_autoscaling_group.release["8b9fb1a9f1"].desired_capacity == 2
    error_message = "Desired capacity is kept within the sizes."
  }

  assert {
    condition     = [for hook in aws_autoscaling_group.release["8b9fb1a9f1"].initial_lifecycle_hook : hook.name] == ["bye"]
    error_message = "Hooks are made with the group."
  }

  assert {
    condition     = length(aws_autoscaling_group.release["8b9fb1a9f1"].launch_template) == 0 && [for override in aws_autoscaling_group.release["8b9fb1a9f1"].mixed_instances_policy[0].launch_template[0].override : override.instance_type] == ["t3.small", "t3a.small"]
    error_message = "Several instance types are a mixed instances policy, in the manifest's order."
  }

  assert {
    condition     = base64decode(aws_launch_template.release["8b9fb1a9f1"].user_data) == "#!/bin/sh\n"
    error_message = "User data that is given is passed as it is."
  }
}

run "a_pinned_group_is_untouched_when_the_other_goes" {
  variables {
    releases = {
      "8b9fb1a9f1" = {
        settings = jsonencode({ ami = "ami-2", instance_types = ["t3.small", "t3a.small"], user_data = "#!/bin/sh\n" })
        min_size = 2
        max_size = 6
        desired  = 1
        pin      = 2
      }
    }
  }

  assert {
    condition     = aws_autoscaling_group.release["8b9fb1a9f1"].suspended_processes == toset(["ScheduledActions"])
    error_message = "Schedules rest as long as the group is pinned."
  }
}

run "schedules_run_again_when_one_is_left" {
  variables {
    releases = {
      "8b9fb1a9f1" = {
        settings = jsonencode({ ami = "ami-2", instance_types = ["t3.small", "t3a.small"], user_data = "#!/bin/sh\n" })
        min_size = 2
        max_size = 6
        desired  = 1
      }
    }
  }

  assert {
    condition     = aws_autoscaling_group.release["8b9fb1a9f1"].suspended_processes == null && length(aws_autoscaling_schedule.release) == 1
    error_message = "A release keeps the schedules that it was made with, and they run."
  }
}

run "a_minimum_above_the_maximum_is_refused" {
  command = plan

  variables {
    releases = { "0000000000" = { settings = jsonencode({ ami = "ami-2", instance_types = ["t3.small"] }), min_size = 3, max_size = 2, desired = 2 } }
  }

  expect_failures = [var.releases]
}

run "half_an_instance_is_refused" {
  command = plan

  variables {
    releases = { "0000000000" = { settings = jsonencode({ ami = "ami-2", instance_types = ["t3.small"] }), min_size = 1.5, max_size = 2, desired = 2 } }
  }

  expect_failures = [var.releases]
}

run "settings_that_are_no_settings_are_refused" {
  command = plan

  variables {
    releases = { "0000000000" = { settings = jsonencode({ ami = 7 }), min_size = 1, max_size = 2, desired = 2 } }
  }

  expect_failures = [var.releases]
}

run "tags_of_amid_are_not_yours_to_set" {
  command = plan

  variables {
    tags = { "amid:app" = "other" }
  }

  expect_failures = [var.tags]
}
