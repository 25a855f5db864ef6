#!/usr/bin/env bash
# Measures against the bars and writes bench/RESULTS.md. The benchmark is the
# example or binary `amid-bench`; it gets the tools as the scenes do.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

AMID_TERRAFORM=$(find_terraform)
export AMID_TERRAFORM AMID_CHECKOUT=$root AMID_MOTO_PYTHON=$cache/moto-venv/bin/python

say "building amid with optimisations (about 30 minutes the first time)"
cargo build --workspace --release --quiet
AMID_BIN=$CARGO_TARGET_DIR/release/amid exec "$CARGO_TARGET_DIR/release/amid-bench" "$@"
