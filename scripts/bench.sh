#!/usr/bin/env bash
# Measures an optimised amid against the bars and writes bench/RESULTS.md; a
# missed bar is shown and is no failure.
# usage: scripts/bench.sh [--quick] [push|webhook|sweep|metrics|start|group|roll|page|cleanup|cleaners]… | todo
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

AMID_TERRAFORM=$(find_terraform)
export AMID_TERRAFORM AMID_CHECKOUT=$root AMID_MOTO_PYTHON=$cache/moto-venv/bin/python

# The sample app is measured against its like by its own script.
if (($# == 0)) || [[ $* == todo ]]; then
  todo/scripts/bench.sh || say "some bars of the sample app are missed, see above"
  [[ $* != todo ]] || exit 0
fi

# The cleaners of others that ours is compared with.
others_there() {
  local venv=$cache/cleaners-venv pins=$root/scripts/cleaners-requirements.txt
  export AMID_CLEANERS_PYTHON=$venv/bin/python
  [[ -x $venv/bin/python ]] && cmp -s "$pins" "$venv/pins.txt" && return 0
  say "installing Cloud Custodian and aws-amicleaner into a virtual environment, about a minute once"
  python3 -m venv "$venv" &&
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$pins" >&2 &&
    cp "$pins" "$venv/pins.txt"
}
case " $* " in
  "  " | " --quick " | *" cleaners "*)
    others_there || say "the other cleaners of images could not be installed: only they are not compared"
    ;;
esac

# Everything is compiled once more, with optimisations: one AWS crate alone
# takes minutes. Cargo's own progress is the best there is.
say "building amid with optimisations (about 30 minutes the first time, a minute afterwards)"
cargo build --release -p amid -p amid-testkit
cargo build --release -p amid-core --example retention_bench
cargo build --release -p amid --example history_bench
AMID_BIN=$CARGO_TARGET_DIR/release/amid exec "$CARGO_TARGET_DIR/release/amid-bench" "$@"
