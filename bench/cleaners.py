#!/usr/bin/env python3
"""Asks other cleaners of images what they would delete, and prints it as JSON.

`amid-bench cleaners` calls it with the account that it planted; see
controller/testkit/src/bench/cleaners. The account is made in a moto server of
this process; each tool then runs as a person would start it, in the mode in
which it only reports, against moto and against the stand-in. Nothing is ever
deleted, and nothing beyond loopback is asked.
"""

import argparse
import importlib.metadata
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# A tool that hangs is a tool that cannot be run.
AT_MOST_SECONDS = 600
# So much of a tool's last words is kept.
LAST_WORDS = 400


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("account", type=Path)
    parser.add_argument("--stand-in", required=True, help="its URL")
    parser.add_argument("--older-than-days", type=int, required=True)
    parser.add_argument("--keep", type=int, required=True, help="newest of each family")
    args = parser.parse_args()
    account = json.loads(args.account.read_text())
    with tempfile.TemporaryDirectory(prefix="amid-cleaners-") as folder:
        folder = Path(folder)
        server, moto, lacks = in_moto(account, folder)
        try:
            answers = []
            for ask in (custodian, amicleaner):
                for on, url in (("moto", moto), ("stand-in", args.stand_in)):
                    answers.append(asked(ask, on, url, account, args, folder))
            print(json.dumps({"answers": answers, "moto_lacks": lacks, "moto": moto}), flush=True)
            # The caller asks moto itself before it closes this.
            sys.stdin.read()
        finally:
            server.stop()


# --- The account in moto ---


def in_moto(account, folder):
    """Starts moto with the account in it: the server, its URL, and what it cannot hold, by field."""
    images = folder / "images.json"
    images.write_text(json.dumps([of_image(account, image) for image in account["images"]]))
    # moto reads the file when it is imported.
    os.environ.update(
        environment(account, ""), MOTO_AMIS_PATH=str(images), MOTO_EC2_LOAD_DEFAULT_AMIS="false"
    )
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://%s:%d" % server.get_host_and_port()

    def client(service):
        return boto3.client(service, endpoint_url=url, region_name=account["region"])

    try:
        lacks = planted(account, client("ec2"), client("autoscaling"), client("ssm"))
    except BaseException:
        server.stop()
        raise
    return server, url, lacks


def of_image(account, image):
    return {
        "ami_id": image["id"],
        "name": image["name"],
        "owner_id": account["account"],
        "creation_date": image["created"],
        "tags": image["tags"],
        "architecture": "x86_64",
        "virtualization_type": "hvm",
        "hypervisor": "xen",
        "root_device_type": "ebs",
        "root_device_name": "/dev/xvda",
    }


def planted(account, ec2, autoscaling, ssm):
    lacks = {}
    known = {image["ImageId"]: image for image in ec2.describe_images(Owners=["self"])["Images"]}
    wanted = {image["id"] for image in account["images"]}
    if set(known) != wanted:
        raise SystemExit("error: moto shows other images than those it was given")
    for name, value in account["parameters"].items():
        ssm.put_parameter(Name=name, Value=value, Type="String")
    for instance in account["instances"]:
        made = ec2.run_instances(ImageId=instance["image"], MinCount=1, MaxCount=1)
        if instance["state"] == "stopped":
            ec2.stop_instances(InstanceIds=[made["Instances"][0]["InstanceId"]])
    for image in account["images"]:
        if image["shared"]:
            ec2.modify_image_attribute(
                ImageId=image["id"],
                LaunchPermission={"Add": [{"UserId": who} for who in image["shared"]]},
            )
    for name, image in account["configurations"].items():
        autoscaling.create_launch_configuration(
            LaunchConfigurationName=name, ImageId=image, InstanceType="m5.large"
        )
    for template in account["templates"]:
        make_template(ec2, template)
    for group in account["groups"]:
        make_group(autoscaling, group)
    for image in account["volumes"]:
        snapshot = known[image]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        ec2.create_volume(SnapshotId=snapshot, AvailabilityZone=account["region"] + "a")
    tried = {
        "override_images": lambda: shows_overrides(account, autoscaling),
        "refresh": lambda: start_refreshes(account, autoscaling),
        "fleets": lambda: make_fleets(account, ec2),
        "spot_fleets": lambda: make_spot_fleets(account, ec2),
        "source": lambda: shows_sources(account, ec2),
    }
    lacks = {}
    for field, attempt in tried.items():
        try:
            attempt()
        except Exception as error:  # Whatever a half-made answer breaks in the client.
            lacks[field] = " ".join(str(error).split())[:LAST_WORDS]
    return lacks


