#!/bin/sh
# Builds the todo server and prints where the program is. `--release` for the
# optimised one, which is built alone. Otherwise the whole workspace is built,
# so that every crate is compiled with one set of features, once.
set -eu

cd "$(dirname "$0")/../.."
if [ "${1:-}" = --release ]; then
    profile=release
    cargo build --package todo --bins --examples --release --quiet >&2
else
    profile=debug
    cargo build --workspace --quiet >&2
fi
target=${CARGO_TARGET_DIR:-$(cargo metadata --format-version 1 --no-deps --offline |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')}
echo "$target/$profile/todo"
