#!/bin/sh
# Measures the server against one in Express and mongoose, both on the same
# database in the same run. The figures go to bench/figures.json.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
modules=$("$here/scripts/node-modules.sh" "$here/bench/package.json")
mongo=$("$here/scripts/mongo-program.sh")
todo=$("$here/scripts/build.sh" --release)
exec python3 "$here/bench/run.py" "$todo" "$(dirname "$todo")/examples/load" "$mongo" "$modules" \
    "${TODO_FIGURES:-$here/bench/figures.json}"
