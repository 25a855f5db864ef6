#!/usr/bin/env bash
# Kills the real binary at every crash point and in the middle of applies, and
# starts it again. These tests exist only in a build with the feature `faults`;
# they mostly wait, so that many run side by side: minutes, not seconds.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

AMID_TERRAFORM=$(find_terraform)
export AMID_TERRAFORM AMID_CHECKOUT=$root AMID_MOTO_PYTHON=$cache/moto-venv/bin/python
export AMID_BIN=$CARGO_TARGET_DIR/debug/amid

say "building amid with crash points"
cargo build --workspace --quiet --features amid/faults --bin stub-terragrunt
cargo_tests --workspace --features amid/faults --test crash -- --test-threads 12
# Alone, because amid breaks no lock while a person's terraform runs beside it.
say "killing amid in a roll with real terragrunt and terraform"
cargo_tests --workspace --features amid/faults --test crash -- --ignored
summary
