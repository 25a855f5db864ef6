#!/usr/bin/env bash
# The todo app against its OpenAPI document and in a real browser. Its Rust
# tests are among those of test-unit.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

for script in test-openapi test-browser; do
  log=$(mktemp)
  status=0
  "todo/scripts/$script.sh" | tee "$log" || status=$?
  read -r good bad < <(awk '/^[0-9]+ passed, [0-9]+ failed$/ { good = $1; bad = $3 } END { print good + 0, bad + 0 }' "$log")
  rm -f "$log"
  # One that ends badly without counting a failure is one, too.
  ((status == 0 || bad > 0)) || bad=1
  passed=$((passed + good))
  failed=$((failed + bad))
done
summary
