#!/usr/bin/env bash
# Applies staging to an emulated API, with the real provider, as a person would:
# network, amid's machine, roles, data, and a member of the replica set. Then plans
# again, which has to find nothing to do, and asks for the data's destruction, which
# has to be refused. Load balancers are left out: the provider waits a minute for
# each, and the scenes have one.
# usage: scripts/apply-staging.sh FOLDER (made anew, left behind)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

folder=$1
mkdir -p "$folder/repo"
git ls-files -z --cached --others --exclude-standard -- terraform desired | xargs -0 cp --parents -t "$folder/repo"
# terragrunt looks for the repository's root.
git -C "$folder/repo" init --quiet

TG_TF_PATH=$(find_terraform)
export TG_TF_PATH TF_INPUT=0 TG_NON_INTERACTIVE=true TG_NO_COLOR=true
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_EC2_METADATA_DISABLED=true
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ROLE_ARN

# moto ends when its standard input does, that is with this script at the latest.
mkfifo "$folder/alive"
"$cache/moto-venv/bin/python" -u -c '
import os, sys, threading
def leave():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=leave, daemon=True).start()
from moto.server import main
main(["-H", "127.0.0.1", "-p", "0"])
' <"$folder/alive" >"$folder/moto.log" 2>&1 &
moto=$!
exec 8>"$folder/alive"
until AWS_ENDPOINT_URL=$(grep -oE 'http://127\.0\.0\.1:[0-9]+' "$folder/moto.log" | head -n1) && [[ -n $AWS_ENDPOINT_URL ]]; do
  kill -0 "$moto" 2>/dev/null || die "moto did not start: $(tail -n5 "$folder/moto.log")"
  sleep 0.1
done
export AWS_ENDPOINT_URL

# unit NAME COMMAND…: terragrunt in a unit; its output is shown where it fails.
unit() {
  local name=$1 log status=0
  shift
  log=$folder/${name//\//-}-$1.log
  # `show` gives JSON on its standard output; what terragrunt says is apart.
  terragrunt run --backend-bootstrap --working-dir "$folder/repo/terraform/live/staging/$name" -- "$@" -no-color \
    >"$log" 2>"$log.err" 8>&- || status=$?
  printf '%s\n' "$log" >"$folder/last"
  return "$status"
}
explain() {
  tail -n40 "$(cat "$folder/last")" "$(cat "$folder/last").err"
  die "$1"
}

for name in network controller todo/role mongodb/data mongodb/a/app; do
  unit "$name" apply -auto-approve || explain "staging/$name could not be applied"
  echo "applied: $name"
done

# settled UNIT: a further plan changes nothing, apart from what this API does not
# give back as it was told: descriptions of security group rules, the network of a
# zone (and the policies that are worked out from it), a group's maintenance policy,
# a template's own tags.
settled() {
  unit "$1" plan "-out=$folder/plan" || return 1
  local log
  log=$(cat "$folder/last")
  unit "$1" show -json "$folder/plan" || return 1
  "$cache/moto-venv/bin/python" - "$(cat "$folder/last")" <<'PYTHON' || { printf '%s\n' "$log" >"$folder/last"; return 1; }
import json, sys

FORGOTTEN = {
    "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule", "aws_route53_zone",
    "aws_iam_role_policy",
    "aws_autoscaling_group", "aws_launch_template",
}
with open(sys.argv[1], encoding="utf-8") as file:
    plan = json.loads(next(line for line in file if line.startswith("{")))
bad = 0
for change in plan["resource_changes"]:
    actions = change["change"]["actions"]
    if actions in (["no-op"], ["read"]) or (actions == ["update"] and change["type"] in FORGOTTEN):
        continue
    print(f"{change['address']}: {' and '.join(actions)}")
    bad = 1
sys.exit(bad)
PYTHON
  echo "settled: $1"
}
for name in controller mongodb/data mongodb/a/app; do
  settled "$name" || explain "staging/$name is not settled after its apply"
done

# What a machine does at boot must not look like drift.
"$cache/moto-venv/bin/python" - <<'PYTHON'
import os

import boto3

route53 = boto3.client("route53", region_name="eu-central-1", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
zone = next(zone["Id"] for zone in route53.list_hosted_zones()["HostedZones"] if zone["Name"].startswith("mongodb.staging"))
record = {"Name": "a.mongodb.staging.internal", "Type": "A", "TTL": 10, "ResourceRecords": [{"Value": "10.30.128.7"}]}
route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]})
PYTHON
settled mongodb/data || explain "A machine that wrote its own address looks like drift"

if unit mongodb/data plan -destroy; then
  explain "The data may be destroyed"
fi
grep -q 'prevent_destroy' "$(cat "$folder/last")" "$(cat "$folder/last").err" || explain "The destruction was refused for another reason"
echo "the data cannot be destroyed"
exec 8>&-
wait "$moto" || true
