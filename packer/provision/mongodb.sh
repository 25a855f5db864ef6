#!/usr/bin/env bash
# A member of a replica set on top of the base: MongoDB from its vendor's
# packages, and what brings the member's volume, its name and its gate (see
# terraform/modules/mongodb). Run by run.sh.
set -euo pipefail
# shellcheck source=packer/provision/lib.sh
source "${stage:?}/provision/lib.sh"

[[ -f /etc/image-release.json ]] || die "This is no image of the kind base: it has no /etc/image-release.json"

apt update
install_packages e2fsprogs python3-pymongo xfsprogs
install_vendor_packages
[[ -x /usr/bin/mongod ]] || die "The packages in the stage brought no /usr/bin/mongod"
# An upgrade of the database is an image of its own, never something unattended.
package=$(dpkg-query -S /usr/bin/mongod | cut -d: -f1)
apt-mark -qq hold "$package" >/dev/null

install_files mongodb
install_suites mongodb
# The data is on a volume of its own; nothing may be written where it will be.
install -d -o mongodb -g mongodb -m 0750 /var/lib/mongodb
find /var/lib/mongodb -mindepth 1 -delete
enable mongod.service mongodb-gate.service amid-leave.service
