# Who amid is in AWS: the machine's role, which looks, plans and applies; and a role that only looks
# and plans, for whoever previews a pull request. A pull request's HCL is code, so it never runs with
# the machine's role.

data "aws_iam_policy_document" "by_machine" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "machine" {
  name               = "${var.name}-machine"
  description        = "The machine that amid runs on"
  assume_role_policy = data.aws_iam_policy_document.by_machine.json
  tags               = var.tags
}

resource "aws_iam_instance_profile" "machine" {
  name = aws_iam_role.machine.name
  role = aws_iam_role.machine.name
}

resource "aws_iam_role_policy_attachment" "machine" {
  for_each = aws_iam_policy.amid

  role       = aws_iam_role.machine.name
  policy_arn = each.value.arn
}

data "aws_iam_policy_document" "machine" {
  statement {
    sid       = "Secrets"
    actions   = ["ssm:GetParameter"]
    resources = ["arn:${local.partition}:ssm:${local.here}:parameter${var.parameter_prefix}/*"]
  }

  statement {
    sid       = "WhichGroup"
    actions   = ["autoscaling:DescribeAutoScalingInstances"]
    resources = ["*"]
  }

  statement {
    sid       = "Leave"
    actions   = ["autoscaling:CompleteLifecycleAction"]
    resources = ["arn:${local.partition}:autoscaling:${local.here}:autoScalingGroup:*:autoScalingGroupName/${var.name}"]
  }

  dynamic "statement" {
    for_each = aws_ebs_volume.state

    content {
      sid       = "OwnVolume"
      actions   = ["ec2:AttachVolume"]
      resources = [statement.value.arn]
    }
  }

  dynamic "statement" {
    for_each = aws_ebs_volume.state

    content {
      sid       = "ToOwnMachine"
      actions   = ["ec2:AttachVolume"]
      resources = ["arn:${local.partition}:ec2:${local.here}:instance/*"]

      condition {
        test     = "StringEquals"
        variable = "ec2:ResourceTag/amid:controller"
        values   = [var.name]
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.assume_role_arns) == 0 ? [] : [var.assume_role_arns]

    content {
      sid       = "OtherAccounts"
      actions   = ["sts:AssumeRole"]
      resources = statement.value
    }
  }
}

resource "aws_iam_role_policy" "machine" {
  name   = "machine"
  role   = aws_iam_role.machine.id
  policy = data.aws_iam_policy_document.machine.json
}

# --- Previews ---

data "aws_iam_policy_document" "by_builds" {
  count = length(var.plan_principal_arns) == 0 ? 0 : 1

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = var.plan_principal_arns
    }
  }
}

resource "aws_iam_role" "plan" {
  count = length(var.plan_principal_arns) == 0 ? 0 : 1

  name               = "${var.name}-plan"
  description        = "Looks and plans, changes nothing"
  assume_role_policy = data.aws_iam_policy_document.by_builds[0].json
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "plan" {
  count = length(var.plan_principal_arns) == 0 ? 0 : 1

  role       = aws_iam_role.plan[0].name
  policy_arn = aws_iam_policy.amid["plan"].arn
}
