"""What the tests of the machines' scripts share: where the scripts lie, EC2's metadata, and an AWS API."""

import http.server
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request

PACKER = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BASE = os.path.join(PACKER, "files/base/usr/local/lib/amid")
MONGODB = os.path.join(PACKER, "files/mongodb/usr/local/lib/amid")
sys.dont_write_bytecode = True
sys.path[:0] = [BASE, MONGODB]

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def load(path):
    """A script without `.py` in its name, as a module."""
    name = os.path.basename(path).replace("-", "_")
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def get(url):
    """Status and body of one question."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Metadata:
    """EC2's metadata of one machine, by the second version of its protocol only."""

    def __init__(self, values, address=("127.0.0.1", 0)):
        self.values = {"placement/region": "us-east-1", "placement/availability-zone": "us-east-1a", **values}
        values = self.values
        # Released with every answer, so that a test can wait until it was asked.
        asked = self.asked = threading.Semaphore(0)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                self.reply(200, "a-token")

            def do_GET(self):
                path = self.path.removeprefix("/latest/meta-data/")
                if self.headers.get("X-aws-ec2-metadata-token") != "a-token":
                    self.reply(401, "no token")
                    return
                if path not in values:
                    self.reply(404, "")
                else:
                    self.reply(200, values[path])
                asked.release()

            def reply(self, status, text):
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(address, Handler)
        self.url = f"http://{address[0]}:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Moto:
    """moto_server on a free port. It ends when its standard input does, that is with this process at the latest."""

    PROGRAM = """
import os, sys, threading
def leave():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=leave, daemon=True).start()
from moto.server import main
main(['-H', '127.0.0.1', '-p', '0'])
"""

    def __init__(self):
        python = os.environ["MOTO_PYTHON"]
        environment = {"PATH": "/usr/bin:/bin", "MOTO_EC2_LOAD_DEFAULT_AMIS": "false", "PYTHONUNBUFFERED": "1"}
        self.child = subprocess.Popen(
            [python, "-c", self.PROGRAM],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        )
        for line in self.child.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                self.url = found.group(0)
                break
        else:
            raise RuntimeError("moto did not start")
        threading.Thread(target=self.child.stdout.read, daemon=True).start()

    def client(self, service):
        import botocore.session

        return botocore.session.get_session().create_client(
            service, region_name="us-east-1", endpoint_url=self.url, aws_access_key_id="test", aws_secret_access_key="test"
        )

    def close(self):
        self.child.stdin.close()
        self.child.wait(timeout=30)


class Script:
    """A running script; its lines are read one by one, so that a test waits for what it says."""

    def __init__(self, path, *arguments, **environment):
        self.said = []
        self.child = subprocess.Popen(
            [sys.executable, "-u", path, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": BASE, "PYTHONDONTWRITEBYTECODE": "1", **CREDENTIALS, **environment},
        )
        # A script that hangs ends, and with it the reading of its lines.
        self.watchdog = threading.Timer(120, self.child.kill)
        self.watchdog.start()

    def wait_for(self, text):
        for line in self.child.stdout:
            self.said.append(line.rstrip())
            if text in line:
                return line.rstrip()
        raise AssertionError(f"ended with {self.child.wait()} before it said {text!r}: {self.said}")

    def end(self):
        self.said += self.child.stdout.read().splitlines()
        status = self.child.wait()
        self.watchdog.cancel()
        return status

    def close(self):
        self.child.kill()
        self.child.stdout.close()
        self.child.wait()
        self.watchdog.cancel()
