#!/usr/bin/python3
"""ec2.py INSTANCE PORT MOTO: EC2 as packer's plugin wants it, with the metadata of one machine and the API at one address.

What is asked of the API goes to moto, at the port MOTO. What moto has otherwise than AWS is set right on the way:
images are backed by EBS and have an architecture, and a volume is detached without the name of the machine that
holds it.
"""

import http.server
import json
import re
import sys
import urllib.error
import urllib.request

LARGEST = 1 << 20


def handler(instance, moto):
    identity = json.dumps({"instanceId": instance, "region": "us-east-1", "availabilityZone": "us-east-1a"})
    # Never through a proxy: this is loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            self.reply(200, b"a-token", {"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": "21600"})

        def do_GET(self):
            if self.path == "/latest/dynamic/instance-identity/document":
                self.reply(200, identity.encode())
            else:
                self.reply(404, b"")

        def do_POST(self):
            body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LARGEST))
            if b"Action=DetachVolume" in body and b"InstanceId=" not in body:
                body += b"&InstanceId=" + instance.encode()
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "content-length")}
            try:
                with opener.open(urllib.request.Request(moto + self.path, data=body, headers=headers), timeout=60) as answer:
                    status, text = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    status, text = error.code, error.read()
            text = text.replace(b"<rootDeviceType>standard<", b"<rootDeviceType>ebs<")
            if b"Action=DescribeImages" in body:
                text = re.sub(rb"<architecture>[^<]*</architecture>", b"", text)
                text = text.replace(b"</imageId>", b"</imageId><architecture>x86_64</architecture>")
            self.reply(status, text, {"Content-Type": "text/xml"})

        def reply(self, status, body, headers=None):
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


if __name__ == "__main__":
    instance, port, moto = sys.argv[1:]
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), handler(instance, f"http://127.0.0.1:{moto}")).serve_forever()
