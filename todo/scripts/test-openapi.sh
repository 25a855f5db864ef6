#!/bin/sh
# Tests the server against its own OpenAPI document with schemathesis, which is
# installed outside of the checkout on first use.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/amid
venv=$cache/schemathesis-venv
version=4.32.5
mkdir -p "$cache"
exec 9>"$venv.lock"
flock 9
if [ "$(cat "$venv/version" 2>/dev/null)" != "$version" ]; then
    echo "Installing schemathesis $version" >&2
    python3 -m venv --clear "$venv" >&2
    "$venv/bin/pip" install --quiet "schemathesis==$version" >&2
    echo "$version" >"$venv/version"
fi
flock -u 9

server=$("$here/build.sh")
exec "$venv/bin/python" "$here/../tests/openapi/run.py" "$venv/bin/schemathesis" "$server"
