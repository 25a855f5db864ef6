output "vpc_id" {
  description = "Id of the network."
  value       = aws_vpc.main.id
}

output "subnet_ids" {
  description = "Ids of the subnets, in the order of the zones."
  value       = [for zone in var.zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Ids of the private subnets, in the order of the zones. Empty without private subnets."
  value       = [for zone in var.zones : aws_subnet.private[zone].id if var.private_subnets]
}

output "cidr_block" {
  description = "Addresses of the network."
  value       = aws_vpc.main.cidr_block
}

output "balancer_security_group_id" {
  description = "Security group for load balancers."
  value       = aws_security_group.balancer.id
}

output "app_security_group_id" {
  description = "Security group for the apps' instances."
  value       = aws_security_group.app.id
}

output "app_port" {
  description = "Port that the apps' security group lets the balancer reach."
  value       = var.app_port
}

output "health_port" {
  description = "Port that the balancer may ask for the machines' health. Null: `app_port`."
  value       = var.health_port
}