def missing(images, answers):
    """Complains where one of the images is nowhere in what moto shows."""
    shown = json.dumps(answers, default=str)
    lost = [image for image in images if image not in shown]
    if lost:
        raise LookupError(f"it takes but does not show {lost[0]}")


def shows_overrides(account, autoscaling):
    groups = autoscaling.get_paginator("describe_auto_scaling_groups").paginate()
    images = [image for group in account["groups"] for image in group["override_images"]]
    missing(images, groups.build_full_result())


def start_refreshes(account, autoscaling):
    for group in account["groups"]:
        if group["refresh"]:
            wanted = {
                "LaunchTemplateName": group["template"],
                "Version": str(group["refresh"]),
            }
            try:
                autoscaling.start_instance_refresh(
                    AutoScalingGroupName=group["name"],
                    DesiredConfiguration={"LaunchTemplate": wanted},
                )
            except Exception as error:
                # It may be a whole page of HTML.
                first = str(error).split(" (", 1)[0]
                raise LookupError(f"`StartInstanceRefresh` is not answered: {first}") from error


def make_fleets(account, ec2):
    base = {"LaunchTemplateName": account["templates"][0]["name"], "Version": "1"}
    for image in account["fleets"]:
        ec2.create_fleet(
            Type="maintain",
            LaunchTemplateConfigs=[
                {"LaunchTemplateSpecification": base, "Overrides": [{"ImageId": image}]}
            ],
            # It launches nothing for now, as the stand-in's.
            TargetCapacitySpecification={
                "TotalTargetCapacity": 0,
                "DefaultTargetCapacityType": "on-demand",
            },
        )
    missing(account["fleets"], ec2.describe_fleets()["Fleets"])


def make_spot_fleets(account, ec2):
    for image in account["spot_fleets"]:
        ec2.request_spot_fleet(
            SpotFleetRequestConfig={
                "IamFleetRole": f"arn:aws:iam::{account['account']}:role/fleet",
                "TargetCapacity": 0,
                "AllocationStrategy": "lowestPrice",
                "LaunchSpecifications": [{"ImageId": image, "InstanceType": "m5.large"}],
            }
        )
    shown = ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
    missing(account["spot_fleets"], shown)


def shows_sources(account, ec2):
    images = ec2.describe_images(Owners=["self"])["Images"]
    if not any(image.get("SourceImageId") for image in images):
        raise LookupError("it shows no `SourceImageId`")


def make_template(ec2, template):
    """Makes a launch template with all its versions."""
    for number, image in enumerate(template["images"], start=1):
        data = {"ImageId": image, "InstanceType": "m5.large"}
        if number == 1:
            ec2.create_launch_template(
                LaunchTemplateName=template["name"], LaunchTemplateData=data
            )
        else:
            ec2.create_launch_template_version(
                LaunchTemplateName=template["name"], LaunchTemplateData=data
            )
    if template["default"] != 1:
        ec2.modify_launch_template(
            LaunchTemplateName=template["name"], DefaultVersion=str(template["default"])
        )


def make_group(autoscaling, group):
    """Makes a group with an instance, then changes what its next one is launched from."""
    template = {"LaunchTemplateName": group["template"], "Version": "1"}
    overrides = [{"InstanceType": "m5.large"}] if group["mixed"] else []
    overrides += [
        {"LaunchTemplateSpecification": {"LaunchTemplateName": name, "Version": "1"}}
        for name in group["override_templates"]
    ]
    overrides += [
        {"InstanceType": "m5.large", "ImageId": image} for image in group["override_images"]
    ]

    def launching(specification, at):
        if group["configurations"]:
            return {"LaunchConfigurationName": group["configurations"][at]}
        if not group["mixed"]:
            return {"LaunchTemplate": specification}
        launched = {"LaunchTemplateSpecification": specification, "Overrides": overrides}
        return {"MixedInstancesPolicy": {"LaunchTemplate": launched}}

    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=group["name"],
        MinSize=group["size"],
        MaxSize=2,
        DesiredCapacity=group["size"],
        AvailabilityZones=[autoscaling.meta.region_name + "a"],
        **launching(template, 0),
    )
    now, soon = group["configurations"] or ("", "")
    if group["version"] != 1 or now != soon:
        wanted = launching(dict(template, Version=str(group["version"])), 1)
        autoscaling.update_auto_scaling_group(AutoScalingGroupName=group["name"], **wanted)


