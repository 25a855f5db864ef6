#!/usr/bin/env bash
# Kills the real binary at every crash point and starts it again. The tests in
# controller/tests/crash.rs exist only in a build with the feature `faults`.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

compgen -G 'controller/tests/crash*.rs' >/dev/null || die "There is no controller/tests/crash*.rs to run"
AMID_TERRAFORM=$(find_terraform)
export AMID_TERRAFORM
cargo_tests --workspace --features amid/faults --test 'crash*'
summary
