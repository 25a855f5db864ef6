# The key module over every golden vector.

terraform {
  required_version = ">= 1.11"
}

variable "vectors" {
  description = "Golden vectors: name, manifest, text, key."
  type        = any
}

module "key" {
  for_each = { for vector in var.vectors : vector.name => jsonencode(vector.manifest) }
  source   = "../../key"
  manifest = each.value
}

output "settings" {
  description = "Canonical texts, by the vectors' names."
  value       = { for name, key in module.key : name => key.settings }
}

output "keys" {
  description = "Keys, by the vectors' names."
  value       = { for name, key in module.key : name => key.key }
}
