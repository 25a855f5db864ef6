# shellcheck shell=bash
# What happens to a finished image, against an AWS API that stands in for the
# real one. Sourced by test-images.sh, after boot-image.sh.
# shellcheck disable=SC2154

aws_there() {
  local venv=$cache/awscli-venv version=1.46.3
  if ! "$venv/bin/aws" --version 2>/dev/null | grep -q "aws-cli/$version "; then
    say "installing the AWS command line into a virtual environment"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "awscli==$version" >&2
  fi
}

# with_aws COMMAND…: sees the stand-in as AWS.
with_aws() {
  ip netns exec "$netns" env AWS_ENDPOINT_URL=http://127.0.0.1:5000 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
    AWS_PAGER='' PATH="$cache/awscli-venv/bin:$PATH" "$@"
}

# A manifest as packer writes it: an older build before the one that counts.
write_manifest() {
  python3 - "$@" <<'END'
import json
import sys

path, kind, artifact, build = sys.argv[1:]
old = {"name": kind, "builder_type": "amazon-chroot", "artifact_id": "us-east-1:ami-00000000", "packer_run_uuid": "old"}
data = {"kind": kind, "base": "ami-0123456789abcdef0", "commit": "c" * 40, "build": build, "version": "0.1.0"}
new = old | {"artifact_id": artifact, "packer_run_uuid": "new", "custom_data": data}
with open(path, "w", encoding="utf-8") as file:
    json.dump({"builds": [old, new], "last_run_uuid": "new"}, file)
END
}

tags_of() {
  with_aws aws ec2 describe-tags --region us-east-1 --filters "Name=resource-id,Values=$1" "Name=key,Values=amid:goss" --query 'Tags[0].Value' --output text
}
tagged() { [[ $(tags_of "$1") == "$2" ]]; }
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["builds"][-1]["custom_data"][sys.argv[2]])' "$@"; }

check_seal() {
  local output=$chroots/sealed digest instance ami snapshot
  aws_there
  mkdir "$output"
  digest=sha256:$(printf 'd%.0s' {1..64})
  instance=$(with_aws aws ec2 run-instances --region us-east-1 --image-id ami-12c6146b --query 'Instances[0].InstanceId' --output text)
  ami=$(with_aws aws ec2 create-image --region us-east-1 --instance-id "$instance" --name app-test --query ImageId --output text)
  snapshot=$(with_aws aws ec2 describe-images --region us-east-1 --image-ids "$ami" --query 'Images[0].BlockDeviceMappings[0].Ebs.SnapshotId' --output text)
  write_manifest "$output/packer-manifest.json" app "us-east-1:$ami" b1
  printf '{"kind": "app", "base": "ami-0123456789abcdef0", "commit": "%040d", "build": "b1", "version": "0.1.0", "goss": "%s"}' 0 "$digest" |
    sed "s/0\{40\}/$(printf 'c%.0s' {1..40})/" >"$output/image-release.json"

  check "seal: an image that passed is tagged with what its suite found" with_aws packer/seal.sh "$output"
  check "seal: so is the image itself" tagged "$ami" "$digest"
  check "seal: so are its snapshots" tagged "$snapshot" "$digest"
  check "seal: and the manifest says it" test "$(field "$output/packer-manifest.json" goss)" = "$digest"
  sed -i 's/"b1"/"b2"/' "$output/image-release.json"
  check "seal: a release file of another build is refused" refuses with_aws packer/seal.sh "$output"

  write_manifest "$output/base.json" base us-east-1:ami-0aaaaaaaaaaaaaaa1 b1
  printf 'region   = "eu-central-1"\nbase_ami = "ami-0bbbbbbbbbbbbbbb2"\n' >"$output/pins.hcl"
  check "pin: a base image becomes the one to build from" env PINS="$output/pins.hcl" packer/pin.sh "$output/base.json"
  check "pin: only that line changed" diff "$output/pins.hcl" <(printf 'region   = "eu-central-1"\nbase_ami = "ami-0aaaaaaaaaaaaaaa1"\n')
  check "pin: an app image is refused" refuses env PINS="$output/pins.hcl" packer/pin.sh "$output/packer-manifest.json"
}
