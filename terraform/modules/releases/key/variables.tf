variable "manifest" {
  description = "Text of the app's manifest, as it stands in the repository (JSON)."
  type        = string

  validation {
    condition     = can(keys(jsondecode(var.manifest)))
    error_message = "The manifest is not a JSON object: `amid validate` says where."
  }
}
