# shellcheck shell=bash
# The steps of the Jenkinsfile that follow its tests, taken out of it and run in its
# order and environment: an image is built, named in a pull request, and previewed.
# AWS and the forge are stand-ins. Sourced by test-images.sh, after build-image.sh.
# shellcheck disable=SC2154

forge=
stop_forge() {
  [[ -z $forge ]] || { kill "$forge" && wait "$forge"; } 2>/dev/null || true
  forge=
}

# jenkins STAGE: the command of its `sh`.
jenkins() {
  python3 - "$1" <<'END_OF_PROGRAM'
import re
import sys

with open("Jenkinsfile", encoding="utf-8") as file:
    stages = dict(re.findall(r"stage\('([^']+)'\) \{(.*?)\n        \}", file.read(), re.S))
body = stages[sys.argv[1]]
print((re.search(r"sh '''(.*?)'''", body, re.S) or re.search(r"sh '(.*?)'", body)).group(1))
END_OF_PROGRAM
}

# workflow STEP: the command of its `run`.
workflow() {
  "$cache/moto-venv/bin/python" - "$1" <<'END_OF_PROGRAM'
import sys

import yaml

with open(".github/workflows/image.yml", encoding="utf-8") as file:
    steps = yaml.safe_load(file)["jobs"]["image"]["steps"]
print(next(step["run"] for step in steps if step.get("name") == sys.argv[1]))
END_OF_PROGRAM
}
same_step() { diff <(jenkins "$1") <(workflow "$1"); }

# A checkout, and what stands on an agent: amid with its config.
prepare_agent() {
  workspace=$chroots/workspace
  mkdir -p "$workspace" "$chroots/agent"
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$workspace"
  cat >"$workspace/packer/pins.auto.pkrvars.hcl" <<END_OF_PINS
base_ami     = "$base"
nvme_device  = "$chroots/dev/nvme1n1p"
ec2_endpoint = "http://127.0.0.1:5001"
END_OF_PINS
  git -C "$workspace" init -q -b main
  git -C "$workspace" add -A
  git -C "$workspace" -c user.name=test -c user.email=test@localhost commit -qm "Begin"
  git clone -q --bare "$workspace" "$chroots/agent/infrastructure.git"
  install -D -m 0755 "$todo" "$workspace/target/release/todo"
  (umask 077 && echo a-token >"$chroots/agent/token")
  cat >"$chroots/agent/amid.json" <<END_OF_CONFIG
{
  "repository": { "url": "$chroots/agent/infrastructure.git" },
  "state_dir": "$chroots/agent/state",
  "forge": { "type": "gitea", "url": "http://127.0.0.1:5002", "project": "you/infrastructure", "token_file": "$chroots/agent/token" },
  "targets": [{ "account_id": "123456789012", "region": "us-east-1", "endpoint_url": "http://127.0.0.1:5001" }]
}
END_OF_CONFIG
}

# step STAGE: as Jenkins runs it, which is not in bash.
step() {
  local script
  script=$(jenkins "$1")
  (cd "$workspace" && with_aws env -u CARGO_TARGET_DIR PATH="$bins:$cache/awscli-venv/bin:$PATH" AWS_POLL_DELAY_SECONDS=1 \
    APP=staging/todo BUILDER=chroot AMID_CONFIG="$chroots/agent/amid.json" sh -xe -c "$script")
}

# told EXPRESSION: of what the forge was told.
told() { [[ $(answer_of "$1" <"$chroots/agent/told.json") == "$2" ]] || { cat "$chroots/agent/told.json"; return 1; }; }
names_image() { git -C "$chroots/agent/infrastructure.git" show amid/bump/staging-todo:desired/staging/todo.json | grep -F "\"ami\": \"$1\""; }

# check_ci: after check_build, whose base image and stand-in for EC2 it uses.
check_ci() {
  local workspace ami name
  prepare_agent
  ip netns exec "$netns" python3 packer/tests/forge.py 5002 "$chroots/agent/told.json" >"$chroots/forge.log" 2>&1 &
  forge=$!
  until_true 30 ip netns exec "$netns" bash -c '</dev/tcp/127.0.0.1/5002' || die "the stand-in for the forge does not answer"
  new_disk "$chroots/base.ext4"

  check "ci: the step Image builds one" step Image
  ami=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["builds"][0]["artifact_id"].split(":")[1])' \
    "$workspace/packer/output/app/packer-manifest.json" || echo none)
  check "ci: the step Bump names it" step Bump
  check "ci: in the manifest, on a branch" names_image "$ami"
  check "ci: the step Preview finds that branch, and nothing wrong with it" step Preview
  check "ci: both again" eval 'step Bump && step Preview'
  check "ci: there is one pull request" told '["pulls"].__len__()' 1
  check "ci: with one comment" told '["comments"].__len__()' 1
  check "ci: and the commit has its status" told '["statuses"][-1]["state"]' success
  for name in Programs Bump Preview; do
    check "ci: GitHub's step $name is the same as Jenkins's" same_step "$name"
  done
  stop_forge
}
