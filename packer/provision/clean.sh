#!/usr/bin/env bash
# Takes away what belongs to this build or to one machine only: two machines of
# one image must not share a key, an id or a seed. Run by run.sh.
set -euo pipefail

# What is mounted below (a cache of packages, say) is not the image's.
empty() {
  local place
  for place in "$@"; do
    [[ ! -d $place ]] || find "$place" -xdev -mindepth 1 -delete
  done
}

empty /var/cache/apt /var/lib/apt/lists /var/lib/cloud /var/tmp /run/systemd/resolve
rm -f /var/cache/ldconfig/aux-cache /var/lib/systemd/random-seed /var/lib/systemd/credential.secret

# Identity
rm -f /etc/ssh/ssh_host_*
rm -f /var/lib/dbus/machine-id
: >/etc/machine-id
chmod 0444 /etc/machine-id
ln -s /etc/machine-id /var/lib/dbus/machine-id
rm -rf /var/lib/amid /var/lib/amid-machine

# What a person or a builder left
find /root /home -xdev -name authorized_keys -delete
find /root /home -xdev -name '.*_history' -delete
rm -rf /root/.ssh /root/.cache

# Logs and the backups that Debian's tools keep beside their files
find /var/log -xdev -type f -delete
empty /var/log/journal
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
rm -f /var/lib/dpkg/*-old /var/cache/debconf/*-old /var/backups/*

# Byte code carries the time of the build; Python makes it again.
find /usr -xdev -name __pycache__ -type d -prune -exec rm -rf {} +
