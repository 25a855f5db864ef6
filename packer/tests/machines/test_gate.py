"""gate: the rules, one line a case; and a whole roll of three members, asked over HTTP at the same time."""

import datetime
import os
import threading
import unittest

import support
from gate_rules import COURTESY, GO, MAX_LAG, STEP_DOWN, TURN, UNKNOWN, WAIT, WISH, Member, Turn, Wish, decide, wished

gate = support.load(os.path.join(support.MONGODB, "gate"))

NOW = 1_000_000.0
SET = [Member("a", "PRIMARY"), Member("b", "SECONDARY"), Member("c", "SECONDARY")]
MACHINES = {"a": "i-a1", "b": "i-b1", "c": "i-c1"}
PATIENT = {"a": Wish(NOW - COURTESY, NOW)}


def with_member(name, state, lag=0):
    return [Member(name, state, lag) if member.name == name else member for member in SET]


class Rules(unittest.TestCase):
    def check(self, asked, kind, words, members=SET, machines=MACHINES, turn=None, wishes=None):
        answer = decide(asked, members, machines, turn, wishes or {asked: Wish(NOW, NOW)}, NOW)
        self.assertEqual((answer.kind, words in answer.why), (kind, True), answer)

    def test_a_secondary_of_a_healthy_set_may_go(self):
        self.check("b", GO, "everybody else is there")

    def test_nobody_goes_while_another_one_is_away(self):
        for state in ("not reachable", "STARTUP2", "RECOVERING", "ROLLBACK", "DOWN", "REMOVED", "ARBITER"):
            self.check("b", WAIT, f"c is {state}", members=with_member("c", state))

    def test_nobody_goes_while_another_one_is_behind(self):
        self.check("b", GO, "may go", members=with_member("c", "SECONDARY", MAX_LAG))
        self.check("b", WAIT, "c is 31 s behind", members=with_member("c", "SECONDARY", MAX_LAG + 1))
        self.check("b", WAIT, "c is an unknown time behind", members=with_member("c", "SECONDARY", None))

    def test_the_one_that_is_broken_may_go_itself(self):
        self.check("c", GO, "may go", members=with_member("c", "not reachable"))

    def test_nobody_goes_without_a_primary(self):
        self.check("b", WAIT, "no primary", members=with_member("a", "SECONDARY"))

    def test_one_at_a_time(self):
        turn = Turn("b", "i-b1", NOW - 10)
        self.check("c", WAIT, "b has its turn", turn=turn)
        self.check("b", GO, "may go", turn=turn)

    def test_a_turn_ends_with_a_new_machine_that_has_caught_up(self):
        turn, machines = Turn("b", "i-b1", NOW - 100), {**MACHINES, "b": "i-b2"}
        self.check("c", GO, "may go", turn=turn, machines=machines)
        self.check("c", WAIT, "b is STARTUP2", turn=turn, machines=machines, members=with_member("b", "STARTUP2"))

    def test_a_turn_that_nobody_used_ends_with_time(self):
        self.check("c", WAIT, "b has its turn", turn=Turn("b", "i-b1", NOW - TURN))
        self.check("c", GO, "may go", turn=Turn("b", "i-b1", NOW - TURN - 1))

    def test_the_turn_of_a_member_that_left_the_set_is_over(self):
        self.check("c", GO, "may go", turn=Turn("z", "i-z1", NOW))

    def test_the_primary_waits_for_secondaries_that_want_to_go(self):
        self.check("a", WAIT, "secondaries that wait: b", wishes={**PATIENT, "b": Wish(NOW - 5, NOW - 5)})
        self.check("a", STEP_DOWN, "steps down", wishes={**PATIENT, "b": Wish(NOW - 999, NOW - WISH - 1)})

    def test_the_primary_lets_others_ask_first(self):
        self.check("a", WAIT, "steps down in 60 s")
        self.check("a", STEP_DOWN, "steps down", wishes=PATIENT)

    def test_a_primary_with_the_turn_steps_down_at_once(self):
        self.check("a", STEP_DOWN, "steps down", turn=Turn("a", "i-a1", NOW - 1))

    def test_a_primary_never_goes_as_it_is(self):
        for wishes in (PATIENT, {}, {"a": Wish(0, NOW)}):
            self.assertNotEqual(decide("a", SET, MACHINES, None, wishes, NOW).kind, GO)

    def test_an_only_member_may_go(self):
        self.check("a", GO, "only member", members=[Member("a", "PRIMARY")])

    def test_a_stranger_is_named_as_one(self):
        self.check("d", UNKNOWN, "no member d, only a, b, c")

    def test_a_wish_that_paused_begins_again(self):
        self.assertEqual(wished(Wish(NOW - 50, NOW - 5), NOW), Wish(NOW - 50, NOW))
        self.assertEqual(wished(Wish(NOW - 500, NOW - WISH - 1), NOW), Wish(NOW, NOW))
        self.assertEqual(wished(None, NOW), Wish(NOW, NOW))

    def test_never_two_members_at_a_time(self):
        """Every state of the other two, every turn, every question: a yes leaves everybody else serving."""
        states = [("PRIMARY", 0), ("SECONDARY", 0), ("SECONDARY", 99), ("RECOVERING", 0), ("not reachable", None)]
        for one in states:
            for two in states:
                for three in states:
                    members = [Member(name, *state) for name, state in zip("abc", (one, two, three))]
                    for turn in (None, *(Turn(name, machine, NOW - 5) for name in "abc" for machine in (f"i-{name}1", "i-old"))):
                        for asked in "abc":
                            answer = decide(asked, members, MACHINES, turn, {asked: Wish(NOW - 99, NOW)}, NOW)
                            if answer.kind in (GO, STEP_DOWN):
                                others = [m for m in members if m.name != asked]
                                self.assertTrue(all(m.state in ("PRIMARY", "SECONDARY") and m.lag == 0 for m in others), (members, asked))
                                self.assertFalse(turn and turn.member != asked and turn.machine == MACHINES[turn.member], (turn, asked))


