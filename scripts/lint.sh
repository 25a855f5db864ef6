#!/usr/bin/env bash
# Form: formatting, lints, documentation. Says one line a check, and what is
# wrong only where something is.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

terraform=$(find_terraform)

check "Rust is formatted" cargo fmt --all --check
check "clippy has no complaint" cargo clippy --workspace --all-targets --quiet -- -D warnings
check "the documentation builds" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
if command -v cargo-deny >/dev/null; then
  check "licences, bans and sources of dependencies" cargo deny --offline check licenses bans sources
  # A new advisory is nobody's mistake on the day it is published: said, not counted.
  cargo deny check advisories >&2 || say "cargo-deny found advisories, see above"
fi
if [[ -d terraform ]]; then
  check "terraform is formatted" "$terraform" fmt -check -recursive terraform
  check "terragrunt is formatted" terragrunt hcl fmt --check --working-dir terraform
fi
if command -v shellcheck >/dev/null; then
  check "shellcheck has no complaint" shellcheck -x scripts/*.sh .ci/run packer/*.sh packer/provision/*.sh packaging/*/build.sh packaging/deb/p*{inst,rm}
fi
# The linter is a Java program; without Java it would try to fetch one.
if command -v java >/dev/null && command -v npm >/dev/null; then
  groovy=$(todo/scripts/node-modules.sh "$root/tools/npm-groovy-lint/package.json")
  check "the Jenkinsfile reads well" "$groovy/node_modules/.bin/npm-groovy-lint" --noserver --config recommended-jenkinsfile --failon warning Jenkinsfile
fi

summary
