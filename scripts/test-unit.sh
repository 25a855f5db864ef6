#!/usr/bin/env bash
# All Rust tests except those that kill the real binary (test-crash.sh).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

say "building the tests (about 20 minutes the first time, most of it one AWS crate)"
cargo_tests --workspace
summary
