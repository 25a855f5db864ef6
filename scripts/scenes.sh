#!/usr/bin/env bash
# Builds everything and hands over to `amid-demo`, which closes with the line
# `N passed, N failed` itself.
# With AMID_WATCH=1 a real Prometheus watches the demo: no alert may be left.
# usage: scripts/scenes.sh demo | up | e2e [SCENE…] | scene SCENE
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

debug=$CARGO_TARGET_DIR/debug
AMID_TERRAFORM=$(find_terraform)
export AMID_TERRAFORM AMID_CHECKOUT=$root AMID_MOTO_PYTHON=$cache/moto-venv/bin/python

if [[ -n ${AMID_WATCH:-} ]]; then
  prometheus=$(scripts/prometheus.sh)
  export AMID_PROMETHEUS=$prometheus/prometheus
fi

# A first build takes long, and cargo's own progress is the best there is.
say "building amid (about 20 minutes the first time, seconds afterwards)"
if [[ $1 == e2e ]]; then
  # The test of the test: an `amid` that trusts "InService" has to be caught.
  cargo build --workspace --quiet --features amid/broken-health
  cp -f "$debug/amid" "$debug/amid-broken-health"
  export AMID_BROKEN_BIN=$debug/amid-broken-health
fi
cargo build --workspace --quiet

export AMID_BIN=$debug/amid
[[ $1 == e2e ]] || exec "$debug/amid-demo" "$@"

# Scenes wait for real programs with real limits of time. One that fails beside
# others on a busy machine is played once more, alone, and that counts; which
# ones did stands in the output.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
count() { awk -v field="$1" '/^[0-9]+ passed, [0-9]+ failed$/ { n = field == 1 ? $1 : $3 } END { print n == "" ? field - 1 : n }' "$log"; }
if "$debug/amid-demo" "$@" | tee "$log"; then
  exit 0
fi
mapfile -t again < <(sed -nE 's/^ +([a-z-]+) +✗ .*/\1/p' "$log" | sort -u)
((${#again[@]} > 0 && ${#again[@]} <= 4)) || exit 1
passed=$(count 1)
say ""
say "failed beside others, and played once more, alone: ${again[*]}"
AMID_E2E_JOBS=1 "$debug/amid-demo" e2e "${again[@]}" | tee "$log" || true
passed=$((passed + $(count 1)))
failed=$(count 2)
summary
