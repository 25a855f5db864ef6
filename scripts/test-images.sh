#!/usr/bin/env bash
# Images, as far as they can be tried without AWS: the templates against packer
# and its real plugin; the provisioning scripts of every kind really run in a
# Debian of their own, twice; the image suites with the real goss, green on the
# result and red for planted mistakes; a build by packer itself, and the steps of
# CI around it; what a machine does when it boots. The packages of MongoDB are not
# in any registry: a stand-in takes their place, and all around it is real
# (packer/tests/mongodb).
#
#   test-images.sh          everything, as root
#   test-images.sh tools    builds packer and its plugin, prints how to use them
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/go-tool.sh
source "$root/scripts/go-tool.sh"
cd "$root"

packer=$(go_tool packer github.com/hashicorp/packer)
plugin=$(go_tool packer-plugin-amazon github.com/hashicorp/packer-plugin-amazon)
goss=$(go_tool goss github.com/goss-org/goss/cmd/goss "-X github.com/goss-org/goss/util.Version=v$(go_pin goss github.com/goss-org/goss)")
actionlint=$(go_tool actionlint github.com/rhysd/actionlint/cmd/actionlint)
export PACKER_PLUGIN_PATH=$cache/packer-plugins PACKER_CONFIG_DIR=$cache/packer-config

if [[ ${1:-} == tools ]]; then
  mkdir -p "$PACKER_PLUGIN_PATH"
  "$packer" plugins install --path "$plugin" github.com/hashicorp/amazon >&2
  printf 'export PACKER=%s GOSS=%s PACKER_PLUGIN_PATH=%s\n' "$packer" "$goss" "$PACKER_PLUGIN_PATH"
  exit 0
fi

# shellcheck source=scripts/chroot.sh
source "$root/scripts/chroot.sh"
# shellcheck source=scripts/boot-image.sh
source "$root/scripts/boot-image.sh"
# shellcheck source=scripts/boot-ec2.sh
source "$root/scripts/boot-ec2.sh"
# shellcheck source=scripts/boot-member.sh
source "$root/scripts/boot-member.sh"
# shellcheck source=scripts/boot-controller.sh
source "$root/scripts/boot-controller.sh"
# shellcheck source=scripts/seal-image.sh
source "$root/scripts/seal-image.sh"
# shellcheck source=scripts/build-image.sh
source "$root/scripts/build-image.sh"
# shellcheck source=scripts/ci-steps.sh
source "$root/scripts/ci-steps.sh"
# shellcheck source=scripts/image-faults.sh
source "$root/scripts/image-faults.sh"
trap 'halt_guest; stop_forge; stop_ec2; release_volume; stop_api; remove_chroots' EXIT
chroot_needs
boot_needs
write_cached_apt
commit=$(git rev-parse HEAD)
base_ami="ami-0123456789abcdef0"

bins=${AMID_BIN_DIR:-}
if [[ -z $bins ]]; then
  cargo build --workspace --bins --quiet
  bins=$CARGO_TARGET_DIR/debug
fi
todo=$bins/todo
amid_deb=

# What each kind is made from. Of amid its package, as make dist packs it.
stage() {
  case $1 in
    controller) GOSS=$goss AMID_DEB=$amid_deb TERRAGRUNT=$(command -v terragrunt) TERRAFORM=$(find_terraform) packer/stage.sh "$@" ;;
    mongodb) GOSS=$goss PACKAGES_DIR=$chroots/mongodb-packages packer/stage.sh "$@" ;;
    *) GOSS=$goss TODO=$todo packer/stage.sh "$@" ;;
  esac
}

pack_vendors() {
  mkdir -p "$chroots/mongodb-packages" "$chroots/amid/root/usr/bin" "$chroots/amid/root/usr/share"
  packer/tests/mongodb/package.sh "$chroots/mongodb-packages"
  install -m 0755 "$bins/amid" "$chroots/amid/root/usr/bin/amid"
  strip --strip-all "$chroots/amid/root/usr/bin/amid"
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) COMPRESSION=none packaging/deb/build.sh "$chroots/amid/root" \
    "$("$bins/amid" --version | awk '{ print $2 }')" "$chroots/amid"
  amid_deb=$(compgen -G "$chroots/amid/*.deb")
}

# --- Templates ---

# templates NAME=VALUE…: packer's opinion, with the real plugin's.
templates() {
  local arguments=() pair
  for pair in "${@:2}"; do arguments+=(-var "$pair"); done
  "$packer" validate -var "kind=$1" -var "stage=$chroots/stage-app" -var "output=$chroots/output" \
    -var "commit=$commit" -var build=test -var release_version=0.1.0 "${arguments[@]}" packer
}
refuses() { ! "$@"; }

unpinned() {
  local said
  if said=$(packer/build.sh app 2>&1); then return 1; fi
  grep -F "set base_ami in packer/pins.auto.pkrvars.hcl" <<<"$said" || { printf '%s\n' "$said"; return 1; }
}

