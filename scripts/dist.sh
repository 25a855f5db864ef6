#!/usr/bin/env bash
# Packs what people install: stripped programs with manual pages and completions,
# a Debian package, an image in the OCI layout, and a bill of materials for each
# program. Nothing here needs a daemon, and the same commit gives the same files.
#
#   AMID_BIN_DIR   folder with the programs amid and todo; without it they are
#                  built with cargo's profile release, which takes a while
#   DIST           where to; without it the folder dist of cargo's target folder
#   TERRAGRUNT, TERRAFORM   programs for the OCI image, which amid needs to be of
#                  use there; without them the image holds amid alone
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
[[ -n $version ]] || die "Cargo.toml names no version"
machine=$(uname -m)
dist=${DIST:-$CARGO_TARGET_DIR/dist}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Times in archives are the commit's: the clock is no part of the content.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# What the git library brings along is linked in; see nearly_static. OpenSSL's
# place has to be named: found by itself in a folder of the system, it is linked
# as a library whatever OPENSSL_STATIC says.
build_static() {
  local libraries headers
  libraries=$(pkg-config --variable=libdir openssl 2>/dev/null) || true
  headers=$(pkg-config --variable=includedir openssl 2>/dev/null) || true
  [[ -f $libraries/libcrypto.a ]] || die "OpenSSL's static libraries are missing; on Debian: apt-get install libssl-dev pkg-config"
  say "building for release"
  # In a folder of its own: these variables change what most crates are made from,
  # and every other build would undo this one, and be undone by it.
  OPENSSL_STATIC=1 OPENSSL_LIB_DIR=$libraries OPENSSL_INCLUDE_DIR=$headers LIBZ_SYS_STATIC=1 \
    cargo build --release --workspace --bins --quiet --target-dir "$CARGO_TARGET_DIR/static"
}

programs() {
  local from=${AMID_BIN_DIR:-} name
  if [[ -z $from ]]; then
    build_static
    from=$CARGO_TARGET_DIR/static/release
  fi
  mkdir -p "$work/root/usr/bin"
  for name in amid todo; do
    [[ -x $from/$name ]] || die "There is no program $name in $from"
    install -m 0755 "$from/$name" "$work/root/usr/bin/$name"
    strip --strip-all "$work/root/usr/bin/$name"
  done
}

# Beside the C library nothing may be asked of the machine. Programs that were
# brought may ask for more; the packages say for what.
nearly_static() {
  local name foreign
  [[ -z ${AMID_BIN_DIR:-} ]] || return 0
  for name in amid todo; do
    foreign=$(ldd "$work/root/usr/bin/$name" | awk '{ print $1 }' |
      grep -vE '^(linux-vdso|libc|libm|libgcc_s|libdl|librt|libpthread)\.so|ld-linux' || true)
    [[ -z $foreign ]] || die "$name needs libraries of this machine: $foreign"
  done
}

manuals() {
  local amid=$work/root/usr/bin/amid share=$work/root/usr/share
  mkdir -p "$share"/{man/man1,bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
  "$amid" man "$share/man/man1"
  "$amid" completions bash >"$share/bash-completion/completions/amid"
  "$amid" completions zsh >"$share/zsh/vendor-completions/_amid"
  "$amid" completions fish >"$share/fish/vendor_completions.d/amid.fish"
  gzip -9n "$share"/man/man1/*
}

archive() {
  local name=amid-$version-$machine folder
  folder=$work/$name
  cp -R "$work/root" "$folder"
  cp LICENSE LICENSE-APACHE LICENSE-MIT README.md CHANGELOG.md packaging/amid.service "$folder/"
  tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$name" |
    gzip -9n >"$dist/$name.tar.gz"
}

bills() {
  local tool=$cache/cargo-tools/bin/cargo-cyclonedx pinned=0.5.9
  if [[ $("$tool" cyclonedx --version 2>/dev/null) != *" $pinned" ]]; then
    say "building cargo-cyclonedx, some minutes once"
    CARGO_TARGET_DIR=$work/tool cargo install --quiet cargo-cyclonedx --version "$pinned" --locked --root "$cache/cargo-tools"
  fi
  # It writes beside each Cargo.toml, so it gets a copy of them.
  git ls-files -z Cargo.lock '*Cargo.toml' '*.rs' | xargs -0 cp --parents -t "$work/source"
  (cd "$work/source" && "$tool" cyclonedx --format json --spec-version 1.5 --describe binaries --all --target all --quiet)
  # Our own crates are named by the place that they lay in: that place is no fact.
  sed "s|$work/source|/amid|g" "$work/source/controller/amid_bin.cdx.json" >"$dist/amid-$version.cdx.json"
  sed "s|$work/source|/amid|g" "$work/source/todo/todo_bin.cdx.json" >"$dist/todo-$version.cdx.json"
}

rm -rf "$dist"
mkdir -p "$dist" "$work/source"
programs
nearly_static
manuals
archive
packaging/deb/build.sh "$work/root" "$version" "$dist"
packaging/oci/build.sh "$work/root" "$version" "$dist/amid-$version.oci"
bills
(cd "$dist" && find . -type f -printf '%P\0' | sort -z | xargs -0 sha256sum) >"$work/sums"
mv "$work/sums" "$dist/SHA256SUMS"
say "packed: $dist"
