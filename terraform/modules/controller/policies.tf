# What amid may do, in three policies: looking and planning, applying, cleaning up. Each is made of
# the operations in operations.json, which the tests hold against the calls that were really made.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  operations = jsondecode(file("${path.module}/operations.json"))

  # The IAM actions that each kind of operation needs.
  actions = {
    for kind, list in local.operations : kind => distinct([
      for operation in list : lookup(local.operations.permissions, operation, operation)
    ]) if !contains(["$comment", "permissions", "implied"], kind)
  }

  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  here      = "${data.aws_region.current.name}:${local.account}"

  # `prod/` covers the apps `prod/…`, whose groups AWS knows as `prod-…`.
  app_tags    = [for prefix in var.app_prefixes : "${prefix}*"]
  group_names = [for prefix in var.app_prefixes : "${replace(prefix, "/", "-")}*"]

  state_objects = flatten([
    for prefix in var.app_prefixes : [
      "arn:${local.partition}:s3:::${var.state_bucket}/${prefix}${var.app_units}/terraform.tfstate",
      "arn:${local.partition}:s3:::${var.state_bucket}/${prefix}${var.app_units}/terraform.tfstate.tflock",
    ]
  ])
}

# --- Looking, planning: changes nothing ---

data "aws_iam_policy_document" "plan" {
  # AWS knows no resources for lists and looks: amid's own, and those of terraform's refresh.
  statement {
    sid       = "Look"
    actions   = distinct(concat(local.actions.look, local.actions.refresh))
    resources = ["*"]
  }

  # An image may be named by a parameter, and is needed then. Nothing here decrypts.
  statement {
    sid       = "ReadParameters"
    actions   = local.actions.read_parameters
    resources = [for name in var.image_parameters : "arn:${local.partition}:ssm:${local.here}:parameter/${trimprefix(name, "/")}"]
  }

  # Before each run terragrunt looks whether the bucket is kept as it should be.
  statement {
    sid       = "ListState"
    actions   = local.actions.list_state
    resources = ["arn:${local.partition}:s3:::${var.state_bucket}"]
  }

  # The apps' units look at outputs of network, balancer and data: every state of the environment.
  statement {
    sid       = "ReadState"
    actions   = local.actions.read_state
    resources = [for prefix in var.app_prefixes : "arn:${local.partition}:s3:::${var.state_bucket}/${prefix}*"]
  }

  # No app's unit looks at these, and this one's state may hold the secret of the sign-on.
  statement {
    sid     = "NotThese"
    effect  = "Deny"
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = flatten([
      for prefix in var.app_prefixes : [
        for unit in var.private_units : "arn:${local.partition}:s3:::${var.state_bucket}/${prefix}${unit}/*"
      ]
    ])
  }
}

# --- Applying: what an app's unit holds, and its state ---

data "aws_iam_policy_document" "apply" {
  statement {
    sid       = "WriteState"
    actions   = local.actions.write_state
    resources = local.state_objects
  }

  statement {
    sid     = "Groups"
    actions = local.actions.change_groups
    resources = [
      for name in local.group_names : "arn:${local.partition}:autoscaling:${local.here}:autoScalingGroup:*:autoScalingGroupName/${name}"
    ]
  }

  statement {
    sid       = "NewTemplates"
    actions   = local.actions.create_templates
    resources = ["arn:${local.partition}:ec2:${local.here}:launch-template/*"]

    condition {
      test     = "StringLike"
      variable = "aws:RequestTag/amid:app"
      values   = local.app_tags
    }
  }

  statement {
    sid       = "TagNewTemplates"
    actions   = ["ec2:CreateTags"]
    resources = ["arn:${local.partition}:ec2:${local.here}:launch-template/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["CreateLaunchTemplate"]
    }
  }

  statement {
    sid       = "OwnTemplates"
    actions   = local.actions.change_templates
    resources = ["arn:${local.partition}:ec2:${local.here}:launch-template/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/amid:app"
      values   = local.app_tags
    }
  }

  # Auto Scaling launches in the name of whoever made the group: from a template that is ours, and
  # from nothing else.
  statement {
    sid       = "Launch"
    actions   = ["ec2:RunInstances"]
    resources = ["*"]

    condition {
      test     = "ArnLike"
      variable = "ec2:LaunchTemplate"
      values   = ["arn:${local.partition}:ec2:${local.here}:launch-template/*"]
    }

    condition {
      test     = "Bool"
      variable = "ec2:IsLaunchTemplateResource"
      values   = ["true"]
    }
  }

  statement {
    sid       = "TagLaunched"
    actions   = ["ec2:CreateTags"]
    resources = [for kind in ["instance", "volume"] : "arn:${local.partition}:ec2:${local.here}:${kind}/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["RunInstances"]
    }
  }

  dynamic "statement" {
    for_each = length(var.instance_role_names) == 0 ? [] : [var.instance_role_names]

    content {
      sid       = "HandOnRoles"
      actions   = ["iam:PassRole"]
      resources = [for name in statement.value : "arn:${local.partition}:iam::${local.account}:role/${name}"]

      condition {
        test     = "StringEquals"
        variable = "iam:PassedToService"
        values   = ["ec2.amazonaws.com"]
      }
    }
  }

  statement {
    sid       = "FirstGroup"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["arn:${local.partition}:iam::${local.account}:role/aws-service-role/autoscaling.amazonaws.com/*"]

    condition {
      test     = "StringEquals"
      variable = "iam:AWSServiceName"
      values   = ["autoscaling.amazonaws.com"]
    }
  }
}

# --- Cleaning up: images and snapshots that our builds have tagged, and no others ---

data "aws_iam_policy_document" "cleanup" {
  statement {
    sid       = "OwnImages"
    actions   = local.actions.clean_images
    resources = ["arn:${local.partition}:ec2:${data.aws_region.current.name}::image/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/amid:kind"
      values   = ["?*"]
    }
  }

  # Deregistering deletes an image's snapshots too.
  statement {
    sid       = "OwnSnapshots"
    actions   = local.actions.clean_snapshots
    resources = ["arn:${local.partition}:ec2:${data.aws_region.current.name}::snapshot/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/amid:kind"
      values   = ["?*"]
    }
  }

  # Stages stand in tags of their own. Nobody can make an image ours by a tag: the one that says so
  # is not among those that may be written.
  statement {
    sid       = "Mark"
    actions   = local.actions.mark
    resources = [for kind in ["image", "snapshot"] : "arn:${local.partition}:ec2:${data.aws_region.current.name}::${kind}/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/amid:kind"
      values   = ["?*"]
    }

    condition {
      test     = "ForAllValues:StringLike"
      variable = "aws:TagKeys"
      values   = ["amid:*"]
    }

    condition {
      test     = "ForAllValues:StringNotEquals"
      variable = "aws:TagKeys"
      values   = ["amid:kind"]
    }
  }
}

locals {
  policies = merge(
    { plan = data.aws_iam_policy_document.plan.json, apply = data.aws_iam_policy_document.apply.json },
    { for name in ["cleanup"] : name => data.aws_iam_policy_document.cleanup.json if var.cleanup },
  )
}

resource "aws_iam_policy" "amid" {
  for_each = local.policies

  name        = "${var.name}-${each.key}"
  description = "amid: ${each.key}"
  policy      = each.value
}
