#!/usr/bin/env bash
# The infrastructure without any account: linters over the modules, both
# environments held against each other, the policies against AWS's own lists, and
# the scripts of the machines against an emulated API. `INFRA_APPLY=1` also applies
# staging to that API, with the real provider: some 3 minutes more.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/go-tool.sh
source "$root/scripts/go-tool.sh"
cd "$root"

moto_python=$cache/moto-venv/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# packages PROGRAM=PACKAGE…
packages() {
  local pair missing=()
  for pair in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}" >/dev/null || missing+=("${pair##*=}")
  done
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || die "These packages are missing: ${missing[*]}; on Debian: sudo apt-get install ${missing[*]}"
  command -v apt-get >/dev/null || die "These programs' packages are missing: ${missing[*]}"
  say "installing ${missing[*]}"
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2
}

# python_of NAME: prints the Python of a virtual environment with the packages
# that scripts/NAME-requirements.txt pins.
python_of() {
  local venv=$cache/$1-venv pins=$root/scripts/$1-requirements.txt
  if [[ ! -x $venv/bin/python ]] || ! cmp -s "$pins" "$venv/pins.txt"; then
    say "installing $(grep -v '^#' "$pins" | paste -sd' ') into a virtual environment"
    rm -rf "$venv"
    python3 -m venv "$venv" || die "python3 cannot make virtual environments; on Debian: apt-get install python3-venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$pins" >&2 ||
      die "scripts/$1-requirements.txt could not be installed"
    cp "$pins" "$venv/pins.txt"
  fi
  printf '%s\n' "$venv/bin/python"
}

packages mkfs.xfs=xfsprogs mkfs.ext4=e2fsprogs blkid=util-linux losetup=mount
checkov=$(python_of checkov)
machines=$(python_of machines)
tflint=$(go_tool tflint github.com/terraform-linters/tflint)
TFLINT_PLUGIN_DIR=$(dirname "$(go_tool tflint-ruleset-aws github.com/terraform-linters/tflint-ruleset-aws)")
export TFLINT_PLUGIN_DIR

# --- The modules ---

lint_module() {
  local given=()
  # tflint reckons with values, and this module has none for a manifest.
  [[ $1 != terraform/modules/releases ]] ||
    given=(--var 'app=demo/todo' --var 'subnet_ids=["subnet-1"]'
      --var 'manifest={"ami":"ami-00000000000000001","instance_types":["t3.small"],"min_size":1,"max_size":1}')
  "$tflint" --config="$root/terraform/.tflint.hcl" --chdir="$1" --format=compact "${given[@]}"
}
while IFS= read -r folder; do
  check "tflint: ${folder#terraform/modules/}" lint_module "$folder"
done < <(git ls-files --cached --others --exclude-standard -- 'terraform/modules/*/versions.tf' | xargs -n1 dirname | sort -u)

checkov_passes() {
  local log
  cp -r terraform/modules "$work/modules"
  # checkov's reader stumbles over this one regular expression, and would pass
  # over the whole file.
  # shellcheck disable=SC2016
  sed -i 's/\${replace(value, .*)}/${value}/' "$work/modules/releases/release.tf"
  log=$("$(dirname "$checkov")/checkov" --directory "$work/modules" --config-file terraform/.checkov.yaml 2>&1) || {
    printf '%s\n' "$log"
    return 1
  }
  # What it cannot read, it does not check.
  grep -q 'Parsing errors' <<<"$log" && { printf '%s\n' "$log"; return 1; }
  grep -q 'Passed checks: [1-9]' <<<"$log" || { printf 'nothing was checked\n%s\n' "$log"; return 1; }
}
check "checkov: what is not excepted in terraform/.checkov.yaml" checkov_passes

# --- The units ---

check "terragrunt reads every unit" terragrunt hcl validate --no-color --working-dir terraform/live

same_units() {
  diff -r --exclude=env.hcl --exclude=.terragrunt-cache terraform/live/staging terraform/live/prod
}
check "staging and production differ in values only" same_units

