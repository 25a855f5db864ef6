#!/usr/bin/env bash
# `terraform test` of every module, with mocked providers: no cloud, no
# credentials. It runs on a copy, so that no lock file lands in the checkout.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

terraform=$(find_terraform)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard -- terraform desired controller/core |
  while IFS= read -r -d '' file; do [[ -e $file ]] && printf '%s\0' "$file"; done |
  xargs -0 cp --parents -t "$copy"

for module in "$copy"/terraform/modules/*/; do
  name=$(basename "$module")
  compgen -G "$module/tests/*.tftest.hcl" >/dev/null || continue
  log=$copy/$name.log
  if ! "$terraform" -chdir="$module" init -backend=false -input=false -no-color >"$log" 2>&1; then
    failed=$((failed + 1))
    say "✗ module $name: init failed"
    sed 's/^/    /' "$log" >&2
    continue
  fi
  status=0
  "$terraform" -chdir="$module" test -no-color >"$log" 2>&1 || status=$?
  read -r good bad < <(sed -nE 's/^(Success|Failure)! ([0-9]+) passed, ([0-9]+) failed.*/\2 \3/p' "$log" | tail -n1) || true
  passed=$((passed + ${good:-0}))
  # A test run that ends badly without counting a failure is one, too.
  ((status == 0 || ${bad:-0} > 0)) || bad=1
  failed=$((failed + ${bad:-0}))
  if ((${bad:-0} > 0)); then
    say "✗ module $name"
    sed 's/^/    /' "$log" >&2
  else
    say "✓ module $name: ${good:-0} tests"
  fi
  unset good bad
done

((passed + failed > 0)) || die "There is no terraform/modules/*/tests/*.tftest.hcl to run"
summary
