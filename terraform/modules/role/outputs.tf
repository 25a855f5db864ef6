output "instance_profile_name" {
  description = "Instance profile for the app's machines."
  value       = aws_iam_instance_profile.main.name
}

output "role_arn" {
  description = "The role."
  value       = aws_iam_role.main.arn
}
