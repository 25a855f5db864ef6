# amid computes the same texts and keys in Rust, tested from the same file.

mock_provider "aws" {}

run "text_and_key_of_every_golden_vector" {
  command = plan

  module {
    source = "./tests/vectors"
  }

  variables {
    vectors = jsondecode(file("./tests/release_keys.json"))
  }

  assert {
    condition     = length(var.vectors) >= 14
    error_message = "The golden vectors are missing."
  }

  assert {
    condition     = output.settings == { for vector in var.vectors : vector.name => vector.text }
    error_message = "Texts differ: ${jsonencode([for vector in var.vectors : vector.name if output.settings[vector.name] != vector.text])}"
  }

  assert {
    condition     = output.keys == { for vector in var.vectors : vector.name => vector.key }
    error_message = "Keys differ: ${jsonencode([for vector in var.vectors : vector.name if output.keys[vector.name] != vector.key])}"
  }
}
