#!/usr/bin/env bash
# pin.sh [MANIFEST]: makes the base image of this manifest the one that further
# images are built from. Changes packer/pins.auto.pkrvars.hcl; commit it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
manifest=${1:-$here/output/base/packer-manifest.json}
pins=${PINS:-$here/pins.auto.pkrvars.hcl}

ami=$(python3 - "$manifest" <<'END'
import json
import sys

try:
    with open(sys.argv[1], encoding="utf-8") as file:
        manifest = json.load(file)
except (OSError, ValueError) as error:
    sys.exit(f"error: this is not packer's manifest: {error}")
last = [b for b in manifest["builds"] if b["packer_run_uuid"] == manifest["last_run_uuid"]]
if len(last) != 1 or last[0].get("custom_data", {}).get("kind") != "base":
    sys.exit(f"error: {sys.argv[1]} is not of the build of one base image")
# "region:ami,region:ami"; the first is where it was built.
print(last[0]["artifact_id"].split(",")[0].split(":")[1])
END
)
touch "$pins"
grep -v '^ *base_ami *=' "$pins" >"$pins.new" || true
printf 'base_ami = "%s"\n' "$ami" >>"$pins.new"
mv "$pins.new" "$pins"
printf '%s\n' "$ami"
