mock_provider "aws" {
  # Nothing here is applied: terraform would have to destroy volumes that it must not destroy.
  override_during = plan

  mock_resource "aws_ebs_volume" {
    defaults = { arn = "arn:aws:ec2:us-east-1:123456789012:volume/vol-mock" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_resource "aws_route53_zone" {
    defaults = { zone_id = "Z0MOCK", arn = "arn:aws:route53:::hostedzone/Z0MOCK" }
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

# A subnet says which zone it is in.
override_data {
  target = data.aws_subnet.member["a"]
  values = { availability_zone = "us-east-1a" }
}

override_data {
  target = data.aws_subnet.member["b"]
  values = { availability_zone = "us-east-1b" }
}

override_data {
  target = data.aws_subnet.member["c"]
  values = { availability_zone = "us-east-1c" }
}

variables {
  app              = "prod/mongodb"
  vpc_id           = "vpc-1"
  dns_zone         = "mongodb.prod.internal"
  parameter_prefix = "/prod/mongodb"

  members = {
    a = { subnet_id = "subnet-a" }
    b = { subnet_id = "subnet-b", size = 100 }
    c = { subnet_id = "subnet-c", snapshot_id = "snap-0123456789abcdef0" }
  }

  client_security_group_ids = { apps = "sg-app" }
  gate_security_group_ids   = { amid = "sg-amid" }
}

run "each_member_has_an_encrypted_volume_in_the_zone_of_its_subnet" {
  command = plan

  assert {
    condition     = alltrue([for volume in aws_ebs_volume.member : volume.encrypted && volume.type == "gp3"])
    error_message = "Every volume is encrypted, every volume is gp3."
  }

  assert {
    condition     = { for name, volume in aws_ebs_volume.member : name => volume.availability_zone } == { a = "us-east-1a", b = "us-east-1b", c = "us-east-1c" }
    error_message = "A volume can be attached in its own zone only."
  }

  assert {
    condition     = aws_ebs_volume.member["b"].size == 100 && aws_ebs_volume.member["c"].snapshot_id == "snap-0123456789abcdef0"
    error_message = "What is said of one member counts for it."
  }
}

run "a_machine_can_tell_its_own_volume_from_the_others" {
  command = plan

  assert {
    condition     = { for name, volume in aws_ebs_volume.member : name => volume.tags["amid:data"] } == { a = "prod/mongodb/a", b = "prod/mongodb/b", c = "prod/mongodb/c" }
    error_message = "A volume names the app whose data it holds."
  }

  assert {
    condition     = aws_ebs_volume.member["b"].tags["mongodb:name"] == "b.mongodb.prod.internal"
    error_message = "A machine learns its name from its volume."
  }
}

run "no_volume_is_taken_for_an_apps_machine" {
  command = plan

  assert {
    condition     = alltrue([for volume in aws_ebs_volume.member : !contains(keys(volume.tags), "amid:app")])
    error_message = "`amid:app` marks what a release made, and comes and goes with it."
  }
}

run "the_next_member_is_asked_whether_one_may_go" {
  command = plan

  assert {
    condition = output.gates == {
      a = "http://b.mongodb.prod.internal:27080/roll/a"
      b = "http://c.mongodb.prod.internal:27080/roll/b"
      c = "http://a.mongodb.prod.internal:27080/roll/c"
    }
    error_message = "A member's gate is another member."
  }

  assert {
    condition     = output.uri == "mongodb://a.mongodb.prod.internal:27017,b.mongodb.prod.internal:27017,c.mongodb.prod.internal:27017/?replicaSet=prod-mongodb"
    error_message = "Clients are told of all members, by name."
  }
}

run "only_those_who_are_named_reach_the_database" {
  command = plan

  assert {
    condition = [for rule in aws_vpc_security_group_ingress_rule.clients : [rule.referenced_security_group_id, rule.from_port, rule.to_port]] == [
      ["sg-app", 27017, 27017],
    ]
    error_message = "Clients reach the database and nothing else."
  }

  assert {
    condition = [for rule in aws_vpc_security_group_ingress_rule.gate : [rule.referenced_security_group_id, rule.from_port, rule.to_port]] == [
      ["sg-amid", 27080, 27080],
    ]
    error_message = "amid reaches the gate, and not the database."
  }

  assert {
    condition     = alltrue([for rule in concat(values(aws_vpc_security_group_ingress_rule.clients), values(aws_vpc_security_group_ingress_rule.gate), values(aws_vpc_security_group_ingress_rule.peers)) : rule.cidr_ipv4 == null])
    error_message = "Nobody is let in by address."
  }
}

run "a_role_reaches_its_own_member_only" {
  command = plan

  assert {
    condition = alltrue([
      for name, document in data.aws_iam_policy_document.member : alltrue([
        for statement in document.statement : toset(flatten([for condition in statement.condition : condition.values])) == toset(["prod/mongodb/${name}"])
        if statement.sid == "ToOwnMachine"
      ])
    ])
    error_message = "A machine may attach its volume to a machine of its own app only."
  }

  assert {
    condition = alltrue([
      for name, document in data.aws_iam_policy_document.member : alltrue([
        for statement in document.statement : statement.sid == "Look" || !contains(statement.resources, "*")
      ])
    ])
    error_message = "Nothing but lists is allowed on everything."
  }
}

run "snapshots_can_be_left_to_somebody_else" {
  command = plan

  variables {
    snapshots = null
  }

  assert {
    condition     = length(aws_dlm_lifecycle_policy.snapshots) + length(aws_iam_role.snapshots) == 0
    error_message = "Without `snapshots` there is neither a policy nor a role for it."
  }
}

run "two_members_are_refused" {
  command = plan

  variables {
    members = { a = { subnet_id = "subnet-a" }, b = { subnet_id = "subnet-b" } }
  }

  expect_failures = [var.members]
}

run "a_volume_that_gp3_cannot_be_is_refused" {
  command = plan

  variables {
    members = { a = { subnet_id = "subnet-a", iops = 100 } }
  }

  expect_failures = [var.members]
}

run "a_time_that_is_none_is_refused" {
  command = plan

  variables {
    snapshots = { time = "3 am" }
  }

  expect_failures = [var.snapshots]
}
