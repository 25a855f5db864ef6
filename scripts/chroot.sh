# shellcheck shell=bash
# Debian root file systems to try things in, without a virtual machine. Sourced
# after lib.sh. Needs root; everything that is mounted goes with the script.
# shellcheck disable=SC2154

chroots=$(mktemp -d "${TMPDIR:-/tmp}/amid-chroot.XXXXXX")

# Whatever is mounted below a place, the deepest first.
unmount_below() {
  local place
  while read -r place; do
    umount "$place" 2>/dev/null || umount --lazy "$place"
  done < <(awk -v below="$1/" 'index($2 "/", below) == 1 { print $2 }' /proc/self/mounts | tac)
}

# Never removes through a mount: that would be this machine's /dev.
remove_chroots() {
  unmount_below "$chroots"
  if awk -v below="$chroots/" 'index($2 "/", below) == 1 { found = 1 } END { exit !found }' /proc/self/mounts; then
    say "still mounted, left alone: $chroots"
    return 1
  fi
  rm -rf --one-file-system "$chroots"
}
trap remove_chroots EXIT

chroot_needs() {
  ((EUID == 0)) || die "A chroot needs root: run this with sudo, or in a container that is root"
  local missing=() name
  for name in debootstrap shellcheck systemd; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null ||
    die "These Debian packages are missing, and there is no apt-get to install them: ${missing[*]}"
  say "installing ${missing[*]}"
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2
}

# What Debian's own image for EC2 holds and our scripts build upon.
vendor_packages=(ca-certificates cloud-init dbus iproute2 netbase openssh-server python3 sudo systemd-resolved systemd-sysv)

# Debian's smallest system becomes what its image for EC2 is.
vendor_image() {
  local folder=$1
  if [[ -f /etc/debian_version && $(cat /etc/debian_version) == 12.* ]]; then
    # Security updates come from wherever this machine gets them.
    rm -rf "$folder/etc/apt/sources.list" "$folder/etc/apt/sources.list.d"
    cp -a /etc/apt/sources.list.d "$folder/etc/apt/"
    [[ ! -f /etc/apt/sources.list ]] || cp /etc/apt/sources.list "$folder/etc/apt/"
  fi
  # Names are resolved by systemd, through a link into /run.
  ln -sfn ../run/systemd/resolve/stub-resolv.conf "$folder/etc/resolv.conf"
  mount_chroot "$folder"
  printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d"
  chmod 0755 "$folder/usr/sbin/policy-rc.d"
  in_chroot "$folder" env APT_CONFIG="$cached_apt" DEBIAN_FRONTEND=noninteractive bash -c '
    set -e
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends "$@"
  ' - "${vendor_packages[@]}" || return 1
  rm -f "$folder/usr/sbin/policy-rc.d"
  unmount_chroot "$folder"
  ln -sfn ../run/systemd/resolve/stub-resolv.conf "$folder/etc/resolv.conf"
}

# The root file system of Debian 12, packed once. A month old is renewed.
debian_archive() {
  local archive folder
  archive=$cache/images/bookworm-$(echo "${vendor_packages[*]}" | sha256sum | cut -c1-8)-$(date +%Y-%m).tar
  if [[ ! -f $archive ]]; then
    say "bootstrapping Debian 12, once a month"
    mkdir -p "$cache/images/debs"
    rm -f "$cache"/images/bookworm-*.tar
    folder=$chroots/bootstrap
    if ! { debootstrap --variant=minbase --cache-dir="$cache/images/debs" bookworm "$folder" && vendor_image "$folder"; } \
      >"$chroots/bootstrap.log" 2>&1; then
      tail -n 20 "$chroots/bootstrap.log" >&2
      die "Debian 12 could not be bootstrapped"
    fi
    tar -C "$folder" --one-file-system -cf "$archive.new" .
    mv "$archive.new" "$archive"
    rm -rf --one-file-system "$folder"
  fi
  printf '%s\n' "$archive"
}

# new_chroot NAME: prints the folder of a fresh root file system.
new_chroot() {
  local folder=$chroots/$1 archive
  archive=$(debian_archive) || return 1
  mkdir -p "$folder"
  tar -C "$folder" -xpf "$archive"
  printf '%s\n' "$folder"
}

# What the builder amazon-chroot mounts, and the cache of packages.
mount_chroot() {
  local folder=$1
  mount -t proc proc "$folder/proc"
  mount -t sysfs -o ro sysfs "$folder/sys"
  mount --bind /dev "$folder/dev"
  mount -t devpts devpts "$folder/dev/pts"
  mkdir -p "$folder/mnt/debs" "$cache/images/debs/partial"
  mount --bind "$cache/images/debs" "$folder/mnt/debs"
  mkdir -p "$folder/run/systemd/resolve"
  cp -L /etc/resolv.conf "$folder/run/systemd/resolve/stub-resolv.conf"
}

unmount_chroot() {
  unmount_below "$1"
  rmdir "$1/mnt/debs"
}

# in_chroot FOLDER COMMAND…: with nothing of this machine's environment.
in_chroot() {
  local folder=$1
  shift
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
    chroot "$folder" "$@"
}

# Packages are kept outside of the chroot, and dpkg need not wait for the disk.
cached_apt=/mnt/debs/apt.conf
write_cached_apt() {
  mkdir -p "$cache/images/debs"
  printf 'Dir::Cache::archives "/mnt/debs";\nAPT::Keep-Downloaded-Packages "true";\nDPkg::Options { "--force-unsafe-io"; };\n' \
    >"$cache/images/debs/apt.conf"
}
