#!/usr/bin/env bash
# Kills the real binary at every crash point and in the middle of applies, and
# starts it again. These tests exist only in a build with the feature `faults`;
# they mostly wait, so that many run side by side: minutes, not seconds.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

say "building amid with crash points"
cargo build --workspace --quiet --features amid/faults --bin stub-terragrunt
cargo_tests --workspace --features amid/faults --test crash -- --test-threads 12
summary
