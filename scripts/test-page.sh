#!/usr/bin/env bash
# The page in a real browser, while a real amid rolls, holds and gives up. Pictures are left in the folder that is
# printed. Needs Node and Debian's chromium.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome || true; }

PAGE_CHROMIUM=$(find_chromium)
if [[ -z $PAGE_CHROMIUM && $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  say "installing Chromium"
  apt-get install -y --no-install-recommends chromium fonts-dejavu-core >&2 ||
    { apt-get update >&2 && apt-get install -y --no-install-recommends chromium fonts-dejavu-core >&2; }
  PAGE_CHROMIUM=$(find_chromium)
fi
[[ -n $PAGE_CHROMIUM ]] || die "Chromium is missing: install it with \`apt-get install chromium\`"

# What drives the browser is what drives it for the sample app.
PAGE_NODE_MODULES=$(todo/scripts/node-modules.sh todo/tests/browser/package.json)
PAGE_PICTURES=${PAGE_PICTURES:-$cache/page-pictures}
mkdir -p "$PAGE_PICTURES"
say "building amid and its stage"
cargo build --workspace --bins
PAGE_BINARIES=$CARGO_TARGET_DIR/debug
export PAGE_CHROMIUM PAGE_NODE_MODULES PAGE_PICTURES PAGE_BINARIES

say "pictures: $PAGE_PICTURES"
exec node controller/tests/browser/run.mjs
