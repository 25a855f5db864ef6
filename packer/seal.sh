#!/usr/bin/env bash
# seal.sh OUTPUT: writes what the image suite found into the manifest, and onto
# the image and its snapshots as the tag amid:goss. packer runs it after a build;
# an image without that tag has not passed, and amid does not take it.
set -euo pipefail
output=${1:?usage: seal.sh OUTPUT}
command -v aws >/dev/null || { echo "error: no aws on PATH to tag the image with" >&2; exit 1; }

# Prints the digest, then a line `region ami` for each copy of the image.
read_build() {
  python3 - "$output/packer-manifest.json" "$output/image-release.json" <<'END'
import json
import os
import re
import sys

manifest_path, release_path = sys.argv[1:]
with open(manifest_path, encoding="utf-8") as file:
    manifest = json.load(file)
with open(release_path, encoding="utf-8") as file:
    release = json.load(file)
last = [b for b in manifest["builds"] if b["packer_run_uuid"] == manifest["last_run_uuid"]]
if len(last) != 1:
    sys.exit(f"error: {manifest_path} does not have exactly one build of the last run")
data = last[0]["custom_data"]
for name in ("kind", "base", "commit", "build", "version"):
    if release.get(name) != data.get(name):
        sys.exit(f"error: the image says {name} {release.get(name)}, the manifest says {data.get(name)}")
digest = release.get("goss", "")
if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
    sys.exit("error: the image does not say what its suite found")
data["goss"] = digest
with open(manifest_path + ".new", "w", encoding="utf-8") as file:
    json.dump(manifest, file, indent=2)
    file.write("\n")
os.replace(manifest_path + ".new", manifest_path)
print(digest)
for artifact in last[0]["artifact_id"].split(","):
    print(*artifact.split(":"))
END
}

lines=$(read_build)
digest=${lines%%$'\n'*}
while read -r region ami; do
  read -ra snapshots < <(aws ec2 describe-images --region "$region" --image-ids "$ami" --output text \
    --query 'Images[0].BlockDeviceMappings[].Ebs.SnapshotId')
  ((${#snapshots[@]})) || { echo "error: $ami in $region has no snapshot" >&2; exit 1; }
  aws ec2 create-tags --region "$region" --resources "$ami" "${snapshots[@]}" --tags "Key=amid:goss,Value=$digest"
  echo "$ami in $region: amid:goss=$digest" >&2
done <<<"${lines#*$'\n'}"
