#!/bin/sh
# Starts a database and the server, prints the address and stops both on
# Ctrl-C. Flags are passed on to the server. The todos are kept in the cache
# folder, so that they are there again next time.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
data=${XDG_CACHE_HOME:-$HOME/.cache}/amid/todo-data
log=$data.log
port=${TODO_DATABASE_PORT:-27117}
mkdir -p "$data"

program=$("$here/mongo-program.sh")
server=$("$here/build.sh")

case $program in
*/mongod) set -- "$program" --bind_ip 127.0.0.1 --port "$port" --dbpath "$data" -- "$@" ;;
*)
    echo "There is no \`mongod\` in PATH: using a stand-in for it, SecantusDB"
    set -- "$program" --host 127.0.0.1 --port "$port" --storage-path "$data" \
        --cache-size 256M --sync-on-commit --log-level WARNING -- "$@"
    ;;
esac

# What stands before `--` starts the database, the rest is for the server.
database=
while [ "$1" != -- ]; do
    database="$database '$1'"
    shift
done
shift
eval "$database" >"$log" 2>&1 &
database=$!
trap 'kill "$database" 2>/dev/null; wait "$database" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM

listen=${TODO_LISTEN:-127.0.0.1:8080}
"$server" --listen "$listen" --database-url "mongodb://127.0.0.1:$port/" --log warn,todo=info "$@" >"$data.server.log" 2>&1 &
server=$!
trap 'kill -INT "$server" 2>/dev/null; wait "$server" 2>/dev/null || true
    kill "$database" 2>/dev/null; wait "$database" 2>/dev/null || true' EXIT

for _ in $(seq 1 300); do
    if python3 - "$listen" <<'PYTHON' 2>/dev/null; then
import sys, urllib.request
urllib.request.urlopen(f"http://{sys.argv[1]}/readyz", timeout=1)
PYTHON
        echo "The todo list is at http://$listen/ (Ctrl-C stops it)"
        wait "$server"
        exit
    fi
    if ! kill -0 "$server" 2>/dev/null; then
        cat "$data.server.log" >&2
        exit 1
    fi
    sleep 0.1
done
echo "The server did not become ready; see $data.server.log and $log" >&2
exit 1
