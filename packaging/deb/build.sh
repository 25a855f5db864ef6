#!/usr/bin/env bash
# build.sh ROOT VERSION FOLDER: the Debian package amid, from a folder with its
# program, manual pages and completions. COMPRESSION is dpkg's: xz when not given.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../../scripts/lib.sh"
from=$1 version=$2 folder=$3
command -v dpkg-deb >/dev/null || die "No dpkg-deb on PATH: the package is made on Debian or a relative of it"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
package=$work/package
architecture=$(dpkg --print-architecture)
mkdir -p "$package"/{DEBIAN,usr/bin,usr/share/doc/amid,usr/lib/systemd/system,usr/lib/sysusers.d}
install -m 0755 "$from/usr/bin/amid" "$package/usr/bin/amid"
cp -R "$from/usr/share/." "$package/usr/share/"
install -m 0644 "$here/../amid.service" "$package/usr/lib/systemd/system/amid.service"
install -m 0644 "$here/../amid.sysusers" "$package/usr/lib/sysusers.d/amid.conf"
install -m 0644 "$here/copyright" "$package/usr/share/doc/amid/copyright"
install -m 0644 "$root/docs/config.md" "$package/usr/share/doc/amid/config.md"
{
  echo "amid ($version) unstable; urgency=medium"
  echo
  echo "  * See CHANGELOG.md at the source."
  echo
  echo " -- The authors of amid <amid@localhost>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$package/usr/share/doc/amid/changelog.gz"
install -d -m 0755 "$package/etc/amid"
install -d -m 0700 "$package/etc/amid/credentials"
install -m 0755 "$here/postinst" "$here/prerm" "$here/postrm" "$package/DEBIAN/"

# What the program is linked with, as packages; of the C library the oldest version
# that has all that it asks for.
needs() {
  local library libc
  libc=$(objdump -T "$package/usr/bin/amid" | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -n 1)
  printf '%s\n' ca-certificates systemd "libc6 (>= ${libc#GLIBC_})"
  ldd "$package/usr/bin/amid" | grep -oE '/[^ ]+' | while read -r library; do
    # Debian records a library by its place or by the link to it.
    dpkg-query -S "$(readlink -f "$library")" "$library" "${library#/usr}" 2>/dev/null | cut -d: -f1 | head -n 1
  done | grep -vx libc6 || true
}

cat >"$package/DEBIAN/control" <<END
Package: amid
Version: $version
Architecture: $architecture
Maintainer: The authors of amid <amid@localhost>
Installed-Size: $(du -sk --apparent-size "$package" | cut -f1)
Depends: $(needs | sort -u | paste -sd , | sed 's/,/, /g')
Section: admin
Priority: optional
Description: rolls Auto Scaling groups to the images that git names
 A controller for people who run immutable machines on AWS. A git repository
 holds one JSON file per app that names its image; amid rolls the app's group to
 it through terragrunt, watches the new instances become healthy, and takes a bad
 image back.
 .
 terragrunt and terraform (or tofu) are needed besides and are not in Debian.
END
(cd "$package" && find usr -type f -printf '%P\0' | sort -z | sed -z 's/^/usr\//' | xargs -0 md5sum >DEBIAN/md5sums)
find "$package" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group "-Z${COMPRESSION:-xz}" --build "$package" "$folder/amid_${version}_$architecture.deb" >&2
