#!/usr/bin/env bash
# Kills the real binary at every crash point and starts it again. These tests
# are the `#[ignore]`d ones of controller/tests/crash*.rs: minutes, not seconds.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

compgen -G 'controller/tests/crash*.rs' >/dev/null || die "There is no controller/tests/crash*.rs to run"
AMID_TERRAFORM=$(find_terraform)
export AMID_TERRAFORM
cargo_tests --workspace --test 'crash*' -- --ignored
summary
