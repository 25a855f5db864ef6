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
  mock_data "aws_subnet" {
    defaults = { availability_zone = "us-east-1a" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/mock" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
  mock_resource "aws_ebs_volume" {
    defaults = { arn = "arn:aws:ec2:us-east-1:123456789012:volume/vol-mock" }
  }
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/mock/1" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/mock/3" }
  }
}

variables {
  name             = "prod-amid"
  ami              = "ami-0f3a9c2b7d1e48a60"
  vpc_id           = "vpc-1"
  subnet_ids       = ["subnet-1", "subnet-2"]
  app_prefixes     = ["prod/"]
  state_bucket     = "states"
  parameter_prefix = "/prod/amid"

  instance_role_names = ["prod-todo", "prod-mongodb-*-member"]

  config = {
    repository = { url = "https://git.example.com/you/infrastructure.git" }
    state_dir  = "/var/lib/amid"
    targets    = [{ account_id = "123456789012", region = "us-east-1" }]
  }
}

run "one_machine_at_a_time_the_old_one_first" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.main.min_size == 1 && aws_autoscaling_group.main.max_size == 1
    error_message = "Two machines would steer the same apps."
  }

  assert {
    condition     = one(aws_autoscaling_group.main.instance_maintenance_policy).max_healthy_percentage == 100 && aws_autoscaling_group.main.instance_refresh[0].preferences[0].min_healthy_percentage == 0
    error_message = "A new machine starts when the old one is gone."
  }

  assert {
    condition     = one(aws_autoscaling_group.main.initial_lifecycle_hook).heartbeat_timeout > 600
    error_message = "A running apply may take the ten minutes of `stop_grace` to end."
  }
}

run "the_machine_is_locked_down" {
  command = plan

  assert {
    condition     = aws_launch_template.main.metadata_options[0].http_tokens == "required" && aws_launch_template.main.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "Metadata is read by its second version only, and by the machine itself only."
  }

  assert {
    condition     = aws_launch_template.main.block_device_mappings[0].ebs[0].encrypted == "true"
    error_message = "Its disk is encrypted."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.main) == 0 && length(aws_lb.door) == 0
    error_message = "Nobody reaches it unless a door was asked for."
  }
}

run "what_it_may_change_is_narrowed_to_its_apps" {
  command = plan

  assert {
    condition = alltrue([
      for statement in data.aws_iam_policy_document.apply.statement :
      !contains(statement.resources, "*") || contains(["Launch"], statement.sid)
    ])
    error_message = "Only a launch is allowed on everything, and only by a template."
  }

  assert {
    condition = flatten([
      for statement in data.aws_iam_policy_document.apply.statement : statement.resources if statement.sid == "Groups"
    ]) == ["arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/prod-*"]
    error_message = "Groups of other apps are not its business."
  }

  assert {
    condition = flatten([
      for statement in data.aws_iam_policy_document.apply.statement : statement.resources if statement.sid == "WriteState"
      ]) == [
      "arn:aws:s3:::states/prod/*/app/terraform.tfstate",
      "arn:aws:s3:::states/prod/*/app/terraform.tfstate.tflock",
    ]
    error_message = "It writes states of its apps and their locks."
  }

  assert {
    condition = toset(flatten([
      for statement in data.aws_iam_policy_document.apply.statement : statement.resources if statement.sid == "HandOnRoles"
    ])) == toset(["arn:aws:iam::123456789012:role/prod-todo", "arn:aws:iam::123456789012:role/prod-mongodb-*-member"])
    error_message = "It hands on the named roles and no others."
  }
}

run "the_plan_policy_changes_nothing" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for statement in data.aws_iam_policy_document.plan.statement : [
        for action in statement.actions : can(regex("^[a-z0-9]+:(Describe|Get|List)", action))
      ] if statement.effect != "Deny"
    ]))
    error_message = "Looking is all that it allows."
  }

  assert {
    condition = flatten([
      for statement in data.aws_iam_policy_document.plan.statement : statement.resources if statement.effect == "Deny"
    ]) == ["arn:aws:s3:::states/prod/controller/*"]
    error_message = "The state of amid's own unit is nobody's to read."
  }
}

run "clean_up_is_off_unless_asked_for" {
  command = plan

  assert {
    condition     = keys(aws_iam_policy.amid) == ["apply", "plan"]
    error_message = "Without `cleanup` there is no policy for it."
  }
}

