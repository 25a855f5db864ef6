# A person runs terragrunt: no releases are passed, the manifest says what there should be.

mock_provider "aws" {
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0" }
  }

  override_data {
    target = data.aws_autoscaling_groups.live
    values = { names = ["demo-todo-679d8dc7ee"] }
  }

  override_data {
    target = data.aws_s3_objects.state
    values = { keys = ["demo/todo/app/terraform.tfstate", "demo/todo/app/terraform.tfstate.tflock"] }
  }
}

override_data {
  target = data.terraform_remote_state.self
  values = { outputs = { memory = "{\"failed\":[]}" } }
}

variables {
  app        = "demo/todo"
  subnet_ids = ["subnet-1"]
  state      = { bucket = "states", key = "demo/todo/app/terraform.tfstate", region = "us-east-1" }
  manifest   = "{\"unit\":\"live/demo/todo/app\",\"ami\":\"ami-1\",\"instance_types\":[\"t3.small\"],\"min_size\":2,\"max_size\":5}"
}

run "amid_made_a_release" {
  variables {
    memory   = "{\"failed\":[]}"
    releases = { "679d8dc7ee" = { settings = jsonencode({ ami = "ami-1", instance_types = ["t3.small"] }), min_size = 2, max_size = 5, desired = 4 } }
  }
}

run "by_hand_the_same_release_and_the_same_memory_follow" {
  command = plan

  assert {
    condition     = output.releases == run.amid_made_a_release.releases
    error_message = "By hand another release follows from the same manifest."
  }

  assert {
    condition     = output.memory == run.amid_made_a_release.memory
    error_message = "By hand the memory is kept."
  }
}

run "a_manifest_that_asks_for_another_release_is_refused_by_the_guard" {
  command = plan

  variables {
    manifest = "{\"unit\":\"live/demo/todo/app\",\"ami\":\"ami-2\",\"instance_types\":[\"t3.small\"],\"min_size\":2,\"max_size\":5}"
  }

  expect_failures = [terraform_data.guard]
}

run "before_the_first_apply_there_is_no_memory" {
  command = plan

  override_data {
    target = data.aws_s3_objects.state
    values = { keys = [] }
  }

  assert {
    condition     = length(data.terraform_remote_state.self) == 0
    error_message = "There is no state to read yet."
  }
}

run "what_amid_passes_costs_no_look_at_the_state" {
  command = plan

  variables {
    memory   = "x"
    releases = { "679d8dc7ee" = { settings = jsonencode({ ami = "ami-1", instance_types = ["t3.small"] }), min_size = 2, max_size = 5, desired = 4 } }
  }

  assert {
    condition     = length(data.aws_s3_objects.state) == 0 && length(data.terraform_remote_state.self) == 0 && output.memory == "x"
    error_message = "Memory that is given is not looked up."
  }
}

run "a_manifest_that_is_missing_is_refused" {
  command = plan

  variables {
    manifest = ""
  }

  expect_failures = [var.manifest]
}

run "a_manifest_without_an_ami_is_refused" {
  command = plan

  variables {
    manifest = "{\"instance_types\":[\"t3.small\"],\"min_size\":2,\"max_size\":5}"
  }

  expect_failures = [var.manifest]
}
