# What a manifest says of a machine, as one canonical text, and the short hash of it that names a
# release. amid computes the same from the same file; tests/release_keys.json holds both to it.

locals {
  # Given fields only: `revision: 0` written down is another text than no revision at all.
  plain_fields = ["ami", "instance_types", "revision", "user_data"]
  named_fields = ["env", "secrets"]

  # `$schema` and `$comment` may stand anywhere in a manifest and never say anything of a machine.
  remarks = ["$schema", "$comment"]

  manifest = jsondecode(var.manifest)
  given    = keys(local.manifest)

  settings = merge(
    { for field in local.plain_fields : field => local.manifest[field] if contains(local.given, field) },
    {
      for field in local.named_fields : field => {
        for name, value in local.manifest[field] : name => value if !contains(local.remarks, name)
      } if contains(local.given, field)
    },
  )
}
