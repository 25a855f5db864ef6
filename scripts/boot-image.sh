# shellcheck shell=bash
# Boots a root file system that was provisioned as an image: its own systemd, in
# a container with a network of its own, which holds nothing but loopback and an
# AWS API that stands in for the real one. Sourced after chroot.sh.
# shellcheck disable=SC2154

netns=
guest=
api=

boot_needs() {
  losetup --find >/dev/null 2>&1 || die "Volumes are tried with loop devices, and this machine has none to give: run this on a machine of its own"
  command -v systemd-nspawn >/dev/null && command -v ip >/dev/null && return 0
  say "installing systemd-container and iproute2"
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends systemd-container iproute2 >&2
}

# in_guest COMMAND…: as root, in the machine.
in_guest() {
  (cd / && exec nsenter --target "$(guest_init)" --all env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@")
}

# The machine's first process is the container's only child.
guest_init() { tr -d ' ' <"/proc/$guest/task/$guest/children"; }

# until_true SECONDS COMMAND…
until_true() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.3
  done
}

start_api() {
  netns=amid-$$
  ip netns add "$netns"
  ip -n "$netns" link set lo up
  ip netns exec "$netns" "$cache/moto-venv/bin/moto_server" -H 127.0.0.1 -p 5000 >"$chroots/moto.log" 2>&1 &
  api=$!
  until_true 60 ip netns exec "$netns" bash -c '</dev/tcp/127.0.0.1/5000' || die "moto does not answer"
}

# api SERVICE OPERATION JSON: asks the stand-in.
api() {
  ip netns exec "$netns" "$cache/moto-venv/bin/python" - "$@" <<'END'
import json
import sys

import boto3

service, operation, arguments = sys.argv[1:]
client = boto3.client(
    service, region_name="us-east-1", endpoint_url="http://127.0.0.1:5000",
    aws_access_key_id="test", aws_secret_access_key="test",
)
print(json.dumps(getattr(client, operation)(**json.loads(arguments)), default=str))
END
}

# drop_in FOLDER UNIT LINE…
drop_in() {
  local place=$1/etc/systemd/system.control/$2.d
  mkdir -p "$place"
  printf '%s\n' "${@:3}" >"$place/test.conf"
}

# What stands in for EC2: user data, credentials, and what no container can do.
furnish() {
  local folder=$1 user_data=$2 seed=$1/var/lib/cloud/seed/nocloud
  mkdir -p "$seed"
  printf 'instance-id: i-test\n' >"$seed/meta-data"
  cp "$user_data" "$seed/user-data"
  drop_in "$folder" amid-environment@.service "[Service]" Environment=AWS_ENDPOINT_URL=http://127.0.0.1:5000 \
    Environment=AWS_REGION=us-east-1 Environment=AWS_ACCESS_KEY_ID=test Environment=AWS_SECRET_ACCESS_KEY=test
  # A container has no clock of its own, and its swap would be this machine's.
  drop_in "$folder" chrony.service "[Unit]" ConditionCapability= "[Service]" ExecStart= Type=exec PIDFile= "ExecStart=!/usr/sbin/chronyd -x -d"
  drop_in "$folder" amid-swap.service "[Unit]" ConditionVirtualization= "[Service]" ExecStart= ExecStart=/bin/true ExecStop=
}

# boot FOLDER [OPTION…]: starts the machine and waits until systemd has had its say.
boot() {
  systemd-nspawn "${@:2}" --quiet --directory="$1" --network-namespace-path="/run/netns/$netns" --register=no --keep-unit \
    --machine=amid-test --resolv-conf=off --timezone=off --console=read-only --boot </dev/null >"$chroots/console.log" 2>&1 &
  guest=$!
  until_true 90 booted || {
    tail -n 40 "$chroots/console.log" >&2
    return 1
  }
}

