# shellcheck shell=bash
# Builds a tool from its module under tools/. Sourced after lib.sh.
# shellcheck disable=SC2154

# go_tool NAME PACKAGE [LDFLAGS]: prints where the built program lies. The name
# of the file carries what it was built from, so a changed pin is a new program.
go_tool() {
  local name=$1 package=$2 flags=${3:-} from binary
  from=$(cat "$root/tools/$name/go.mod" "$root/tools/$name/go.sum" <(echo "$package $flags") | sha256sum | cut -c1-12)
  binary=$cache/bin/go/$name-$from/$name
  if [[ ! -x $binary ]]; then
    command -v go >/dev/null || die "No Go on PATH to build $name with; get 1.26 or newer from go.dev/dl"
    mkdir -p "$(dirname "$binary")"
    say "building $name"
    go -C "$root/tools/$name" build -trimpath -o "$binary.new" -ldflags "-s -w $flags" "$package" >&2 ||
      die "$name could not be built"
    mv "$binary.new" "$binary"
  fi
  printf '%s\n' "$binary"
}

# The pinned version of a module in tools/NAME/go.mod, without its v.
go_pin() {
  awk -v module="$2" '$1 == module || $2 == module { for (i = 1; i <= NF; i++) if ($i ~ /^v[0-9]/) { print substr($i, 2); exit } }' \
    "$root/tools/$1/go.mod"
}
