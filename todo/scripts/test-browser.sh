#!/bin/sh
# Tests the page in headless Chromium. Usage: test-browser.sh [WORD...]
#
# Needs Node and Debian's `chromium`; the packages that drive it are installed
# outside of the checkout on first use. Pictures of the page are left in the
# folder that is printed.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/amid

TODO_CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$TODO_CHROMIUM" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium" >&2
    apt-get install -y --no-install-recommends chromium fonts-dejavu-core >&2 ||
        { apt-get update >&2 && apt-get install -y --no-install-recommends chromium fonts-dejavu-core >&2; }
    TODO_CHROMIUM=$(command -v chromium)
fi
if [ -z "$TODO_CHROMIUM" ]; then
    echo "Chromium is missing: install it with \`apt-get install chromium\`" >&2
    exit 2
fi

TODO_NODE_MODULES=$("$here/scripts/node-modules.sh" "$here/tests/browser/package.json")
TODO_MONGO=$("$here/scripts/mongo-program.sh")
TODO_BINARY=$("$here/scripts/build.sh")
TODO_PICTURES=${TODO_PICTURES:-$cache/todo-pictures}
mkdir -p "$TODO_PICTURES"
export TODO_CHROMIUM TODO_NODE_MODULES TODO_MONGO TODO_BINARY TODO_PICTURES

echo "Pictures: $TODO_PICTURES"
exec node "$here/tests/browser/run.mjs" "$@"