booted() { [[ $(in_guest systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]; }

halt_guest() {
  [[ -n $guest ]] || return 0
  kill -TERM "$guest" 2>/dev/null || true
  until_true 20 not_running "$guest" || kill -KILL "$guest" 2>/dev/null || true
  wait "$guest" 2>/dev/null || true
  guest=
}

not_running() { ! kill -0 "$1" 2>/dev/null; }

stop_api() {
  [[ -z $api ]] || { kill "$api" 2>/dev/null && wait "$api" 2>/dev/null; } || true
  [[ -z $netns ]] || ip netns delete "$netns" || true
  api='' netns=''
}

# user_data ENVIRONMENT SECRETS [APP]: prints what terraform/modules/releases gives
# to a machine whose manifest says this.
user_data() {
  python3 - "$@" <<'END'
import base64
import json
import sys

env, secrets, app = (*sys.argv[1:], "demo/todo")[:3]
release = {"app": app, "release": "0123456789", "ami": "ami-0f3a9c2b7d1e48a60", "revision": 0}


def file(path, permissions, text):
    content = base64.b64encode(text.encode()).decode()
    return {"path": path, "permissions": permissions, "encoding": "b64", "content": content}


files = [
    file("/etc/amid/release.json", "0644", json.dumps(release)),
    file("/etc/amid/env", "0600", env),
    file("/etc/amid/secrets.json", "0600", secrets),
]
print("#cloud-config\n" + json.dumps({"write_files": files}))
END
}

# What the load balancer would get: the status of the health service.
health() { in_guest curl -s -o /dev/null -w '%{http_code}' --max-time 5 http://127.0.0.1:8079/healthz; }
health_is() { [[ $(health) == "$1" ]]; }
# Its answer may be as old as the service's cache.
health_becomes() { until_true "$2" health_is "$1" || { echo "it is $(health)"; boot_suite; return 1; }; }
boot_suite() { in_guest goss --gossfile /usr/share/amid/goss/boot.yaml validate --no-color; }

on_console() { grep -E -- "$1" "$chroots/console.log"; }
app_environment() {
  # shellcheck disable=SC2016
  in_guest bash -c 'tr "\0" "\n" </proc/$(systemctl show --value -p MainPID todo)/environ'
}
app_says() { grep -F -- "$1" <(in_guest curl -s --max-time 5 http://127.0.0.1:8080/readyz); }
environment_has() { grep -E -- "$1" <(app_environment); }
# owned PLACE "MODE USER"
owned() { [[ $(in_guest stat -c '%a %U' "$1") == "$2" ]]; }
unit_is() { [[ $(in_guest systemctl is-active "$1") == "$2" ]]; }

# check_boot_app FOLDER: an image of the sample app, from power-on to a bad secret.
check_boot_app() {
  local folder=$1
  api ssm put_parameter '{"Name": "/demo/todo/db_url", "Value": "memory:", "Type": "SecureString"}' >/dev/null
  user_data $'TODO_DRAIN_TIME="1s"\n' '{"TODO_DATABASE_URL": "ssm:/demo/todo/db_url:1"}' >"$chroots/user-data"
  furnish "$folder" "$chroots/user-data"

  check "boot: the machine comes up" boot "$folder"
  check "boot: the load balancer sees the boot suite pass" health_becomes 200 30
  check "boot: the app says which image it runs from" app_says 'ami-0f3a9c2b7d1e48a60 '"$version"
  check "boot: the app has the environment of its manifest" environment_has '^TODO_DRAIN_TIME=1s$'
  check "boot: the app has a file with its secret" environment_has '^TODO_DATABASE_URL_FILE=/run/credentials/todo.service/'
  check "boot: the secret itself is not in its environment" refuses environment_has 'memory:'
  check "boot: nor in what the machine was launched with" \
    refuses in_guest grep -rq 'memory:' /etc/amid /var/lib/cloud/instance/
  check "boot: the machine has keys of its own" in_guest test -s /etc/ssh/ssh_host_ed25519_key
  check "boot: the console says which image this is" on_console 'image: .*"kind": "app".*"goss": "sha256:'
  check "boot: the one-time check ends well" until_true 60 unit_is amid-boot-check inactive
  check "boot: no unit failed" no_failed_unit

  in_guest systemctl stop todo
  check "boot: the load balancer sees a stopped app" health_becomes 503 15
  in_guest systemctl start todo
  check "boot: and that it is back" health_becomes 200 15

  in_guest bash -c "sed -i 's/:1\"/:99\"/' /etc/amid/secrets.json && ! systemctl restart amid-environment@todo"
  check "boot: without its secret the app does not run" unit_is todo inactive
  check "boot: and the console says which secret is missing" \
    on_console 'environment: secret TODO_DATABASE_URL \(ssm:/demo/todo/db_url:99\): ParameterVersionNotFound'
  check "boot: and the load balancer sees it" health_becomes 503 15
  check "boot: the machine can be turned off" halt_guest
}

no_failed_unit() {
  local failed
  failed=$(in_guest systemctl list-units --failed --plain --no-legend)
  [[ -z $failed ]] || {
    in_guest systemctl --failed --no-pager --lines=30 status || true
    return 1
  }
}
