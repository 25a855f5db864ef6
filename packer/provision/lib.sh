# shellcheck shell=bash
# What the provisioning scripts of all kinds share. Sourced, never run.

say() { printf -- '-- %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# apt without questions, without what is only recommended, and patient with a
# mirror that stumbles.
apt() {
  apt-get -qq -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" </dev/null
}

# install_packages NAME…
install_packages() {
  apt install --no-install-recommends "$@"
}

# Packages that their vendor hands out as files: those in the stage, if any.
install_vendor_packages() {
  local files=("${stage:?}"/packages/*.deb)
  [[ -e ${files[0]} ]] || return 0
  install_packages "${files[@]}"
}

# Copies the files of one kind over the root. Owner and modes are set here: what
# a checkout, a copy or an upload made of them does not count.
install_files() {
  local from=$stage/files/$1 path mode
  [[ -d $from ]] || return 0
  while IFS= read -r -d '' path; do
    mode=0644
    [[ $path == usr/local/lib/amid/* || $path == usr/local/bin/* ]] && mode=0755
    install -D -o root -g root -m "$mode" "$from/$path" "/$path"
  done < <(cd "$from" && find . -type f -printf '%P\0')
}

# The suites of this kind take the place of those of its base.
install_suites() {
  rm -rf /usr/share/amid/goss
  install -d -m 0755 /usr/share/amid/goss
  cp -R "$stage/goss/." /usr/share/amid/goss/
  printf 'gossfile:\n  %s/image.yaml: {}\n' "$1" >/usr/share/amid/goss/image.yaml
  printf 'gossfile:\n  %s/boot.yaml: {}\n' "$1" >/usr/share/amid/goss/boot.yaml
  chown -R root:root /usr/share/amid
  chmod -R u=rwX,go=rX /usr/share/amid
}

# system_user NAME: no password, no shell, no home worth having.
system_user() {
  getent passwd "$1" >/dev/null ||
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$1"
}

enable() { systemctl --quiet enable "$@"; }
disable() { systemctl --quiet disable "$@"; }
