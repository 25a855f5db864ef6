#!/usr/bin/env bash
# Builds everything and hands over to `amid-demo`, which closes with the line
# `N passed, N failed` itself.
# usage: scripts/scenes.sh demo | up | e2e [SCENE…] | scene SCENE
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

debug=$CARGO_TARGET_DIR/debug
AMID_TERRAFORM=$(find_terraform)
export AMID_TERRAFORM AMID_CHECKOUT=$root AMID_MOTO_PYTHON=$cache/moto-venv/bin/python

# A first build takes long, and cargo's own progress is the best there is.
say "building amid (about 20 minutes the first time, seconds afterwards)"
if [[ $1 == e2e ]]; then
  # The test of the test: an `amid` that trusts "InService" has to be caught.
  cargo build --workspace --quiet --features amid/broken-health
  cp -f "$debug/amid" "$debug/amid-broken-health"
  export AMID_BROKEN_BIN=$debug/amid-broken-health
fi
cargo build --workspace --quiet

AMID_BIN=$debug/amid exec "$debug/amid-demo" "$@"
