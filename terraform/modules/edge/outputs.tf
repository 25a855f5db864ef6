output "target_group_arns" {
  description = "ARN of each app's target group, by the app's name."
  # Through the rule: a target group is of use only once the balancer forwards to it.
  value = { for app, rule in aws_lb_listener_rule.app : app => rule.action[0].target_group_arn }
}

output "resource_labels" {
  description = "What a scaling policy by requests (`ALBRequestCountPerTarget`) wants to know, by the app's name."
  value       = { for app, group in aws_lb_target_group.app : app => "${aws_lb.main.arn_suffix}/${group.arn_suffix}" }
}

output "dns_name" {
  description = "Name of the load balancer in DNS."
  value       = aws_lb.main.dns_name
}
