#!/usr/bin/env bash
# Prints the folder that holds `prometheus` and `promtool`: those on PATH, or
# else Debian's, unpacked below the cache folder. Nothing is installed on the
# machine and no service is started.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  dirname "$(command -v promtool)"
  exit 0
fi
folder=$cache/prometheus
mkdir -p "$cache"
exec 9>"$folder.lock"
flock 9
if [[ ! -x $folder/usr/bin/promtool ]]; then
  command -v apt-get >/dev/null ||
    die "No prometheus and promtool on PATH; get them from prometheus.io/download"
  say "fetching Debian's prometheus"
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  cd "$folder.new"
  # As root, apt drops its rights and warns that it cannot enter this folder.
  download() { apt-get download -qq -o APT::Sandbox::User=root prometheus >&2; }
  download || { apt-get update -qq >&2 && download; } || die "Failed to fetch Debian's prometheus"
  dpkg-deb -x prometheus_*.deb .
  rm prometheus_*.deb
  rm -rf "$folder"
  mv "$folder.new" "$folder"
fi
echo "$folder/usr/bin"
