"""leave, own-name, mongod-config: the small scripts of a machine."""

import json
import os
import shutil
import stat
import tempfile
import unittest

import support

BASE, MONGODB = support.BASE, support.MONGODB


class Machine(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.place)
        self.metadata = support.Metadata({"instance-id": "i-00000000000000001", "local-ipv4": "10.0.0.7"})
        self.addCleanup(self.metadata.close)

    def path(self, name):
        return os.path.join(self.place, name)

    def write(self, name, content):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return self.path(name)

    def start(self, script, *arguments, **environment):
        running = support.Script(
            script, *arguments, AWS_EC2_METADATA_SERVICE_ENDPOINT=self.metadata.url, **environment
        )
        self.addCleanup(running.close)
        return running


class OwnName(Machine):
    def test_the_name_leads_to_the_machine_that_asked_last(self):
        moto = support.Moto()
        self.addCleanup(moto.close)
        route53 = moto.client("route53")
        zone = route53.create_hosted_zone(Name="mongodb.prod.internal", CallerReference="1")["HostedZone"]["Id"]
        facts = self.write("data.json", {"mongodb:name": "a.mongodb.prod.internal", "mongodb:zone": zone.split("/")[-1]})
        for address in ("10.0.0.7", "10.0.0.8"):
            self.metadata.values["local-ipv4"] = address
            script = self.start(os.path.join(MONGODB, "own-name"), DATA_FACTS=facts, AWS_ENDPOINT_URL=moto.url)
            self.assertEqual(script.end(), 0, script.said)
            records = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
            mine = [record for record in records if record["Type"] == "A"]
            self.assertEqual([(record["Name"], record["TTL"], record["ResourceRecords"]) for record in mine],
                             [("a.mongodb.prod.internal.", 10, [{"Value": address}])])

    def test_a_volume_without_a_name_is_said_in_one_sentence(self):
        script = self.start(os.path.join(MONGODB, "own-name"), DATA_FACTS=self.write("data.json", {}))
        self.assertEqual(script.end(), 1)
        self.assertIn("does not say what this member is called", script.said[-1])
        self.assertEqual(len(script.said), 1, script.said)


class Leave(Machine):
    """Against an API that knows the two calls, because moto lacks one of them."""

    def setUp(self):
        super().setUp()
        self.calls = []
        test = self

        class Api(support.http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(part.split("=", 1) for part in body.split("&"))
                test.calls.append(form)
                inner = ""
                if form["Action"] == "DescribeAutoScalingInstances":
                    inner = ("<AutoScalingInstances><member><InstanceId>i-00000000000000001</InstanceId>"
                             "<AutoScalingGroupName>prod-amid</AutoScalingGroupName></member></AutoScalingInstances>")
                name = form["Action"]
                text = f"<{name}Response xmlns='http://autoscaling.amazonaws.com/doc/2011-01-01/'><{name}Result>{inner}</{name}Result></{name}Response>".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        api = support.http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        thread = support.threading.Thread(target=api.serve_forever, args=(0.02,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(api.server_close)
        self.addCleanup(api.shutdown)
        self.api = f"http://127.0.0.1:{api.server_address[1]}"
        os.mkdir(self.path("bin"))
        self.write("bin/systemctl", f"#!/bin/sh\necho \"$@\" >>{self.path('stopped')}\n[ \"$2\" != broken.service ]\n")
        os.chmod(self.path("bin/systemctl"), 0o755)
        self.release = self.write("release.json", {"app": "prod/amid"})

    def leave(self, *units):
        return self.start(
            os.path.join(BASE, "leave"), *units, AWS_ENDPOINT_URL=self.api, LEAVE_PAUSE="0.05",
            AMID_RELEASE_FILE=self.release, PATH=self.path("bin") + ":" + os.environ["PATH"],
        )

    def wait_until_asked(self, times):
        for _ in range(times):
            self.assertTrue(self.metadata.asked.acquire(timeout=60))

    def stopped(self):
        try:
            with open(self.path("stopped"), encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def test_services_stop_in_order_and_then_the_machine_may_go(self):
        self.metadata.values["autoscaling/target-lifecycle-state"] = "InService"
        script = self.leave("first.service", "second.service")
        self.wait_until_asked(3)
        self.assertEqual((self.stopped(), self.calls), ([], []))
        self.metadata.values["autoscaling/target-lifecycle-state"] = "Terminated"
        script.wait_for("this machine may go")
        self.assertEqual(self.stopped(), ["stop first.service", "stop second.service"])
        last = self.calls[-1]
        self.assertEqual(
            (last["Action"], last["AutoScalingGroupName"], last["InstanceId"], last["LifecycleHookName"], last["LifecycleActionResult"]),
            ("CompleteLifecycleAction", "prod-amid", "i-00000000000000001", "leave", "CONTINUE"),
        )

    def test_a_service_that_does_not_stop_does_not_keep_the_machine(self):
        self.metadata.values["autoscaling/target-lifecycle-state"] = "Terminated"
        script = self.leave("broken.service", "second.service")
        script.wait_for("this machine may go")
        self.assertEqual(self.stopped(), ["stop broken.service", "stop second.service"])

    def test_a_machine_without_a_group_just_waits(self):
        script = self.leave("first.service")
        # Metadata without a group answers 404, which is no reason to leave.
        self.wait_until_asked(3)
        self.assertEqual((self.stopped(), self.calls), ([], []))
        self.metadata.values["autoscaling/target-lifecycle-state"] = "Terminated"
        script.wait_for("this machine may go")


class MongodConfig(Machine):
    def test_what_differs_between_members_comes_from_the_volume(self):
        import getpass

        os.mkdir(self.path("data"))
        environment = {
            "DATA_FACTS": self.write("data.json", {"mongodb:set": "prod-mongodb"}),
            "MONGOD_KEY_FILE": self.write("KEYFILE", "c2VjcmV0LWtleQ=="),
            "MONGOD_RUN": self.path("run"),
            "MONGOD_USER": getpass.getuser(),
            "DATA_DIRECTORY": self.path("data"),
        }
        for _ in range(2):
            script = self.start(os.path.join(MONGODB, "mongod-config"), **environment)
            self.assertEqual(script.end(), 0, script.said)
        with open(self.path("run/mongod.conf"), encoding="utf-8") as file:
            config = json.load(file)
        self.assertEqual(config["replication"], {"replSetName": "prod-mongodb"})
        self.assertEqual(config["security"]["keyFile"], self.path("run/keyfile"))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("run/keyfile")).st_mode), 0o400)

    def test_a_member_without_a_key_does_not_start(self):
        script = self.start(
            os.path.join(MONGODB, "mongod-config"), DATA_FACTS=self.write("data.json", {"mongodb:set": "x"}),
            MONGOD_KEY_FILE=self.write("KEYFILE", "\n"), MONGOD_RUN=self.path("run"),
        )
        self.assertEqual(script.end(), 1)
        self.assertIn("holds no key", script.said[-1])


if __name__ == "__main__":
    unittest.main()
