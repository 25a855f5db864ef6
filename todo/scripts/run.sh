#!/bin/sh
# Starts a database and the server, prints the address and stops both on
# Ctrl-C. Flags are passed on to the server. The todos are kept in the cache
# folder, so that they are there again next time.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
data=${XDG_CACHE_HOME:-$HOME/.cache}/amid/todo-data
port=${TODO_DATABASE_PORT:-27117}
listen=${TODO_LISTEN:-127.0.0.1:8080}
mkdir -p "$data"

database=
server=
stop() {
    trap - EXIT
    [ -z "$server" ] || kill -INT "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    [ -z "$database" ] || kill "$database" 2>/dev/null || true
    [ -z "$database" ] || wait "$database" 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT TERM

program=$("$here/mongo-program.sh")
binary=$("$here/build.sh")

case $program in
*/mongod)
    "$program" --bind_ip 127.0.0.1 --port "$port" --dbpath "$data" >"$data.log" 2>&1 &
    ;;
*)
    echo "There is no \`mongod\` in PATH: using a stand-in for it, SecantusDB"
    "$program" --host 127.0.0.1 --port "$port" --storage-path "$data" \
        --cache-size 256M --sync-on-commit --log-level WARNING >"$data.log" 2>&1 &
    ;;
esac
database=$!

"$binary" --listen "$listen" --database-url "mongodb://127.0.0.1:$port/" "$@" >"$data.server.log" 2>&1 &
server=$!

is_ready() {
    python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=1)' \
        "http://$listen/readyz" 2>/dev/null
}

tries=0
until is_ready; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ] || ! kill -0 "$server" 2>/dev/null; then
        echo "The server did not become ready:" >&2
        tail -n 5 "$data.server.log" "$data.log" >&2
        exit 1
    fi
    sleep 0.1
done
echo "The todo list is at http://$listen/ (Ctrl-C stops it)"
wait "$server"
