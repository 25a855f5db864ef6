#!/usr/bin/env bash
# My code change in production, by one command: an edited line of todo/ becomes
# a program, an image that has passed its suite, a bump in git and a roll on
# the emulated AWS API, whose instances are processes of these very images.
# amid-demo plays it and comes back to this file for what a build machine does.
#
#   pipeline.sh            everything, as root
#   pipeline.sh checkout   copies the checkout; prints the copy's commit
#   pipeline.sh change     edits a line of the copy's page; prints commit and line
#   pipeline.sh mistake OPTION   spoils the unit of the copy's app; prints the commit
#   pipeline.sh program    builds the copy's todo; prints where it is
#   pipeline.sh image NAME PROGRAM COMMIT VERSION BASE
#                          builds an image; prints the folder of its root
#   pipeline.sh seal FOLDER   what follows packer's manifest post-processor
set -euo pipefail
# A root file system that could not be made must not be mounted into.
shopt -s inherit_errexit
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/go-tool.sh
source "$root/scripts/go-tool.sh"
cd "$root"

work=$cache/pipeline
copy=$work/checkout

# --- A change ---

# commit MESSAGE [-p PARENT]: of what the copy's index holds, whatever this
# machine's settings for commits are. Prints the commit.
commit() {
  local name
  for name in AUTHOR COMMITTER; do export "GIT_${name}_NAME=Robin" "GIT_${name}_EMAIL=robin@localhost"; done
  git -C "$copy" commit-tree -m "$1" "${@:2}" "$(git -C "$copy" write-tree)"
}

# The checkout as it lies there, in a place that is the same every time, so that
# only the edited line is compiled again. git brings it there, because it writes
# only files that differ, and cargo goes by their age. The checkout is not touched.
checkout() {
  local snapshot=$copy/.git/from-checkout
  [[ -d $copy/.git ]] || git init --quiet "$copy"
  rm -f "$snapshot"
  GIT_INDEX_FILE=$snapshot git --git-dir="$copy/.git" --work-tree="$root" add --all -- "$root"
  # Learns which files are as they were; those that are not make it fail.
  git -C "$copy" update-index -q --refresh || true
  git -C "$copy" reset --quiet --hard "$(GIT_INDEX_FILE=$snapshot commit "As it was")"
  git -C "$copy" rev-parse HEAD
}

# edit FILE PATTERN LINE MESSAGE: one line of the copy, committed.
edit() {
  sed -i "s|$2|$3|" "$copy/$1"
  git -C "$copy" add "$1"
  ! git -C "$copy" diff --cached --quiet || die "There is no line to edit in $1"
  git -C "$copy" reset --quiet --soft "$(commit "$4" -p HEAD)"
  git -C "$copy" rev-parse HEAD
}

change() {
  local line
  line="Edit a todo by its pencil, a double click, or F2 (changed at $(date +%H:%M:%S.%N))"
  edit todo/src/page/index.html '<p>Edit a todo by its pencil[^<]*</p>' "<p>$line</p>" "Say when the page was changed"
  printf '%s\n' "$line"
}

# What no suite in a chroot can see.
mistake() {
  edit packer/files/app/etc/systemd/system/todo.service '^ExecStart=.*' "& $1" "Try something and forget it"
}

# Cargo takes a copy of a workspace for the workspace itself: with settings of
# its own, this todo and the checkout's do not pass for each other.
program() {
  (cd "$copy" && cargo build --config profile.dev.package.todo.debug=0 --workspace --bin todo --quiet)
  # Whoever builds something else meanwhile puts another one in its place.
  cp -f "$CARGO_TARGET_DIR/debug/todo" "$work/todo"
  printf '%s\n' "$work/todo"
}

# --- Images ---

# provision ROOT KIND BASE COMMIT VERSION: as packer does it, its last step being
# the image suite.
provision() {
  local folder=$1
  in_chroot "$folder" env APT_CONFIG="$cached_apt" "AMID_KIND=$2" "AMID_BASE=$3" "AMID_COMMIT=$4" \
    AMID_BUILD=pipeline "AMID_VERSION=$5" bash /tmp/amid-image/provision/run.sh
}

# An overlay stays mounted for the machines; what a build brings goes.
close_root() {
  local place
  for place in proc sys dev mnt/debs; do unmount_below "$1/$place"; done
  rmdir "$1/mnt/debs"
}

