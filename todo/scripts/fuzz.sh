#!/bin/sh
# Fuzzes the request parsers for so many seconds (60 unless told). Works with
# the stable compiler; cargo-fuzz works as well, and adds a sanitizer.
set -eu

cd "$(dirname "$0")/../fuzz"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/amid/todo-fuzz
mkdir -p "$cache/corpus"
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cdebug-assertions -Ccodegen-units=1"
export RUSTFLAGS
cargo build --release --quiet --target-dir "$cache/target" --target "$(rustc --print host-tuple)"
exec "$cache/target/$(rustc --print host-tuple)/release/parsers" "$cache/corpus" seeds \
    -max_len=4096 -max_total_time="${1:-60}" -artifact_prefix="$cache/"
