#!/usr/bin/env bash
# All Rust tests except those that kill the real binary (test-crash.sh).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

# Without it the tests that need moto say that they are skipped, and pass.
export AMID_MOTO_PYTHON=$cache/moto-venv/bin/python

say "building the tests (about 20 minutes the first time, most of it one AWS crate)"
cargo_tests --workspace
summary
