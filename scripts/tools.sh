#!/usr/bin/env bash
# Brings what the other verbs need and is quick when all of it is there.
# Everything goes below the cache folder; the checkout is never written to.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

packages() {
  command -v dpkg-query >/dev/null || return 0
  local wanted=(build-essential cmake git libssl-dev pkg-config python3-venv) missing=() name
  for name in "${wanted[@]}"; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    say "Some packages seem to be missing; if the build fails: sudo apt-get install ${missing[*]}"
    return 0
  fi
  say "installing ${missing[*]}"
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2
}

terraform_there() {
  find_terraform >/dev/null ||
    die "No terraform 1.11 or newer (nor tofu 1.10) on PATH; get one from developer.hashicorp.com/terraform/install or opentofu.org/docs/intro/install"
}

terragrunt_there() {
  version_at_least "$(version_of terragrunt --version)" 1.0.4 && return 0
  local version binary
  version=$(awk '$1 == "github.com/gruntwork-io/terragrunt" { print substr($2, 2); exit }' "$root/tools/terragrunt/go.mod")
  [[ -n $version ]] || die "tools/terragrunt/go.mod names no version of terragrunt"
  binary=$cache/bin/terragrunt-$version
  mkdir -p "$cache/bin"
  if [[ ! -x $binary ]]; then
    command -v go >/dev/null ||
      die "No terragrunt 1.0.4 or newer on PATH, and no Go to build one; install either"
    say "building terragrunt $version, about 6 minutes once"
    go -C "$root/tools/terragrunt" build -trimpath -o "$binary.new" \
      -ldflags "-s -w -X github.com/gruntwork-io/terragrunt/internal/version.Version=v$version" \
      github.com/gruntwork-io/terragrunt
    mv "$binary.new" "$binary"
  fi
  ln -sfn "terragrunt-$version" "$cache/bin/terragrunt"
}

# The AWS API of the demo and of the end-to-end tests.
moto_there() {
  local venv=$cache/moto-venv pins=$root/scripts/moto-requirements.txt
  [[ -x $venv/bin/python ]] && cmp -s "$pins" "$venv/pins.txt" && return 0
  command -v python3 >/dev/null || die "No python3 on PATH; moto, the AWS API of the demo, needs it"
  say "installing moto into a virtual environment, about a minute once"
  python3 -m venv "$venv" ||
    die "python3 cannot make virtual environments; on Debian: apt-get install python3-venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$pins" >&2
  cp "$pins" "$venv/pins.txt"
}

# Folders that hold an offline mirror of terraform providers: the places that
# terraform itself looks in, then one level under the usual roots.
mirrors() {
  local name=registry.terraform.io place
  for place in \
    "$HOME/.terraform.d/plugins" \
    "${XDG_DATA_HOME:-$HOME/.local/share}/terraform/plugins" \
    /usr/local/share/terraform/plugins /usr/share/terraform/plugins \
    /opt /opt/* /usr/local/share/* /usr/share/* /usr/local/lib/* /var/lib/* /srv/* "$HOME" "$HOME"/* "$HOME"/.[!.]*; do
    [[ -d $place/$name ]] && printf '%s\n' "$place"
  done
  return 0
}

terraform_config() {
  local place providers="" provider file=$cache/terraform.rc
  place=$(mirrors)
  place=${place%%$'\n'*}
  mkdir -p "$cache/plugins"
  {
    echo "# Written by scripts/tools.sh, again on every run."
    echo "disable_checkpoint = true"
    if [[ -n $place ]]; then
      for provider in "$place"/registry.terraform.io/*/*/; do
        provider=${provider#"$place/"}
        providers+="\"${provider%/}\", "
      done
      echo "provider_installation {"
      echo "  filesystem_mirror {"
      echo "    path    = \"$place\""
      echo "    include = [${providers%, }]"
      echo "  }"
      echo "  direct {"
      echo "    exclude = [${providers%, }]"
      echo "  }"
      echo "}"
    else
      # Every unit would otherwise download the provider again.
      echo "plugin_cache_dir = \"$cache/plugins\""
      echo "plugin_cache_may_break_dependency_lock_file = true"
    fi
  } >"$file.new"
  mv "$file.new" "$file"
}

command -v cargo >/dev/null || die "No cargo on PATH; get Rust from rustup.rs"
mkdir -p "$cache"
packages
terraform_there
terragrunt_there
moto_there
terraform_config
