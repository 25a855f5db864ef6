#!/usr/bin/env bash
# The sample app on top of the base: one program, its user, its unit. Run by
# run.sh.
set -euo pipefail
# shellcheck source=packer/provision/lib.sh
source "${stage:?}/provision/lib.sh"

[[ -f /etc/image-release.json ]] || die "This is no image of the kind base: it has no /etc/image-release.json"
[[ -f $stage/bin/todo ]] || die "The program is not in the stage: bin/todo"

install_vendor_packages
system_user todo
install -o root -g root -m 0755 "$stage/bin/todo" /usr/local/bin/todo
install_files app
install_suites app
enable todo.service
