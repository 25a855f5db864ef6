#!/usr/bin/env bash
# amid itself on top of the base: its package, terragrunt and terraform. Run by
# run.sh.
set -euo pipefail
# shellcheck source=packer/provision/lib.sh
source "${stage:?}/provision/lib.sh"

[[ -f /etc/image-release.json ]] || die "This is no image of the kind base: it has no /etc/image-release.json"

apt update
install_packages git openssh-client xfsprogs
install_vendor_packages
for program in terragrunt terraform; do
  install -o root -g root -m 0755 "$stage/bin/$program" "/usr/local/bin/$program"
done
install_files controller
install_suites controller
enable amid.service
[[ ! -f /etc/systemd/system/amid-leave.service ]] || enable amid-leave.service
