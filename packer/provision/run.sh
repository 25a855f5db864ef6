#!/usr/bin/env bash
# Makes an image out of the root file system that it runs in: in a chroot under
# amazon-chroot and in the tests, on a machine under amazon-ebs. Everything that
# it needs lies beside it (STAGE/{provision,files,goss,bin,packages}); it may be
# run again on its own result, and then changes nothing.
#
# From the environment: AMID_KIND, AMID_BASE, AMID_COMMIT, AMID_BUILD and
# AMID_VERSION, which end up in /etc/image-release.json.
set -euo pipefail

stage=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export stage
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8

say() { printf -- '-- %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Packages start their services when they are installed. Under a chroot that
# process would outlive the build and hold its volume.
forbid_services() {
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 0755 /usr/sbin/policy-rc.d
}

# The last step of all: nobody gets an image that has failed its suite. The
# result's digest leaves out durations, so that equal results are equal.
suite() {
  local result digest status=0
  result=$(mktemp /run/goss.XXXXXX)
  goss --gossfile /usr/share/amid/goss/image.yaml validate --format json >"$result" || status=$?
  if ! digest=$(/usr/local/lib/amid/suite-digest "$result") || ((status != 0)); then
    rm -f "$result"
    die "The image suite failed (goss ended with $status)"
  fi
  rm -f "$result"
  /usr/local/lib/amid/image-release "goss=$digest"
  say "the image suite passed: $digest"
}

# A function, because the stage, and this file with it, goes before the end.
main() {
  [[ $EUID == 0 ]] || die "Run this as root"
  local name
  for name in AMID_KIND AMID_BASE AMID_COMMIT AMID_BUILD AMID_VERSION; do
    [[ -n ${!name:-} ]] || die "$name is not set"
  done
  [[ $AMID_KIND =~ ^[a-z]+$ && -f $stage/provision/$AMID_KIND.sh ]] || die "There is no image of the kind: $AMID_KIND"

  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  forbid_services
  say "provisioning: $AMID_KIND"
  bash "$stage/provision/$AMID_KIND.sh"
  /usr/local/lib/amid/image-release \
    "kind=$AMID_KIND" "base=$AMID_BASE" "commit=$AMID_COMMIT" "build=$AMID_BUILD" "version=$AMID_VERSION"
  say "cleaning"
  bash "$stage/provision/clean.sh"
  rm -rf "$stage" /usr/sbin/policy-rc.d
  cd /
  suite
  exit 0
}

main "$@"
