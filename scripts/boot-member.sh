# shellcheck shell=bash
# An image of a member of a replica set, from power-on to the next machine that
# takes its volume. mongod is a stand-in, what surrounds it is not. Sourced after
# boot-ec2.sh.
# shellcheck disable=SC2154

gate() { in_guest curl -s --max-time 10 "http://127.0.0.1:27080$1"; }
gate_says() { gate "$1" | grep -F -- "$2" || { gate "$1"; return 1; }; }

initiate() {
  in_guest python3 -c '
from pymongo import MongoClient
member = {"_id": 0, "host": "a.mongodb.prod.internal:27017"}
client = MongoClient("127.0.0.1", 27017, directConnection=True, serverSelectionTimeoutMS=10000)
client.admin.command("replSetInitiate", {"_id": "prod-mongodb", "members": [member]})'
}

named() {
  api route53 list_resource_record_sets "{\"HostedZoneId\": \"$zone\"}" |
    python3 -c '
import json, sys
records = [r for r in json.load(sys.stdin)["ResourceRecordSets"] if r["Type"] == "A"]
print(records)
sys.exit([(r["Name"], r["ResourceRecords"][0]["Value"]) for r in records] != [("a.mongodb.prod.internal.", "127.0.0.1")])'
}

# check_boot_member FOLDER
check_boot_member() {
  local folder=$1 zone
  api ssm put_parameter "{\"Name\": \"/prod/mongodb/keyfile\", \"Value\": \"$(openssl rand -base64 741 | tr -d '\n')\", \"Type\": \"SecureString\"}" >/dev/null
  api ssm put_parameter '{"Name": "/prod/mongodb/gate_uri", "Value": "mongodb://a.mongodb.prod.internal:27017/?replicaSet=prod-mongodb", "Type": "SecureString"}' >/dev/null
  zone=$(api route53 create_hosted_zone '{"Name": "mongodb.prod.internal", "CallerReference": "1"}' | answer_of '["HostedZone"]["Id"].split("/")[-1]')
  new_volume amid:data=prod/mongodb/a mongodb:name=a.mongodb.prod.internal "mongodb:zone=$zone" mongodb:set=prod-mongodb
  user_data '' '{"KEYFILE": "ssm:/prod/mongodb/keyfile:1", "GATE_URI": "ssm:/prod/mongodb/gate_uri:1"}' prod/mongodb/a >"$chroots/user-data"
  furnish "$folder" "$chroots/user-data"
  furnish_volume "$folder"
  # There is no DNS in here to ask for the member's name.
  echo "127.0.0.1 a.mongodb.prod.internal" >>"$folder/etc/hosts"

  new_instance
  check "member: the machine comes up" boot "$folder" --bind="$device"
  check "member: the volume is this machine's" held_by "$instance"
  check "member: its file system is where the database looks" mounted_at /var/lib/mongodb
  check "member: its name leads to this machine" named
  check "member: the database runs" until_true 30 unit_is mongod active
  check "member: nobody else may read the set's key" owned /run/mongod/keyfile "400 mongodb"
  check "member: it is in nothing that the machine was launched with" refuses in_guest grep -rqE '[A-Za-z0-9+/]{200}' /etc/amid
  check "member: before the set is initiated it is not healthy" health_becomes 503 30
  check "member: the set can be initiated" initiate
  check "member: then the boot suite passes" health_becomes 200 60
  check "member: the gate knows the member" gate_says /healthz "a is PRIMARY"
  check "member: the gate lets an only member go" gate_says /roll/a "a is the only member"
  check "member: the gate knows no stranger" gate_says /roll/z "no member z"
  check "member: no unit failed" no_failed_unit

  in_guest systemctl stop mongod
  check "member: without its database it is not healthy" health_becomes 503 30
  check "member: and the gate says that the set does not answer" gate_says /healthz "the set does not answer"
  in_guest systemctl start mongod
  check "member: with it, it is again" health_becomes 200 60
  in_guest systemctl stop amid-data-volume
  check "member: the database never outlives its volume" unit_is mongod inactive
  check "member: which is let go of" refuses in_guest findmnt /var/lib/mongodb
  check "member: the machine can be turned off" halt_guest

  lose_instance
  new_instance
  check "member: the next machine comes up" boot "$folder" --bind="$device"
  check "member: the volume is the next machine's" held_by "$instance"
  check "member: it finds the data, and the set as it was" health_becomes 200 60
  check "member: the next machine can be turned off" halt_guest
  release_volume
}
