output "settings" {
  description = "Canonical text: `jsonencode` of the manifest's machine fields (sorted keys, NFC, `<` `>` `&` escaped)."
  value       = jsonencode(local.settings)
}

output "key" {
  description = "First ten hex digits of the text's SHA-256."
  value       = substr(sha256(jsonencode(local.settings)), 0, 10)
}
