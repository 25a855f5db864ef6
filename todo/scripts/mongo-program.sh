#!/bin/sh
# Prints the program to test and try things out with: `mongod` from PATH, or
# else a stand-in that speaks its protocol, which is installed on first use.
# The stand-in is for tests only; production runs MongoDB 7 or 8.
set -eu

if command -v mongod; then
    exit 0
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/amid
venv=$cache/mongo-venv
program=$venv/bin/secantusd-py
version=0.7.0b3
mkdir -p "$cache"
exec 9>"$cache/mongo-venv.lock"
flock 9
if [ "$(cat "$venv/version" 2>/dev/null)" != "$version" ]; then
    echo "Installing the stand-in for MongoDB: SecantusDB $version" >&2
    python3 -m venv --clear "$venv" >&2
    "$venv/bin/pip" install --quiet "SecantusDB==$version" >&2
    echo "$version" >"$venv/version"
fi
echo "$program"
