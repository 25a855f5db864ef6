#!/usr/bin/env bash
# What people install, tried as they would: the package in a Debian of its own,
# its unit behind all its walls on a booted machine, the image through a
# registry, the bills of materials against their schema.
#
#   AMID_BIN_DIR   folder with amid and todo; without it cargo builds its dev profile
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/go-tool.sh
source "$root/scripts/go-tool.sh"
# shellcheck source=scripts/chroot.sh
source "$root/scripts/chroot.sh"
# shellcheck source=scripts/boot-image.sh
source "$root/scripts/boot-image.sh"
cd "$root"

crane=$(go_tool crane github.com/google/go-containerregistry/cmd/crane)
registry=
stop_registry() { [[ -z $registry ]] || { kill "$registry" && wait "$registry"; } 2>/dev/null || true; }
trap 'stop_registry; halt_guest; stop_api; remove_chroots' EXIT
chroot_needs
boot_needs
write_cached_apt

if [[ -z ${AMID_BIN_DIR:-} ]]; then
  cargo build --workspace --bins --quiet
  export AMID_BIN_DIR=$CARGO_TARGET_DIR/debug
fi
version=$("$AMID_BIN_DIR/amid" --version | awk '{ print $2 }')
dist=$chroots/dist
architecture=$(dpkg --print-architecture)
deb=amid_${version}_$architecture.deb
oci=$dist/amid-$version.oci

refuses() { ! "$@"; }
pack() { DIST=$1 scripts/dist.sh; }
sums_hold() { (cd "$dist" && sha256sum --quiet -c SHA256SUMS); }

# --- The unit ---

# walls UNIT: 1.5 of 10 is as open as it may be.
walls() { systemd-analyze security --offline=true --threshold=15 "$1" >/dev/null; }
without() { grep -vE "$1" packaging/amid.service >"$chroots/amid.service" && walls "$chroots/amid.service"; }

# --- Bills of materials ---

valid_bill() {
  local venv=$cache/cyclonedx-venv version=11.11.0
  if [[ ! -x $venv/bin/python || $(cat "$venv/version" 2>/dev/null) != "$version" ]]; then
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "cyclonedx-python-lib[json-validation]==$version"
    echo "$version" >"$venv/version"
  fi
  "$venv/bin/python" - "$@" <<'END'
import json
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

path, program, crate = sys.argv[1:]
text = open(path, encoding="utf-8").read()
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
if error is not None:
    sys.exit(f"{path}: {error}")
bill = json.loads(text)
names = {component["name"] for component in bill["components"]}
if bill["metadata"]["component"]["name"] != program or crate not in names or len(names) < 50:
    sys.exit(f"{path} is of {bill['metadata']['component']['name']} and has {len(names)} components")
END
}

# --- Manual pages and completions ---

has_manuals() {
  local verb folder
  folder=$chroots/archive/amid-$version-$(uname -m)/usr/share/man/man1
  zcat "$folder/amid.1.gz" | grep -q '^\.TH amid 1'
  for verb in run plan status validate doctor; do
    zcat "$folder/amid-$verb.1.gz" | grep -q '^\.SH DESCRIPTION' || { echo "no page for $verb"; return 1; }
  done
}
completes() {
  bash -c "source '$chroots/archive/amid-$version-$(uname -m)/usr/share/bash-completion/completions/amid'
    COMP_WORDS=(amid val) COMP_CWORD=1; _amid amid val amid; [[ \${COMPREPLY[*]} == validate ]]"
}

# --- The package ---

install_deb() {
  cp "$dist/$deb" "$folder/mnt/"
  in_chroot "$folder" env APT_CONFIG="$cached_apt" DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends --reinstall "/mnt/$deb"
}
answers() { [[ $(in_chroot "$folder" amid --version) == "amid $version" ]]; }
gone() {
  ! in_chroot "$folder" bash -c 'ls -d /usr/bin/amid /etc/amid /usr/lib/systemd/system/amid.service /etc/systemd/system/*/amid.service 2>/dev/null | grep .'
}
verified() {
  local said
  said=$(in_chroot "$folder" systemd-analyze verify --man=no amid.service 2>&1 | grep amid || true)
  [[ -z $said ]] || { echo "$said"; return 1; }
}

