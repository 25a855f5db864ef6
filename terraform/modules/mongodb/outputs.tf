output "members" {
  description = "What each member's own unit needs, by the member's name: `subnet_id`, `instance_profile_name`, and for people `app`, `host`, `volume_id`."
  # Through the policy: a machine that boots before its role may do anything only fails.
  value = {
    for name, member in var.members : name => {
      app                   = local.apps[name]
      host                  = local.hosts[name]
      subnet_id             = member.subnet_id
      volume_id             = aws_ebs_volume.member[name].id
      instance_profile_name = aws_iam_role_policy.member[name].role == "" ? "" : aws_iam_instance_profile.member[name].name
    }
  }
}

output "security_group_id" {
  description = "Security group of the members."
  value       = aws_security_group.member.id
}

output "replica_set" {
  description = "Name of the replica set."
  value       = local.aws_name
}

output "uri" {
  description = "Where clients find the set. Credentials and the database's name are theirs to add."
  value       = "mongodb://${join(",", [for host in values(local.hosts) : "${host}:${local.database_port}"])}/?replicaSet=${local.aws_name}"
}

output "gates" {
  description = "The `gate` for each member's manifest: the next member in turn is asked, because a machine that is away cannot speak for the others."
  value = {
    for index, name in keys(var.members) : name =>
    "http://${local.hosts[keys(var.members)[(index + 1) % length(var.members)]]}:${local.gate_port}/roll/${name}"
  }
}
