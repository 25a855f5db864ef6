"""Holds operations.json, which the controller's policies are made of, against AWS's own lists.

usage: operations.py calls OPERATIONS-JSON SOURCE-FOLDER…
       operations.py iam OPERATIONS-JSON

`calls`, with a Python that has a recent botocore: every operation in the file is one
that its service has, and every call of the SDK in the Rust sources is in the file.
`iam`, with a Python that has policy_sentry: every action that the policies allow is
one that IAM knows. What terraform asks cannot be read from any source: the scenes
hold that against the file.
"""

import json
import pathlib
import re
import sys

import botocore.session
from botocore import xform_name

# The SDK's crates, and what the signature of a call names their service.
SERVICES = {
    "autoscaling": "autoscaling",
    "ec2": "ec2",
    "elbv2": "elasticloadbalancing",
    "rbin": "rbin",
    "ssm": "ssm",
    "sts": "sts",
    "s3": "s3",
}
# Names in the testkit's proxy that S3 itself does not have.
PROXY_NAMES = {"s3:GetBucketPublicAccessBlock", "s3:HeadBucket", "s3:HeadObject", "s3:ListObjects"}
NO_LISTS = {"$comment", "permissions", "implied"}
# What amid asks by itself: each of these is called somewhere, or it is permitted for nothing.
ITS_OWN = ("look", "read_parameters", "clean_images", "clean_snapshots", "mark")


def known_operations():
    session = botocore.session.get_session()
    return {
        f"{signed}:{operation}"
        for name, signed in SERVICES.items()
        for operation in session.get_service_model(name).operation_names
    }


def calls(folders):
    """What looks like a call of an SDK client, `.describe_images()`, by file."""
    found = {}
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*.rs")):
            text = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
            for name in re.findall(r"\.([a-z][a-z0-9_]+)\(\)", text):
                found.setdefault(name, path)
    return found


def permitted_by(content):
    return {operation for kind, value in content.items() if kind not in NO_LISTS for operation in value}


def check_calls(content, folders):
    permitted, known = permitted_by(content), known_operations()
    problems = [f"{operation} is no operation of AWS" for operation in sorted(permitted - known - PROXY_NAMES)]
    # A name such as `create_tags` may be several services': one of them has to be permitted.
    by_method = {}
    for operation in known:
        service, name = operation.split(":")
        # amid itself never asks S3, and `get_object()` is a likely name of somebody's own.
        if service != "s3":
            by_method.setdefault(xform_name(name), set()).add(operation)
    called, seen = calls(folders), 0
    for kind in ITS_OWN:
        for operation in content[kind]:
            if xform_name(operation.split(":")[1]) not in called:
                problems.append(f"{operation} in `{kind}` is permitted, and amid never calls it")
    for method, path in called.items():
        operations = by_method.get(method)
        if operations:
            seen += 1
            if not operations & permitted:
                problems.append(f"{path} calls {' or '.join(sorted(operations))}, which no policy permits")
    if seen < 5:
        problems.append(f"only {seen} calls were found in {', '.join(folders)}: is this the right folder?")
    print(f"{len(permitted)} operations, {seen} kinds of calls")
    return problems


def check_iam(content):
    from policy_sentry.querying.actions import get_actions_for_service

    permitted, known = permitted_by(content), known_operations()
    # An operation that is newer than this botocore is newer than the list of actions beside it, too.
    newer = permitted - known - PROXY_NAMES
    actions = {content["permissions"].get(operation, operation) for operation in permitted - newer}
    actions |= set(content["implied"])
    services = {action.split(":")[0] for action in actions}
    listed = {action.lower() for service in services for action in get_actions_for_service(service)}
    print(f"{len(actions)} actions; too new to be looked up: {', '.join(sorted(newer)) or 'none'}")
    return [f"{action} is no IAM action" for action in sorted(actions) if action.lower() not in listed]


def main(what, file, *folders):
    with open(file, encoding="utf-8") as text:
        content = json.load(text)
    problems = check_calls(content, folders) if what == "calls" else check_iam(content)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
