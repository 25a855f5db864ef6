#!/usr/bin/env bash
# build.sh KIND [PACKER ARGUMENT…]: builds one image and leaves its manifest in
# packer/output/KIND/. What it needs from the environment: see stage.sh; AWS
# credentials; for builder chroot, to be root on an EC2 instance.
#
#   VERSION   version of what the image holds; for app and controller the program's
#             own when not given, for the others the day
#   BUILD     name of the build; time and a random part when not given
#   OUTPUT    another folder than packer/output
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../scripts/lib.sh"

kind=${1:-}
[[ -n $kind && -f $here/$kind.pkr.hcl && -f $here/provision/$kind.sh ]] || die "usage: build.sh base|app|mongodb|controller [packer argument…]"
shift

# packer's own words for a missing id are hard to understand.
from=base_ami
[[ $kind != base ]] || from=debian_ami
if [[ "$*" != *"$from="* && "$*" != *-var-file* ]] && ! grep -qsE "^ *$from *=" "$here"/*.auto.pkrvars.hcl; then
  die "Nothing says what $kind is built from: set $from in packer/pins.auto.pkrvars.hcl (packer/pin.sh does that for base_ami)"
fi

commit=$(git -C "$root" rev-parse HEAD)
[[ -z $(git -C "$root" status --porcelain) ]] || commit+=-dirty
build=${BUILD:-$(date -u +%Y%m%dT%H%M%SZ)-$(od -An -N3 -tx1 /dev/urandom | tr -d ' \n')}
version=${VERSION:-}
if [[ -z $version && $kind == app && -x ${TODO:-} ]]; then
  version="$("$TODO" --version | awk '{ print $2 }')+${commit:0:7}"
fi
# The suites compare it with the program's own.
if [[ -z $version && $kind == controller && -f ${AMID_DEB:-} ]]; then
  version="$(dpkg-deb --field "$AMID_DEB" Version)+${commit:0:7}"
fi
version=${version:-$(date -u +%Y.%m.%d)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/stage.sh" "$kind" "$work/stage"
output=${OUTPUT:-$here/output}/$kind
rm -rf "$output"
mkdir -p "$output"

packer=${PACKER:-packer}
command -v "$packer" >/dev/null || die "No packer on PATH; scripts/test-images.sh tools builds the pinned one, or set PACKER"
"$packer" init "$here" >&2
cd "$here"
"$packer" build -color=false -var "kind=$kind" \
  -var "stage=$work/stage" -var "output=$output" \
  -var "commit=$commit" -var "build=$build" -var "release_version=$version" \
  "$@" .
say "the build's manifest: $output/packer-manifest.json"
