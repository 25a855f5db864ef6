"""What the scripts of a machine share: which machine this is, and how AWS is asked.

Python and botocore are on every image already: cloud-init needs the one, the
script that fetches secrets the other.
"""

import json
import os
import sys
import urllib.error
import urllib.request

LARGEST = 1 << 20


class Problem(Exception):
    """Something that a person has to mend."""


def say(text):
    print(text, flush=True)


def metadata(path, missing=None):
    """A value of EC2's metadata, by the second version of its protocol. `missing` where there is none."""
    base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
    # Never through a proxy: the address means another machine there.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(
            f"{base}/latest/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        )
        with opener.open(request, timeout=5) as answer:
            token = answer.read(LARGEST).decode()
        request = urllib.request.Request(
            f"{base}/latest/meta-data/{path}", headers={"X-aws-ec2-metadata-token": token}
        )
        with opener.open(request, timeout=5) as answer:
            return answer.read(LARGEST).decode()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return missing
        raise Problem(f"EC2's metadata answers {error.code} for {path}") from error
    except OSError as error:
        raise Problem(f"EC2's metadata does not answer for {path}: {error}") from error


def client(service):
    """A client for one service in this machine's region."""
    import botocore.session
    from botocore.config import Config

    region = os.environ.get("AWS_REGION") or metadata("placement/region")
    # Debian's botocore is older than this variable.
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or None
    patient = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "max_attempts": 5})
    return botocore.session.get_session().create_client(
        service, region_name=region, endpoint_url=endpoint, config=patient
    )


def app(path=None):
    """The app whose release this machine belongs to, such as `prod/mongodb/a`."""
    path = path or os.environ.get("AMID_RELEASE_FILE", "/etc/amid/release.json")
    try:
        with open(path, encoding="utf-8") as file:
            name = json.loads(file.read(LARGEST)).get("app")
    except (OSError, ValueError, AttributeError) as error:
        raise Problem(f"{path} does not say which app this machine belongs to: {error}") from error
    if not isinstance(name, str) or not name:
        raise Problem(f"{path} names no `app`")
    return name


def run(main):
    """The frame of every script: what a person has to mend is one sentence, not a traceback."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        main()
    except (Problem, BotoCoreError, ClientError, OSError) as problem:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {problem}")
