# shellcheck shell=bash
# An image of amid's own machine, from power-on to amid that is ready, with its
# state directory on a volume. Sourced after boot-ec2.sh.
# shellcheck disable=SC2154

amid_answers() { in_guest curl -sf --max-time 5 "http://127.0.0.1:9464$1"; }

becomes_ready() {
  until_true 60 amid_answers /readyz && return 0
  in_guest journalctl --no-pager -n 40 -u amid -u amid-data-volume -u amid-environment@amid
  return 1
}

# As an application of terraform/modules/controller has it.
controller_user_data() {
  python3 - <<'END_OF_PROGRAM'
import base64
import json

config = {
    "repository": {"url": "/srv/infrastructure.git"},
    "state_dir": "/var/lib/amid",
    "webhook": {"listen": "127.0.0.1:9465", "secret_file": "/run/credentials/amid.service/secrets_WEBHOOK"},
    "targets": [{"account_id": "123456789012", "region": "us-east-1", "endpoint_url": "http://127.0.0.1:5000"}],
}
files = {
    "/etc/amid/amid.json": config,
    "/etc/amid/secrets.json": {"WEBHOOK": "ssm:/prod/amid/webhook:1"},
    "/etc/amid/release.json": {"app": "prod-amid", "ami": "ami-0f3a9c2b7d1e48a60"},
    "/etc/amid/state-volume": 20,
}
print("#cloud-config\n" + json.dumps({"write_files": [
    {"path": path, "permissions": "0600" if "secrets" in path else "0644", "encoding": "b64",
     "content": base64.b64encode(json.dumps(content).encode()).decode()}
    for path, content in files.items()
]}))
END_OF_PROGRAM
}

# check_boot_controller FOLDER
check_boot_controller() {
  local folder=$1
  api ssm put_parameter '{"Name": "/prod/amid/webhook", "Value": "a-secret-of-the-webhook", "Type": "SecureString"}' >/dev/null
  new_volume amid:data=prod-amid
  controller_user_data >"$chroots/user-data"
  furnish "$folder" "$chroots/user-data"
  furnish_volume "$folder"
  drop_in "$folder" amid.service "[Service]" Environment=AWS_ACCESS_KEY_ID=test Environment=AWS_SECRET_ACCESS_KEY=test
  git -C "$chroots" init -q -b main checkout
  git -C "$chroots/checkout" -c user.name=test -c user.email=test@localhost commit -q --allow-empty -m "Begin"
  git clone -q --bare "$chroots/checkout" "$folder/srv/infrastructure.git"
  in_chroot "$folder" chown -R amid:amid /srv/infrastructure.git

  new_instance
  check "controller: the machine comes up" boot "$folder" --bind="$device"
  check "controller: amid is ready behind all its walls" becomes_ready
  check "controller: the boot suite passes" health_becomes 200 60
  check "controller: the state directory is on its volume" mounted_at /var/lib/amid
  check "controller: and amid's alone" owned /var/lib/amid "700 amid"
  check "controller: its journal and its mirror of the repository are in it" in_guest ls /var/lib/amid/journal /var/lib/amid/repo.git/HEAD
  check "controller: no unit failed" no_failed_unit
  in_guest systemctl stop amid
  check "controller: without amid the machine is not healthy" health_becomes 503 30
  check "controller: the machine can be turned off" halt_guest
  release_volume
}
