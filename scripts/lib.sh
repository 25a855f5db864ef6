# shellcheck shell=bash
# What every verb shares: where things lie, how to say something, which tools
# to use. Sourced, never run. Nothing here installs anything; tools.sh does.
# shellcheck disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/amid
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
# A terragrunt of our own, where PATH had none that is new enough.
export PATH=$cache/bin:$PATH
# The environment's own value may name a file that does not exist.
export TF_CLI_CONFIG_FILE=$cache/terraform.rc
export CHECKPOINT_DISABLE=1

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# version_at_least HAVE WANT
version_at_least() {
  [[ -n $1 && $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1) == "$2" ]]
}

# The first dotted version in a program's own answer, or nothing.
version_of() {
  command -v "$1" >/dev/null || return 0
  "$1" "$2" 2>/dev/null | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n1 || true
}

# Prints `terraform` or `tofu`, whichever is there and new enough.
find_terraform() {
  if version_at_least "$(version_of terraform version)" 1.11.0; then
    command -v terraform
  elif version_at_least "$(version_of tofu version)" 1.10.0; then
    command -v tofu
  else
    return 1
  fi
}

# Counting checks: `check NAME COMMAND…` is quiet unless the command fails.
passed=0
failed=0
check() {
  local name=$1 log
  shift
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
    say "✓ $name"
  else
    failed=$((failed + 1))
    say "✗ $name"
    sed 's/^/    /' "$log" >&2
  fi
  rm -f "$log"
}

# The last line of every verb that checks something.
summary() {
  printf '%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0))
}

# Runs `cargo test` with these arguments and adds what it counted. Shows
# everything only where something failed.
cargo_tests() {
  local log good bad status=0
  log=$(mktemp)
  cargo test --no-fail-fast "$@" >"$log" || status=$?
  read -r good bad < <(awk '/^test result: / { good += $4; bad += $6 } END { print good + 0, bad + 0 }' "$log")
  # A test program that died has counted nothing.
  ((status == 0 || bad > 0)) || bad=1
  ((bad == 0)) || cat "$log" >&2
  rm -f "$log"
  passed=$((passed + good))
  failed=$((failed + bad))
}
