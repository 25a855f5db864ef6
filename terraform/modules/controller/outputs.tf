output "security_group_id" {
  description = "Security group of the machine: what a gate lets in."
  value       = aws_security_group.main.id
}

output "role_arn" {
  description = "Role of the machine: what roles in other accounts trust."
  value       = aws_iam_role.machine.arn
}

output "plan_role_arn" {
  description = "Role that only looks and plans. Null where nobody may take it on."
  value       = one(aws_iam_role.plan[*].arn)
}

output "policy_arns" {
  description = "The policies by name (`plan`, `apply`, `cleanup`), for roles of other accounts to be made alike."
  value       = { for name, policy in aws_iam_policy.amid : name => policy.arn }
}

output "group_name" {
  description = "The group of one that keeps amid running."
  value       = aws_autoscaling_group.main.name
}

output "dns_names" {
  description = "Names of the load balancers in DNS, by door (`webhook`, `page`)."
  value       = { for name, balancer in aws_lb.door : name => balancer.dns_name }
}
