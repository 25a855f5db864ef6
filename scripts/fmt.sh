#!/usr/bin/env bash
# Formats Rust, terraform and terragrunt files.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

cargo fmt --all
if [[ -d terraform ]]; then
  "$(find_terraform)" fmt -recursive terraform
  terragrunt hcl fmt --working-dir terraform
fi