run "clean_up_reaches_only_images_of_our_builds" {
  command = plan

  variables {
    cleanup = true
  }

  assert {
    condition     = keys(aws_iam_policy.amid) == ["apply", "cleanup", "plan"]
    error_message = "With `cleanup` there is a policy for it."
  }

  assert {
    condition = alltrue([
      for statement in data.aws_iam_policy_document.cleanup.statement : anytrue([
        for condition in statement.condition : condition.variable == "aws:ResourceTag/amid:kind"
      ])
    ])
    error_message = "Every statement asks for the tag that our builds set."
  }
}

run "previews_have_a_role_of_their_own_that_cannot_apply" {
  command = plan

  variables {
    plan_principal_arns = ["arn:aws:iam::123456789012:role/builds"]
  }

  assert {
    condition     = length(aws_iam_role.plan) == 1 && length(aws_iam_role_policy_attachment.plan) == 1
    error_message = "One role, one policy."
  }
}

run "a_state_volume_is_found_by_its_tag" {
  command = plan

  variables {
    subnet_ids        = ["subnet-1"]
    state_volume_size = 10
  }

  assert {
    condition     = aws_ebs_volume.state[0].encrypted && aws_ebs_volume.state[0].tags["amid:data"] == "prod-amid" && aws_ebs_volume.state[0].availability_zone == "us-east-1a"
    error_message = "An encrypted volume in the machine's zone, tagged with its name."
  }

  assert {
    condition     = contains([for file in local.files : file.path], "/etc/amid/state-volume")
    error_message = "The machine is told that it has a volume."
  }
}

run "doors_lead_to_their_port_and_no_other" {
  command = plan

  variables {
    config = {
      repository = { url = "https://git.example.com/you/infrastructure.git" }
      state_dir  = "/var/lib/amid"
      targets    = [{ account_id = "123456789012", region = "us-east-1" }]
      http       = { listen = "0.0.0.0:9464" }
      webhook    = { listen = "0.0.0.0:9465", secret_file = "/run/credentials/amid.service/secrets_WEBHOOK" }
    }
    webhook = {
      subnet_ids          = ["subnet-3", "subnet-4"]
      certificate_arn     = "arn:aws:acm:us-east-1:123456789012:certificate/1"
      ingress_cidr_blocks = ["192.30.252.0/22", "185.199.108.0/22"]
    }
    page = {
      subnet_ids          = ["subnet-1", "subnet-2"]
      certificate_arn     = "arn:aws:acm:us-east-1:123456789012:certificate/2"
      ingress_cidr_blocks = ["10.0.0.0/8"]
      oidc = {
        issuer                  = "https://login.example.com"
        authorization_endpoint  = "https://login.example.com/authorize"
        token_endpoint          = "https://login.example.com/token"
        user_info_endpoint      = "https://login.example.com/user"
        client_id               = "amid"
        client_secret_parameter = "/prod/amid/oidc"
      }
    }
  }

  assert {
    condition     = { for name, rule in aws_vpc_security_group_ingress_rule.main : name => [rule.from_port, rule.to_port] } == { page = [9464, 9464], webhook = [9465, 9465] }
    error_message = "Each door reaches one port."
  }

  assert {
    condition     = { for name, balancer in aws_lb.door : name => balancer.internal } == { page = true, webhook = false }
    error_message = "The page is never public."
  }

  assert {
    condition     = [for action in aws_lb_listener.door["page"].default_action : action.type] == ["authenticate-oidc", "forward"] && [for action in aws_lb_listener.door["webhook"].default_action : action.type] == ["forward"]
    error_message = "Nobody sees the page without having signed on."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.door) == 3
    error_message = "Only the named addresses come in."
  }
}

run "a_door_to_a_port_where_nobody_listens_is_refused" {
  command = plan

  variables {
    webhook = {
      subnet_ids          = ["subnet-3", "subnet-4"]
      certificate_arn     = "arn:aws:acm:us-east-1:123456789012:certificate/1"
      ingress_cidr_blocks = ["192.30.252.0/22"]
    }
  }

  expect_failures = [var.webhook]
}

run "a_volume_in_two_zones_is_refused" {
  command = plan

  variables {
    state_volume_size = 10
  }

  expect_failures = [var.subnet_ids]
}

run "a_secret_that_the_role_cannot_read_is_refused" {
  command = plan

  variables {
    secrets = { TOKEN = "ssm:/staging/amid/token" }
  }

  expect_failures = [var.secrets]
}

run "a_prefix_that_would_cover_too_much_is_refused" {
  command = plan

  variables {
    app_prefixes = [""]
  }

  expect_failures = [var.app_prefixes]
}

run "all_roles_at_once_are_refused" {
  command = plan

  variables {
    instance_role_names = ["*"]
  }

  expect_failures = [var.instance_role_names]
}
