# The guard: an apply leaves out no live group, unless the group is named.

mock_provider "aws" {
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0" }
  }

  override_data {
    target = data.aws_autoscaling_groups.live
    values = { names = ["demo-todo-4bde6bb0fe", "demo-todo-679d8dc7ee"] }
  }
}

variables {
  app        = "demo/todo"
  subnet_ids = ["subnet-1"]
  memory     = ""

  releases = {
    "679d8dc7ee" = { settings = jsonencode({ ami = "ami-1", instance_types = ["t3.small"] }), min_size = 1, max_size = 2, desired = 1 }
  }
}

run "a_live_group_that_nobody_named_is_not_left_out" {
  command         = plan
  expect_failures = [terraform_data.guard]
}

run "nor_with_no_release_at_all" {
  command = plan

  variables {
    releases = {}
  }

  expect_failures = [terraform_data.guard]
}

run "naming_another_group_does_not_help" {
  command = plan

  variables {
    may_remove = ["demo-todo-0000000000", "4bde6bb0fe"]
  }

  expect_failures = [terraform_data.guard]
}

run "a_group_that_is_named_may_go" {
  command = plan

  variables {
    may_remove = ["demo-todo-4bde6bb0fe"]
  }

  assert {
    condition     = keys(aws_autoscaling_group.release) == ["679d8dc7ee"]
    error_message = "What is not named stays."
  }
}

run "groups_in_the_map_need_no_leave" {
  command = plan

  variables {
    releases = {
      "679d8dc7ee" = { settings = jsonencode({ ami = "ami-1", instance_types = ["t3.small"] }), min_size = 1, max_size = 2, desired = 1 }
      "4bde6bb0fe" = { settings = jsonencode({ ami = "ami-2", instance_types = ["t3.small"] }), min_size = 1, max_size = 2, desired = 1 }
    }
  }

  assert {
    condition     = length(aws_autoscaling_group.release) == 2
    error_message = "Both stay."
  }
}

run "an_app_with_a_similar_name_is_another_app" {
  command = plan

  variables {
    app = "demo/todo2"
  }

  expect_failures = [terraform_data.guard]
}

run "a_key_that_is_not_the_hash_of_its_settings_is_refused" {
  command = plan

  variables {
    may_remove = ["demo-todo-4bde6bb0fe"]
    releases = {
      "679d8dc7ee" = { settings = jsonencode({ ami = "ami-3", instance_types = ["t3.small"] }), min_size = 1, max_size = 2, desired = 1 }
    }
  }

  expect_failures = [terraform_data.guard]
}

run "without_memory_the_module_must_know_its_state" {
  command = plan

  variables {
    may_remove = ["demo-todo-4bde6bb0fe"]
    memory     = null
  }

  expect_failures = [terraform_data.guard]
}
