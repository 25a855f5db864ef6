# What `make test-infra` holds the modules against. Both rule sets come built from tools/, pinned.

plugin "terraform" {
  enabled = true
  preset  = "all"
}

plugin "aws" {
  enabled = true
}

# One file per subject reads better than one file called main.tf, and a module without outputs has
# no file for them.
rule "terraform_standard_module_structure" {
  enabled = false
}