class Reading(unittest.TestCase):
    def test_members_are_read_from_what_mongod_says(self):
        head = datetime.datetime(2026, 11, 25, 10, 0, 30)
        status = {"members": [
            {"name": "a.mongodb.prod.internal:27017", "stateStr": "PRIMARY", "health": 1.0, "optimeDate": head},
            {"name": "b.mongodb.prod.internal:27017", "stateStr": "SECONDARY", "health": 1.0, "optimeDate": head - datetime.timedelta(seconds=12)},
            {"name": "c.mongodb.prod.internal:27017", "stateStr": "(not reachable/healthy)", "health": 0.0, "optimeDate": datetime.datetime(1970, 1, 1)},
        ]}
        a, b, c = gate.members_of(status)
        self.assertEqual((a, b), (Member("a", "PRIMARY", 0), Member("b", "SECONDARY", 12)))
        self.assertEqual((c.name, c.state), ("c", "not reachable"))

    def test_without_a_primary_no_lag_is_known(self):
        self.assertEqual(gate.members_of({"members": [{"name": "a:1", "stateStr": "SECONDARY"}]}), [Member("a", "SECONDARY", None)])


class World:
    """A replica set in memory, with the one property that the gate relies on: a write is seen by all, or refused."""

    def __init__(self):
        self.states = {"a": "PRIMARY", "b": "SECONDARY", "c": "SECONDARY"}
        self.notes, self.lock, self.down = {}, threading.Lock(), None

    def members(self):
        if self.down:
            raise self.down
        return [Member(name, state) for name, state in self.states.items()]

    def step_down(self):
        old = next(name for name, state in self.states.items() if state == "PRIMARY")
        new = next(name for name, state in self.states.items() if state == "SECONDARY")
        self.states.update({old: "SECONDARY", new: "PRIMARY"})

    def read(self):
        with self.lock:
            return {key: {"_id": key, **note} for key, note in self.notes.items()}

    def write(self, key, values):
        with self.lock:
            self.notes[key] = values

    def swap(self, key, old, values):
        with self.lock:
            now = self.notes.get(key)
            if now != (None if old is None else {field: old[field] for field in old if field != "_id"}):
                return False
            self.notes[key] = values
            return True


