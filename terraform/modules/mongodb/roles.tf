# What a member's machine may do: take its own volume, write its own name, read its own secrets, and
# say that it has left. Nothing of another member's.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  # The tail of every ARN in this region and account.
  here = "${data.aws_region.current.name}:${local.account}"
}

data "aws_iam_policy_document" "machine" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "member" {
  for_each = var.members

  # Lists cannot be narrowed: AWS knows no resource for them.
  statement {
    sid       = "Look"
    actions   = ["ec2:DescribeVolumes", "autoscaling:DescribeAutoScalingInstances"]
    resources = ["*"]
  }

  statement {
    sid       = "OwnVolume"
    actions   = ["ec2:AttachVolume"]
    resources = [aws_ebs_volume.member[each.key].arn]
  }

  statement {
    sid       = "ToOwnMachine"
    actions   = ["ec2:AttachVolume"]
    resources = ["arn:${local.partition}:ec2:${local.here}:instance/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:ResourceTag/amid:app"
      values   = [local.apps[each.key]]
    }
  }

  # A volume under a key of one's own is opened in the machine's name.
  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "OpenVolume"
      actions   = ["kms:CreateGrant"]
      resources = [statement.value]

      condition {
        test     = "Bool"
        variable = "kms:GrantIsForAWSResource"
        values   = ["true"]
      }
    }
  }

  statement {
    sid       = "OwnName"
    actions   = ["route53:ChangeResourceRecordSets"]
    resources = [aws_route53_zone.main.arn]

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
      values   = [local.hosts[each.key]]
    }

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "route53:ChangeResourceRecordSetsRecordTypes"
      values   = ["A"]
    }

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "route53:ChangeResourceRecordSetsActions"
      values   = ["UPSERT"]
    }
  }

  statement {
    sid       = "Secrets"
    actions   = ["ssm:GetParameter"]
    resources = ["arn:${local.partition}:ssm:${local.here}:parameter${var.parameter_prefix}/*"]
  }

  statement {
    sid       = "Leave"
    actions   = ["autoscaling:CompleteLifecycleAction"]
    resources = ["arn:${local.partition}:autoscaling:${local.here}:autoScalingGroup:*:autoScalingGroupName/${local.names[each.key]}-*"]
  }
}

resource "aws_iam_role" "member" {
  for_each = var.members

  name               = "${local.names[each.key]}-member"
  description        = "The machine of ${local.apps[each.key]}"
  assume_role_policy = data.aws_iam_policy_document.machine.json
}

resource "aws_iam_role_policy" "member" {
  for_each = var.members

  name   = "member"
  role   = aws_iam_role.member[each.key].id
  policy = data.aws_iam_policy_document.member[each.key].json
}

resource "aws_iam_instance_profile" "member" {
  for_each = var.members

  name = aws_iam_role.member[each.key].name
  role = aws_iam_role.member[each.key].name
}

# --- Who makes the snapshots ---

data "aws_iam_policy_document" "dlm" {
  count = var.snapshots == null ? 0 : 1

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["dlm.amazonaws.com"]
    }

    # Only policies of this account may use the role.
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "snapshots" {
  count = var.snapshots == null ? 0 : 1

  name               = "${local.aws_name}-snapshots"
  description        = "Makes and keeps the snapshots of ${local.aws_name}"
  assume_role_policy = data.aws_iam_policy_document.dlm[0].json
}

resource "aws_iam_role_policy_attachment" "snapshots" {
  count = var.snapshots == null ? 0 : 1

  role       = aws_iam_role.snapshots[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AWSDataLifecycleManagerServiceRole"
}