# The base is an image of its own, made far less often than the app's: its root
# is kept until what it is made from changes.
base_root() {
  local from folder kept archive
  archive=$(debian_archive)
  from=$(
    {
      printf '%s\n' "$archive"
      cat "$GOSS"
      tar --sort=name --mtime=@0 -C packer -cf - files/base goss provision/{base,lib,run,clean}.sh
    } | sha256sum | cut -c1-12
  )
  kept=$cache/images/base-$from
  if [[ ! -d $kept ]]; then
    say "building the base image, about a minute once"
    folder=$(new_chroot base)
    mount_chroot "$folder"
    packer/stage.sh base "$folder/tmp/amid-image"
    provision "$folder" base ami-0123456789abcdef0 "$(git rev-parse HEAD)" 0.1.0 >"$chroots/base.log" 2>&1 ||
      { tail -n 20 "$chroots/base.log" >&2; die "The base image could not be built"; }
    close_root "$folder"
    rm -rf --one-file-system "$cache"/images/base-*
    # Under another name until it is whole: this may be another file system.
    mv "$folder" "$kept.new"
    mv "$kept.new" "$kept"
  fi
  export AMID_PIPELINE_BASE=$kept
}

# image NAME PROGRAM COMMIT VERSION BASE
image() {
  local folder=$AMID_PIPELINE_FOLDER/$1
  mkdir -p "$folder"/{root,upper,work,output}
  mount -t overlay overlay -o "lowerdir=$AMID_PIPELINE_BASE,upperdir=$folder/upper,workdir=$folder/work" "$folder/root" 2>/dev/null ||
    cp -a "$AMID_PIPELINE_BASE/." "$folder/root/"
  mount_chroot "$folder/root"
  TODO=$2 "$copy/packer/stage.sh" app "$folder/root/tmp/amid-image"
  if ! provision "$folder/root" app "$5" "$3" "$4" >"$folder/log" 2>&1; then
    tail -n 30 "$folder/log" >&2
    die "The image $1 could not be built"
  fi
  close_root "$folder/root"
  cp "$folder/root/etc/image-release.json" "$folder/output/"
  printf '%s\n' "$folder/root"
}

seal() {
  # The environment says where AWS is.
  PATH=$cache/awscli-venv/bin:$PATH packer/seal.sh "$1"
}

# --- Everything ---

# Where the player was killed: what runs in the roots of its images, and what
# was started for a file of its world.
end_machines() {
  local process
  for process in /proc/[0-9]*; do
    if [[ $(readlink "$process/root") == "$chroots"/* ]] || grep -qF "$chroots/" "$process/cmdline"; then
      kill -KILL "${process#/proc/}" || true
    fi
  done 2>/dev/null
}

everything() {
  # shellcheck source=scripts/seal-image.sh
  source "$root/scripts/seal-image.sh"
  local player status=0
  chroot_needs
  mkdir -p "$work"
  # Two at once would edit one copy.
  exec 9>"$work/lock"
  flock --nonblock 9 || die "make pipeline runs already"
  trap 'end_machines; remove_chroots' EXIT
  write_cached_apt
  aws_there
  GOSS=$(go_tool goss github.com/goss-org/goss/cmd/goss "-X github.com/goss-org/goss/util.Version=v$(go_pin goss github.com/goss-org/goss)")
  AMID_TERRAFORM=$(find_terraform)
  export GOSS AMID_TERRAFORM AMID_PIPELINE_FOLDER=$chroots AMID_PIPELINE=$root/scripts/pipeline.sh
  export AMID_CHECKOUT=$root AMID_MOTO_PYTHON=$cache/moto-venv/bin/python AMID_BIN=$CARGO_TARGET_DIR/debug/amid
  base_root
  say "building amid (about 20 minutes the first time, seconds afterwards)"
  cargo build --workspace --quiet
  # Its world goes with the images.
  export TMPDIR=$chroots
  # In the background, so that a signal is passed on and not kept until the end.
  # Ctrl-C comes to it from the terminal. The lock is not for its children.
  trap 'kill -TERM "$player"' TERM
  trap : INT
  "$CARGO_TARGET_DIR/debug/amid-demo" pipeline 9>&- &
  player=$!
  wait "$player" || status=$?
  # Back too early, by a signal.
  while kill -0 "$player" 2>/dev/null; do
    status=0
    wait "$player" || status=$?
  done
  exit "$status"
}

case ${1:-} in
  checkout | change | mistake | program | seal) "$@" ;;
  image | '')
    # shellcheck source=scripts/chroot.sh
    source "$root/scripts/chroot.sh"
    if (($#)); then "$@"; else everything; fi
    ;;
  *) die "usage: pipeline.sh [checkout | change | mistake OPTION | program | image … | seal FOLDER]" ;;
esac