class Roll(unittest.TestCase):
    """Three gates, one on each machine, as amid asks them."""

    def setUp(self):
        self.world, self.now = World(), NOW
        self.machines = {"a": 1, "b": 1, "c": 1}
        self.gates = {}
        for name in "abc":
            self.boot(name)

    def boot(self, name):
        self.gates[name] = gate.Gate(self.world, name, f"i-{name}{self.machines[name]}", lambda: self.now)
        self.gates[name].introduce()

    def ask(self, name):
        """As the manifests say: the next member is asked."""
        return self.gates[{"a": "b", "b": "c", "c": "a"}[name]].answer(f"/roll/{name}")

    def relaunch(self, name):
        self.world.states[name] = "not reachable"
        for other in set("abc") - {name}:
            self.assertEqual(self.ask(other)[0], 503, f"{other} has to stay while {name} is away")
        self.world.states[name] = "STARTUP2"
        self.machines[name] += 1
        self.boot(name)
        for other in set("abc") - {name}:
            self.assertEqual(self.ask(other)[0], 503, f"{other} has to stay until {name} has caught up")
        self.world.states[name] = "SECONDARY"

    def test_a_commit_that_bumps_all_three_rolls_secondaries_first_and_the_primary_last(self):
        waiting, order, elections = {"a", "b", "c"}, [], 0
        for _ in range(100):
            self.now += 5
            for name in sorted(waiting):
                before = dict(self.world.states)
                status, why = self.ask(name)
                elections += before != self.world.states
                if status == 200:
                    self.assertEqual(self.world.states[name], "SECONDARY", why)
                    self.relaunch(name)
                    waiting.discard(name)
                    order.append(name)
            if not waiting:
                break
        self.assertEqual(order, ["b", "c", "a"])
        self.assertEqual(elections, 1, "the primary stepped down once")

    def test_two_questions_at_the_same_moment_have_one_yes(self):
        for _ in range(50):
            self.world.notes.pop("turn", None)
            start, answers = threading.Barrier(2), []

            def ask(name):
                start.wait()
                answers.append(self.ask(name)[0])

            threads = [threading.Thread(target=ask, args=(name,)) for name in "bc"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(answers), [200, 503])

    def test_asking_again_in_ones_own_turn_is_a_yes_again(self):
        self.assertEqual(self.ask("b")[0], 200)
        self.now += 30
        self.assertEqual(self.ask("b")[0], 200)
        self.assertEqual(self.world.notes["turn"]["since"], NOW, "the turn began once")

    def test_health_is_the_members_own(self):
        self.assertEqual(self.gates["b"].answer("/healthz")[0], 200)
        self.world.states["b"] = "RECOVERING"
        self.assertEqual(self.gates["b"].answer("/healthz"), (503, "b is RECOVERING"))
        self.world.states["c"] = "RECOVERING"
        self.assertEqual(self.gates["a"].answer("/healthz")[0], 200)

    def test_a_set_that_does_not_answer_is_a_no(self):
        from pymongo.errors import NotMasterError, ServerSelectionTimeoutError

        for error in (ServerSelectionTimeoutError("nobody there"), NotMasterError("gone")):
            self.world.down = error
            status, why = self.ask("b")
            self.assertEqual(status, 503)
            self.assertIn("the set does not answer", why)


class OverHttp(unittest.TestCase):
    def setUp(self):
        web = gate.server(gate.Gate(World(), "a", "i-a1", lambda: NOW), "127.0.0.1", 0)
        thread = threading.Thread(target=web.serve_forever, args=(0.02,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(web.server_close)
        self.addCleanup(web.shutdown)
        self.url = f"http://127.0.0.1:{web.server_address[1]}"

    def get(self, path):
        return support.get(self.url + path)

    def test_the_status_is_the_answer_and_the_body_the_reason(self):
        self.assertEqual(self.get("/roll/b"), (200, "b may go: everybody else is there\n"))
        self.assertEqual(self.get("/roll/c")[0], 503)
        self.assertEqual(self.get("/roll/zz")[0], 404)
        self.assertEqual(self.get("/healthz")[0], 200)
        self.assertEqual(self.get("/")[0], 404)
        self.assertEqual(self.get("/roll/" + "x" * 5000)[0], 404)


if __name__ == "__main__":
    unittest.main()