check_templates() {
  local kind builder
  mkdir -p "$PACKER_PLUGIN_PATH"
  check "packer takes its plugin without a network" \
    "$packer" plugins install --path "$plugin" github.com/hashicorp/amazon
  check "the templates are formatted" "$packer" fmt -check -recursive packer
  stage app "$chroots/stage-app"
  for kind in base app mongodb controller; do
    for builder in chroot ebs; do
      check "$kind is a valid template, builder $builder" templates "$kind" "builder=$builder" \
        "debian_ami=$base_ami" "base_ami=$base_ami"
    done
  done
  check "an image without a pinned base is refused" refuses templates app
  check "and a build of it says what to do" unpinned
  check "a base that is no id is refused" refuses templates base debian_ami=debian-12
  check "a kind that is none is refused" refuses templates dump "base_ami=$base_ami"
  check "a volume with its partition's number is refused" refuses templates app "base_ami=$base_ami" nvme_device=/dev/nvme1n1p1
  check "a builder that is none is refused" refuses templates base builder=docker "debian_ami=$base_ami"
  check "no template searches for its base" refuses grep -rnE 'most_recent|source_ami_filter' packer --include='*.hcl'
}

check_scripts() {
  local script scripts=()
  while IFS= read -r script; do
    case $(head -n 1 "$script") in
      '#!'*bash | '#!'*/sh | '# shellcheck shell='*) scripts+=("$script") ;;
      '#!'*python3) check "${script##*/} compiles" python3 -c "compile(open('$script').read(), '$script', 'exec')" ;;
    esac
  done < <(git ls-files --cached --others --exclude-standard packer packaging | grep -vE '\.(hcl|yaml|md|service|deb|conf)$')
  check "shellcheck has no complaint about ${#scripts[@]} scripts" shellcheck -x "${scripts[@]}"
  check "actionlint has no complaint about the workflows" "$actionlint" .github/workflows/*.yml
  check "scripts are executable" all_executable "${scripts[@]}"
}

all_executable() {
  local script
  for script; do
    [[ -x $script || $script == */lib.sh ]] || { echo "not executable: $script"; return 1; }
  done
}

# --- Provisioning ---

# provision FOLDER KIND: as packer does it, with what packer brings.
provision() {
  local folder=$1 kind=$2
  rm -rf "$folder/tmp/amid-image"
  stage "$kind" "$folder/tmp/amid-image"
  mkdir -p "$folder/run/systemd/resolve"
  cp -L /etc/resolv.conf "$folder/run/systemd/resolve/stub-resolv.conf"
  in_chroot "$folder" env APT_CONFIG="$cached_apt" "AMID_KIND=$kind" "AMID_BASE=$base_ami" \
    "AMID_COMMIT=$commit" AMID_BUILD=test "AMID_VERSION=$version" bash /tmp/amid-image/provision/run.sh
}

# Every file's content, owner, mode and target, and nothing of what is mounted.
fingerprint() {
  (
    cd "$1"
    find . -xdev -type f -not -path './mnt/*' -print0 | sort -z | xargs -0 sha256sum
    find . -xdev -not -path './mnt/*' -printf '%p %m %u %g %l\n' | sort
  ) >"$2"
}

check_provisioning() {
  local folder=$1 kind=$2
  check "$kind: provisioning ends with a green image suite" provision "$folder" "$kind"
  fingerprint "$folder" "$chroots/$kind.1"
  check "$kind: and once more" provision "$folder" "$kind"
  fingerprint "$folder" "$chroots/$kind.2"
  check "$kind: the second time changed nothing" diff "$chroots/$kind.1" "$chroots/$kind.2"
  check "$kind: no process of the build stays" nothing_runs_in "$folder"
}

nothing_runs_in() {
  local process
  for process in /proc/[0-9]*; do
    [[ $(readlink "$process/root" 2>/dev/null) != "$1" ]] || { cat "$process/cmdline"; return 1; }
  done
}

# --- The suite ---

suite() {
  in_chroot "$folder" goss --gossfile /usr/share/amid/goss/image.yaml validate --format documentation --no-color
}

# Red, and for the reason that was planted.
red_because() {
  local said
  if said=$(suite 2>&1); then
    echo "the suite is green"
    return 1
  fi
  sed -n '/^Failures/,$p' <<<"$said" | grep -F -- "$1" && return 0
  printf '%s\n' "$said"
  return 1
}

fault() {
  local name=$1 found=$2 plant=$3 undo=$4
  in_chroot "$folder" bash -c "$plant" || die "could not be planted: $name"
  check "red: $name" red_because "$found"
  in_chroot "$folder" bash -c "$undo" || die "could not be undone: $name"
}

# An image on a copy of the base: provisioned, its suite tried, left as `folder`.
check_kind() {
  local kind=$1 version=$version
  folder=$chroots/$kind
  [[ $kind != controller ]] || version="$("$bins/amid" --version | awk '{ print $2 }')+${commit:0:7}"
  [[ $kind == base ]] || cp -a --one-file-system "$chroots/base" "$folder"
  mount_chroot "$folder"
  check_provisioning "$folder" "$kind"
  if [[ $kind != base ]]; then
    "plant_faults_$kind"
    check "$kind: with all mistakes undone the suite is green" suite
  fi
  check "$kind: the boot suite can be read" in_chroot "$folder" goss --gossfile /usr/share/amid/goss/boot.yaml render
  unmount_chroot "$folder"
}

version="$("$todo" --version | awk '{ print $2 }')+${commit:0:7}"
check_templates
check_scripts
pack_vendors
new_chroot base >/dev/null
for kind in base app mongodb controller; do check_kind "$kind"; done
start_api
check_seal
check_build "$chroots/base"
check_ci
stop_ec2
release_volume
check_boot_app "$chroots/app"
check_boot_member "$chroots/mongodb"
check_boot_controller "$chroots/controller"

summary
