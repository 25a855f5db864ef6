#!/usr/bin/env bash
# Every check there is, one kind after the other, and their sum at the end. A
# failing kind does not keep the others from running.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

last=$(mktemp)
trap 'rm -f "$last"' EXIT

for verb in lint test-unit test-terraform test-infra test-todo test-page test-dashboards test-crash test-e2e; do
  say ""
  say "── make $verb"
  status=0
  "${MAKE:-make}" --no-print-directory -C "$root" "$verb" | tee "$last" || status=$?
  counted=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$last" | tail -n1)
  read -r good bad <<<"${counted:-0 0}"
  passed=$((passed + good))
  # A verb that ends badly without counting a failure is one, too.
  ((status == 0 || bad > 0)) || bad=1
  failed=$((failed + bad))
done

say ""
summary
