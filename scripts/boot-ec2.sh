# shellcheck shell=bash
# What a machine with a volume of its own finds in EC2, for boot-image.sh: its
# metadata at their real address, a volume that is a loop device, an API that
# attaches it. Sourced after boot-image.sh.
# shellcheck disable=SC2154

metadata=
device=
volume=
instance=

# answer_of EXPRESSION: of the JSON on standard input.
answer_of() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }

# new_volume TAG=VALUE…: an empty one, which the API and this machine know. Sets
# `volume` and `device`.
new_volume() {
  local tags
  tags=$(python3 -c 'import json, sys; print(json.dumps([dict(zip(("Key", "Value"), pair.split("=", 1))) for pair in sys.argv[1:]]))' "$@")
  volume=$(api ec2 create_volume "{\"AvailabilityZone\": \"us-east-1a\", \"Size\": 1, \"TagSpecifications\": [{\"ResourceType\": \"volume\", \"Tags\": $tags}]}" | answer_of '["VolumeId"]')
  truncate -s 400M "$chroots/$volume.img"
  device=$(losetup --find --show "$chroots/$volume.img")
}

# new_instance: the machine that is to boot next. Sets `instance`, and answers for
# its metadata.
new_instance() {
  stop_metadata
  instance=$(api ec2 run_instances '{"ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 1}' | answer_of '["Instances"][0]["InstanceId"]')
  ip netns exec "$netns" env PYTHONPATH="$root/packer/tests/machines" "$cache/moto-venv/bin/python" -c '
import sys, threading
import support
support.Metadata({"instance-id": sys.argv[1], "local-ipv4": "127.0.0.1"}, ("169.254.169.254", 80))
threading.Event().wait()' "$instance" >"$chroots/metadata.log" 2>&1 &
  metadata=$!
  until_true 30 ip netns exec "$netns" bash -c '</dev/tcp/169.254.169.254/80' || die "the metadata do not answer"
}

# Nobody answers for a machine that is gone, and the API lets go of its volume.
lose_instance() {
  api ec2 detach_volume "{\"VolumeId\": \"$volume\", \"InstanceId\": \"$instance\"}" >/dev/null
  api ec2 terminate_instances "{\"InstanceIds\": [\"$instance\"]}" >/dev/null
}

# furnish_volume FOLDER: where the kernel would show the volume by its serial number.
furnish_volume() {
  local folder=$1 unit
  ip -n "$netns" address replace 169.254.169.254/32 dev lo
  rm -rf "$folder/srv/devices"
  mkdir -p "$folder/srv/devices"
  ln -s "$device" "$folder/srv/devices/nvme-Amazon_Elastic_Block_Store_${volume/-/}"
  for unit in amid-data-volume amid-own-name amid-leave; do
    drop_in "$folder" "$unit.service" "[Service]" Environment=AWS_ENDPOINT_URL=http://127.0.0.1:5000 \
      Environment=AWS_ACCESS_KEY_ID=test Environment=AWS_SECRET_ACCESS_KEY=test Environment=DATA_DEVICES=/srv/devices
  done
}

held_by() {
  [[ $(api ec2 describe_volumes "{\"VolumeIds\": [\"$volume\"]}" | answer_of '["Volumes"][0]["Attachments"][0]["InstanceId"]') == "$1" ]]
}

mounted_at() { [[ $(in_guest findmnt --noheadings --output SOURCE "$1") == "$device" ]]; }

stop_metadata() {
  [[ -z $metadata ]] || { kill "$metadata" && wait "$metadata"; } 2>/dev/null || true
  metadata=
}

release_volume() {
  stop_metadata
  [[ -z $device ]] || losetup --detach "$device" || true
  device=
}
