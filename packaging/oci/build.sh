#!/usr/bin/env bash
# build.sh ROOT VERSION FOLDER: an image in the OCI layout, without a daemon and
# without a base: amid, the C library that it was linked with, and certificates.
# TERRAGRUNT and TERRAFORM from the environment come along when they are given.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../../scripts/lib.sh"
from=$1 version=$2 folder=$3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
content=$work/content
mkdir -p "$content"/{usr/bin,etc/ssl/certs,tmp,var/lib/amid}

add_program() {
  local library
  install -m 0755 "$1" "$content/usr/bin/$2"
  # `not a dynamic executable` is fine: then nothing else is needed.
  { ldd "$1" 2>/dev/null || true; } | grep -oE '/[^ ]+' | while read -r library; do
    install -D -m 0755 "$library" "$content$library"
  done
}

add_program "$from/usr/bin/amid" amid
for name in terragrunt terraform; do
  variable=${name^^}
  [[ -z ${!variable:-} ]] || add_program "${!variable}" "$name"
done
[[ -f /etc/ssl/certs/ca-certificates.crt ]] || die "This machine has no /etc/ssl/certs/ca-certificates.crt to put into the image"
cp -L /etc/ssl/certs/ca-certificates.crt "$content/etc/ssl/certs/"
printf 'root:x:0:0:root:/root:/sbin/nologin\namid:x:10001:10001:amid:/var/lib/amid:/sbin/nologin\n' >"$content/etc/passwd"
printf 'root:x:0:\namid:x:10001:\n' >"$content/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$content/etc/nsswitch.conf"

python3 "$here/layout.py" "$content" "$folder" "$version" "$(git -C "$root" rev-parse HEAD)"