# --- The tools ---


def asked(ask, on, url, account, args, folder):
    """One tool's answer; its last words where it cannot be run."""
    began = time.monotonic()
    place = folder / f"{ask.__name__}-{on}"
    place.mkdir()
    package, name = ask.tool
    answer = {"tool": name, "version": importlib.metadata.version(package), "on": on}
    answer.update(called="", would_delete=[])
    try:
        answer.update(ask(url, account, args, place))
        answer["error"] = None
    except Failed as failed:
        answer["error"] = str(failed)
    answer.setdefault("seconds", time.monotonic() - began)
    return answer


class Failed(Exception):
    """A tool could not be run, and why."""


def custodian(url, account, args, place):
    """Cloud Custodian: the filter `unused`, and the `image-age` that it advises to use with `deregister`."""
    policy = {
        "policies": [
            {
                "name": "unused-images",
                "resource": "aws.ami",
                "filters": [
                    {"type": "unused", "value": True},
                    {"type": "image-age", "days": args.older_than_days, "op": "ge"},
                ],
                "actions": ["deregister"],
            }
        ]
    }
    file = place / "policy.json"
    file.write_text(json.dumps(policy))
    command = ["custodian", "run", "--dryrun", "--cache-period", "0"]
    command += ["--region", account["region"], "-s", "out", str(file)]
    seconds, _ = run(command, url, account, place)
    found = json.loads((place / "out/unused-images/resources.json").read_text())
    filters = json.dumps(policy["policies"][0]["filters"])
    return {
        "called": f"`custodian run --dryrun`, resource `aws.ami`, filters `{filters}`, "
        "as its documentation has it for unused images; it has no rule for the newest",
        "seconds": seconds,
        "would_delete": [image["ImageId"] for image in found],
    }


custodian.tool = ("c7n", "Cloud Custodian")


def amicleaner(url, account, args, place):
    """aws-amicleaner: its own defaults; it asks before it deletes, and is told no."""
    command = ["amicleaner", "--full-report", "--keep-previous", str(args.keep)]
    command += ["--ami-min-days", str(args.older_than_days)]
    seconds, said = run(command, url, account, place, answer="n\n")
    if "[y/N]" not in said:
        raise Failed(f"it showed no report: {last_words(said)}")
    return {
        "called": f"`{' '.join(command)}`, grouped by the tags `environment` and `role` as it does by itself, answered with no",
        "seconds": seconds,
        "would_delete": sorted(set(re.findall(r"\bami-[0-9a-f]{17}\b", said))),
    }


amicleaner.tool = ("aws-amicleaner", "aws-amicleaner")


def run(command, url, account, place, answer=None):
    """Runs a tool of this Python's environment: its time, and what it printed."""
    program = Path(sys.executable).with_name(command[0])
    began = time.monotonic()
    try:
        done = subprocess.run(
            [str(program), *command[1:]],
            input=answer,
            stdin=None if answer else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=place,
            env=environment(account, url, place),
            timeout=AT_MOST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(str(error)) from error
    seconds = time.monotonic() - began
    said = done.stdout + done.stderr
    # Custodian ends well even where a policy failed.
    if done.returncode or "Error while executing policy" in said or "Traceback" in said:
        raise Failed(last_words(said) or f"it ended with {done.returncode}")
    return seconds, said


def last_words(said):
    """The last error that a tool printed; the end of it all where it names none."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "Error: " in line or "Error occurred" in line]
    errors += [line for line in lines if "An error occurred" in line]
    return (errors or lines or [""])[-1][:LAST_WORDS]


def environment(account, url, home=None):
    """What a tool needs and nothing of the caller's own AWS."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    kept.update(
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_DEFAULT_REGION=account["region"],
        AWS_REGION=account["region"],
        AWS_EC2_METADATA_DISABLED="true",
        NO_PROXY="127.0.0.1,localhost",
    )
    if url:
        kept["AWS_ENDPOINT_URL"] = url
    if home:
        kept["HOME"] = str(home)
    return kept


if __name__ == "__main__":
    main()