# A repository on the machine, an AWS API beside it, a secret as a credential.
configure() {
  mkdir -p "$chroots/checkout/desired"
  git -C "$chroots/checkout" init -q -b main
  git -C "$chroots/checkout" -c user.name=test -c user.email=test@localhost commit -q --allow-empty -m "Begin"
  git clone -q --bare "$chroots/checkout" "$folder/srv/infrastructure.git"
  in_chroot "$folder" chown -R amid:amid /srv/infrastructure.git
  printf 'a-secret-of-the-webhook' >"$folder/etc/amid/credentials/webhook"
  cat >"$folder/etc/amid/amid.json" <<'END'
{
  "repository": { "url": "/srv/infrastructure.git" },
  "state_dir": "/var/lib/amid",
  "webhook": { "listen": "127.0.0.1:9465", "secret_file": "/run/credentials/amid.service/secrets_webhook" },
  "targets": [{ "account_id": "123456789012", "region": "us-east-1", "endpoint_url": "http://127.0.0.1:5000" }]
}
END
  drop_in "$folder" amid.service "[Service]" Environment=AWS_ACCESS_KEY_ID=test Environment=AWS_SECRET_ACCESS_KEY=test
}
ready() { unit_is amid active && in_guest curl -sf --max-time 5 http://127.0.0.1:9464/readyz; }
becomes_ready() { until_true 60 ready || { in_guest journalctl --no-pager -n 40 -u amid; return 1; }; }
takes_webhook() {
  local body='{}' signature
  signature=$(printf '%s' "$body" | openssl dgst -sha256 -hmac a-secret-of-the-webhook -r | cut -d' ' -f1)
  in_guest curl -sf --max-time 5 -d "$body" -H "X-Hub-Signature-256: sha256=$signature" http://127.0.0.1:9465/
}
property() { [[ $(in_guest systemctl show --value -p "$1" amid) == "$2" ]]; }

# --- The image ---

start_registry() {
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  "$crane" registry serve --address "127.0.0.1:$port" >"$chroots/registry.log" 2>&1 &
  registry=$!
  place=127.0.0.1:$port/amid:$version
  until_true 10 bash -c "</dev/tcp/127.0.0.1/$port"
}
runs_alone() {
  local layer unpacked=$chroots/unpacked
  mkdir "$unpacked"
  layer=$("$crane" manifest "$place" | python3 -c 'import json, sys; print(json.load(sys.stdin)["layers"][0]["digest"].split(":")[1])')
  tar -xzf "$oci/blobs/sha256/$layer" -C "$unpacked"
  [[ $(env -i "$(command -v chroot)" --userspec=10001:10001 "$unpacked" /usr/bin/amid --version) == "amid $version" ]]
}

check "everything is packed" pack "$dist"
check "the sums hold" sums_hold
check "packed again it is the same" pack "$chroots/again"
check "to the byte" diff "$dist/SHA256SUMS" "$chroots/again/SHA256SUMS"

check "the unit is as walled in as it has to be" walls packaging/amid.service
check "the gate sees a unit that gives its rights away" refuses without '^(CapabilityBoundingSet|SystemCallFilter)'
check "amid's bill of materials is valid" valid_bill "$dist/amid-$version.cdx.json" amid git2
check "todo's bill of materials is valid" valid_bill "$dist/todo-$version.cdx.json" todo mongodb
mkdir "$chroots/archive"
tar -xzf "$dist/amid-$version-$(uname -m).tar.gz" -C "$chroots/archive"
check "each verb has its manual page" has_manuals
check "bash completes a verb" completes

start_registry
check "a registry takes the image" "$crane" push "$oci" "$place"
check "and finds every part of it" "$crane" validate --remote "$place"
check "the image alone is enough to run amid" runs_alone

folder=$(new_chroot package)
mount_chroot "$folder"
in_chroot "$folder" apt-get update -qq
check "the package installs" install_deb
check "amid --version answers" answers
check "systemd understands the unit" verified
check "the unit starts with the machine" in_chroot "$folder" systemctl -q is-enabled amid
in_chroot "$folder" systemctl -q disable amid
check "an upgrade installs" install_deb
check "and leaves the unit as its administrator wants it" refuses in_chroot "$folder" systemctl -q is-enabled amid
in_chroot "$folder" systemctl -q enable amid
in_chroot "$folder" env APT_CONFIG="$cached_apt" apt-get install -qq -y --no-install-recommends curl >/dev/null 2>&1
configure
unmount_chroot "$folder"

start_api
check "a machine with the package boots" boot "$folder"
check "amid is ready behind all its walls" becomes_ready
check "it says so to systemd, and feeds the watchdog" property WatchdogUSec 3min
check "it reads its secret as a credential" takes_webhook
check "it runs as its own user" property User amid
check "the machine can be turned off" halt_guest

mount_chroot "$folder"
check "the package can be purged" in_chroot "$folder" dpkg --purge amid
check "and nothing of it stays" gone

summary