# The load balancer asks where images answer.
same_health() {
  local unit=packer/files/base/etc/systemd/system/amid-health.service port path environment
  port=$(sed -nE 's/^ExecStart=.* --listen-addr :([0-9]+) .*/\1/p' "$unit")
  path=$(sed -nE 's/^ExecStart=.* --endpoint ([^ ]+) .*/\1/p' "$unit")
  for environment in staging prod; do
    grep -F "health = { port = $port, path = \"$path\" }" "terraform/live/$environment/env.hcl" ||
      { echo "$environment does not ask images on port $port under $path"; return 1; }
  done
}
check "the load balancer asks for the boot suite where images answer for it" same_health

# Each manifest names a unit that is there, and each unit of releases has a manifest.
units_and_manifests() {
  local manifest unit status=0
  for manifest in $(git ls-files --cached --others --exclude-standard -- 'desired/*.json' | grep -v '^desired/schema.json$'); do
    unit=$(sed -nE 's/^ *"unit": *"([^"]+)".*/\1/p' "$manifest")
    [[ -f terraform/$unit/terragrunt.hcl ]] || { echo "$manifest: there is no unit terraform/$unit"; status=1; }
    [[ $unit == "live/$(sed -E 's,^desired/(.*)\.json$,\1,' <<<"$manifest")/app" ]] ||
      { echo "$manifest: its unit is elsewhere: $unit"; status=1; }
  done
  for unit in $(git ls-files --cached --others --exclude-standard -- 'terraform/live/*/app/terragrunt.hcl'); do
    manifest=desired/$(sed -E 's,^terraform/live/(.*)/app/terragrunt.hcl$,\1,' <<<"$unit").json
    [[ -f $manifest ]] || { echo "$unit has no manifest $manifest"; status=1; }
  done
  return "$status"
}
check "every manifest has its unit, every unit its manifest" units_and_manifests

gates() {
  "$checkov" - <<'PYTHON'
import glob, json, sys

bad = 0
for place in sorted(glob.glob("desired/*/mongodb")):
    environment = place.split("/")[1]
    members = sorted(path.split("/")[-1][:-5] for path in glob.glob(f"{place}/*.json"))
    for index, member in enumerate(members):
        path = f"{place}/{member}.json"
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        other = members[(index + 1) % len(members)]
        wanted = f"http://{other}.mongodb.{environment}.internal:27080/roll/{member}"
        found = manifest.get("gate", {}).get("url")
        if found != wanted or manifest["roll"]["strategy"] != "recreate" or manifest["max_size"] != 1:
            print(f"{path}: a member is one machine, recreated, with the gate {wanted}; found {found}")
            bad = 1
sys.exit(bad)
PYTHON
}
check "every member asks the next one before it goes" gates

# --- What amid may do ---

check "every call of amid is in its policies" \
  "$moto_python" scripts/operations.py calls terraform/modules/controller/operations.json controller/src
check "every action of its policies is IAM's" \
  "$checkov" scripts/operations.py iam terraform/modules/controller/operations.json

# --- The scripts of the machines ---

machine_tests() {
  local log=$work/machines.log status=0 count skipped bad
  (cd packer/tests/machines && PYTHONDONTWRITEBYTECODE=1 PATH=$PATH:/usr/sbin:/sbin MOTO_PYTHON=$moto_python \
    "$machines" -m unittest --buffer) >"$log" 2>&1 || status=$?
  count=$(sed -nE 's/^Ran ([0-9]+) tests? in .*/\1/p' "$log" | tail -n1)
  bad=$(grep -cE '^(FAIL|ERROR): ' "$log") || true
  skipped=$(sed -nE 's/.*skipped=([0-9]+).*/\1/p' "$log" | tail -n1)
  # A run that ends badly without naming a failure is one, too.
  ((status == 0 || bad > 0)) || bad=1
  passed=$((passed + ${count:-0} - bad - ${skipped:-0}))
  failed=$((failed + bad))
  if ((bad > 0)); then
    say "✗ scripts of the machines"
    sed 's/^/    /' "$log" >&2
  else
    say "✓ scripts of the machines: ${count:-0} tests${skipped:+, $skipped of them need root and loop devices}"
  fi
}
machine_tests

# --- Staging, applied to an emulated API ---

if [[ ${INFRA_APPLY:-} == 1 ]]; then
  check "staging can be applied, is settled then, and keeps its data" scripts/apply-staging.sh "$work/apply"
fi

summary
