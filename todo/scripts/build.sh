#!/bin/sh
# Builds the todo server and prints where the program is. `--release` for the
# optimised one. The whole workspace is built, so that every crate is compiled
# with one set of features, once.
set -eu

cd "$(dirname "$0")/../.."
profile=debug
[ "${1:-}" != --release ] || profile=release
cargo build --workspace --quiet ${1:+"$1"} >&2
target=${CARGO_TARGET_DIR:-$(cargo metadata --format-version 1 --no-deps --offline |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')}
echo "$target/$profile/todo"
