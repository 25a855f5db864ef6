#!/usr/bin/env bash
# The base of all images: Debian 12 as its vendor ships it for EC2, brought up
# to date, with what every machine here has. Run by run.sh.
set -euo pipefail
# shellcheck source=packer/provision/lib.sh
source "${stage:?}/provision/lib.sh"

# shellcheck source=/dev/null
[[ $(. /etc/os-release && echo "$ID-$VERSION_ID") == debian-12 ]] || die "This is not Debian 12"

apt update
apt dist-upgrade
install_packages \
  ca-certificates chrony cloud-init curl openssh-server python3 python3-botocore sudo \
  systemd-sysv unattended-upgrades
install_vendor_packages
apt autoremove --purge

install -o root -g root -m 0755 "$stage/bin/goss" /usr/local/bin/goss
system_user amid-health
install_files base
install_suites base

# A machine keeps its own journal, and the console shows what went wrong: amid
# reads its tail when an image fails.
install -d -o root -g systemd-journal -m 2755 /var/log/journal

enable chrony.service unattended-upgrades.service
enable amid-first-boot.service amid-swap.service amid-boot-check.service amid-health.service
# Nobody logs in: a shell, where one is needed, comes through the SSM agent (see
# `packages_dir`) or the serial console. sshd is there, hardened, for whoever
# turns it on.
disable ssh.service
# Images are updated by their next build, which is tested; what runs unattended
# is security updates only.
enable apt-daily.timer apt-daily-upgrade.timer
passwd --quiet --lock root
