# shellcheck shell=bash
# packer/build.sh for real: packer, its plugin and the builder `chroot`, with an API
# that stands in for EC2 and a loop device that stands in for the volume which a
# build instance attaches. Sourced by test-images.sh, after boot-ec2.sh.
# shellcheck disable=SC2154

ec2=
base=
stop_ec2() {
  [[ -z $ec2 ]] || { kill "$ec2" && wait "$ec2"; } 2>/dev/null || true
  ec2=
}

# new_disk IMAGE: a volume made from the snapshot of an image: its root file system.
new_disk() {
  release_volume
  cp --sparse=always "$1" "$chroots/disk.img"
  device=$(losetup --find --show "$chroots/disk.img")
  ln -sfn "$device" "$chroots/dev/nvme1n1p1"
}

# build TODO: as a person would on a build instance, into a folder of its own.
build() {
  with_aws env TODO="$1" GOSS="$goss" PACKER="$packer" PACKER_PLUGIN_PATH="$PACKER_PLUGIN_PATH" OUTPUT="$chroots/output" \
    AWS_POLL_DELAY_SECONDS=1 packer/build.sh app -var builder=chroot -var "base_ami=$base" \
    -var "nvme_device=$chroots/dev/nvme1n1p" -var ec2_endpoint=http://127.0.0.1:5001
}

# The image says another version than the program does. Any other reason to fail is
# none that was wanted.
red_build() {
  local said
  if said=$(VERSION=9.9.9 build "$todo" 2>&1); then return 1; fi
  grep -F "The image suite failed" <<<"$said" || { printf '%s\n' "$said"; return 1; }
}
images_of() { api ec2 describe_images '{"Owners": ["self"]}' | answer_of '["Images"]' | grep -o "'Name': '$1-[^']*'" | wc -l; }
built() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["builds"][0]["artifact_id"].split(":")[1])' "$chroots/output/app/packer-manifest.json"; }
has_tag() { api ec2 describe_tags "{\"Filters\": [{\"Name\": \"resource-id\", \"Values\": [\"$1\"]}]}" | grep -F "\"Key\": \"$2\"" | grep -F -- "\"Value\": \"$3\""; }
# The program is in it, what brought it is not.
holds_the_app() {
  local status=0
  mkdir -p "$chroots/disk"
  mount -o ro "$device" "$chroots/disk"
  cmp "$todo" "$chroots/disk/usr/local/bin/todo" && [[ ! -e $chroots/disk/tmp/amid-image ]] || status=1
  umount "$chroots/disk"
  return "$status"
}
let_go() { ! grep -F "$device " /proc/self/mounts; }

# check_build FOLDER: an image of the app is built on this root file system.
check_build() {
  local ami before
  mkdir -p "$chroots/dev"
  mkfs.ext4 -q -d "$1" "$chroots/base.ext4" 3G >/dev/null
  instance=$(api ec2 run_instances '{"ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 1}' | answer_of '["Instances"][0]["InstanceId"]')
  base=$(api ec2 create_image "{\"InstanceId\": \"$instance\", \"Name\": \"base-1\"}" | answer_of '["ImageId"]')
  ip netns exec "$netns" python3 packer/tests/ec2.py "$instance" 5001 5000 >"$chroots/ec2.log" 2>&1 &
  ec2=$!
  until_true 30 ip netns exec "$netns" bash -c '</dev/tcp/127.0.0.1/5001' || die "the stand-in for EC2 does not answer"

  new_disk "$chroots/base.ext4"
  check "build: packer builds, tries, registers and seals an image" build "$todo"
  ami=$(built || echo none)
  check "build: what was on the volume is the app's image" holds_the_app
  check "build: the volume is let go of" let_go
  check "build: the image says what it is" has_tag "$ami" amid:kind app
  check "build: and what it was built on" has_tag "$ami" amid:base "$base"
  check "build: and what its suite found" has_tag "$ami" amid:goss "$(field "$chroots/output/app/packer-manifest.json" goss)"

  before=$(images_of app)
  new_disk "$chroots/base.ext4"
  check "build: a red suite is a failed build" red_build
  check "build: which leaves no image" test "$(images_of app)" = "$before"
  check "build: and lets go of the volume" let_go
}
