"""gate, asked over HTTP, against a replica set of three that speaks MongoDB's protocol, through the driver that images have."""

import os
import socket
import sys
import threading
import unittest
import unittest.mock

import support
from gate_rules import COURTESY

sys.path.insert(0, os.path.join(support.PACKER, "tests/mongodb"))
from replica_set import DOWN, PRIMARY, SECONDARY, Member, ReplicaSet  # noqa: E402

gate = support.load(os.path.join(support.MONGODB, "gate"))
resolve = socket.getaddrinfo


def on_loopback(host, *arguments, **named):
    """The members' names, which there is no DNS for in a test."""
    return resolve("127.0.0.1" if str(host).endswith(".mongodb.test.internal") else host, *arguments, **named)


class Set(unittest.TestCase):
    def setUp(self):
        for patch in (
            unittest.mock.patch("socket.getaddrinfo", on_loopback),
            # What a question may take where nobody answers: enough to ask twice.
            unittest.mock.patch.object(gate, "PATIENCE", 1500),
        ):
            patch.start()
            self.addCleanup(patch.stop)
        self.set, self.now = ReplicaSet("test-mongodb"), 1_000_000.0
        self.members, self.hosts, self.gates = {}, {}, {}
        for name in "abc":
            member = self.members[name] = Member(self.set, ("127.0.0.1", 0))
            self.hosts[name] = member.host = f"{name}.mongodb.test.internal:{member.server_address[1]}"
            self.serve(member)
            self.addCleanup(member.hang_up)
        self.set.elect(list(self.hosts.values()))
        uri = f"mongodb://{','.join(self.hosts.values())}/?replicaSet=test-mongodb"
        for name in "abc":
            self.boot(name, uri, f"i-{name}1")
        for name in "abc":
            self.assertEqual(self.ask(name, "/healthz")[0], 200)

    def serve(self, server):
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def boot(self, name, uri, machine):
        replica_set = gate.Set(uri)
        self.addCleanup(replica_set.client.close)
        web = self.gates[name] = gate.server(gate.Gate(replica_set, name, machine, lambda: self.now), "127.0.0.1", 0)
        self.serve(web)

    def ask(self, name, path):
        """The gate of this member's machine."""
        return support.get(f"http://127.0.0.1:{self.gates[name].server_address[1]}{path}")

    def be(self, name, state):
        """A member's new state, as the set sees it; who is down hangs up."""
        with self.set.lock:
            self.set.states[self.hosts[name]] = state
        if state == DOWN:
            self.members[name].hang_up()

    def primary(self):
        return self.set.primary().split(".")[0]

    def test_in_a_healthy_set_one_secondary_may_go_and_no_other(self):
        self.assertEqual(self.ask("c", "/roll/b"), (200, "b may go: everybody else is there\n"))
        status, why = self.ask("a", "/roll/c")
        self.assertEqual((status, "b has its turn" in why), (503, True), why)

    def test_nobody_goes_while_one_member_is_down_but_that_one_may(self):
        self.be("c", DOWN)
        status, why = self.ask("a", "/roll/b")
        self.assertEqual((status, why), (503, "b has to stay: c is not reachable\n"))
        self.assertEqual(self.ask("a", "/healthz"), (200, "a is PRIMARY\n"))
        self.assertEqual(self.ask("a", "/roll/c")[0], 200)

    def test_nobody_goes_while_one_member_is_behind(self):
        self.set.lag[self.hosts["c"]] = 31
        self.assertEqual(self.ask("a", "/roll/b"), (503, "b has to stay: c is 31 s behind\n"))

    def test_without_a_primary_nobody_goes_and_nobody_is_healthy(self):
        self.be("a", SECONDARY)
        for name, path in (("b", "/roll/c"), ("c", "/roll/a"), ("a", "/healthz"), ("b", "/healthz")):
            status, why = self.ask(name, path)
            # Whose driver has not been refused yet still hears from the old primary.
            known = "the set does not answer" in why or "an unknown time behind" in why
            self.assertEqual((status, known), (503, True), why)
        self.assertEqual(self.set.collections["gate.notes"].keys(), {"machine:a", "machine:b", "machine:c"}, "nobody has the turn")
        self.be("b", PRIMARY)
        self.assertEqual(self.ask("b", "/roll/c")[0], 200)

    def test_a_primary_steps_down_before_it_goes_and_goes_then(self):
        status, why = self.ask("b", "/roll/a")
        self.assertEqual((status, "it steps down in 60 s" in why), (503, True), why)
        self.assertEqual((self.primary(), self.set.elections), ("a", 0))
        self.now += COURTESY
        status, why = self.ask("b", "/roll/a")
        self.assertEqual((status, why), (503, "a is the primary, and steps down\n"))
        self.assertEqual((self.primary(), self.set.elections), ("b", 1))
        # The driver learns of the election by what it is refused; the daemon asks again.
        for _ in range(10):
            self.now += 5
            if self.ask("c", "/roll/a")[0] == 200:
                break
        self.assertEqual(self.ask("c", "/roll/a"), (200, "a may go: everybody else is there\n"))
        self.assertEqual(self.set.elections, 1)

    def test_two_gates_asked_at_the_same_moment_give_one_yes(self):
        for _ in range(5):
            with self.set.lock:
                self.set.collections["gate.notes"].pop("turn", None)
            start, answers = threading.Barrier(2), []

            def ask(asked, of):
                start.wait()
                answers.append(self.ask(of, f"/roll/{asked}")[0])

            threads = [threading.Thread(target=ask, args=pair) for pair in (("b", "c"), ("c", "a"))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(answers), [200, 503])

    def test_a_yes_that_no_majority_holds_is_a_no(self):
        """The write goes through at the primary alone: another one may not know of it."""
        with unittest.mock.patch.object(self.set, "majority", lambda: False):
            status, why = self.ask("a", "/roll/b")
        self.assertEqual((status, "the set does not answer" in why), (503, True), why)


if __name__ == "__main__":
    unittest.main()
