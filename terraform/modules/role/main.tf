# What the machines of one app may do: read their own secrets, and nothing else. amid hands this
# role on and never has it.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  aws_name  = replace(var.app, "/", "-")
  prefix    = coalesce(var.parameter_prefix, "/${var.app}")
  partition = data.aws_partition.current.partition
}

data "aws_iam_policy_document" "by_machine" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "secrets" {
  statement {
    sid       = "Secrets"
    actions   = ["ssm:GetParameter"]
    resources = ["arn:${local.partition}:ssm:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:parameter${local.prefix}/*"]
  }
}

resource "aws_iam_role" "main" {
  name               = local.aws_name
  description        = "Machines of ${var.app}"
  assume_role_policy = data.aws_iam_policy_document.by_machine.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "secrets" {
  name   = "secrets"
  role   = aws_iam_role.main.id
  policy = data.aws_iam_policy_document.secrets.json
}

resource "aws_iam_instance_profile" "main" {
  name = local.aws_name
  role = aws_iam_role.main.name
}
