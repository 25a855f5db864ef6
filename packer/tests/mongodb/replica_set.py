"""A stand-in for the members of a MongoDB replica set: the wire protocol and the few commands that a member's
machine asks for, so that the official driver and the gate can be tried where no mongod can be had.

It keeps documents by `_id`, finds them by equality, and knows what a set knows: who is primary, who can be
reached, that a write with a majority needs one. It holds no election by itself: a test says what happens.
Not for anything but tests: nobody logs in, and nothing is indexed.
"""

import datetime
import os
import socketserver
import struct
import threading

import bson

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
CHECKSUM, MORE_TO_COME = 1, 2
LARGEST = 16 << 20

PRIMARY, SECONDARY, STARTUP, DOWN = "PRIMARY", "SECONDARY", "STARTUP", "(not reachable/healthy)"
NUMBERS = {STARTUP: 0, PRIMARY: 1, SECONDARY: 2, "RECOVERING": 3, "STARTUP2": 5, DOWN: 8}

NOT_PRIMARY, NOT_YET_INITIALIZED, NO_CANDIDATE, NO_COMMAND, FAILED, DUPLICATE = 10107, 94, 262, 59, 64, 11000


class Refused(Exception):
    """An answer that is not ok, as the protocol has it."""

    def __init__(self, code, name, why):
        super().__init__(why)
        self.answer = {"ok": 0.0, "errmsg": why, "code": code, "codeName": name}


class ReplicaSet:
    """What its members share. `states` by host (`a.example.com:27017`); empty until somebody initiates it."""

    def __init__(self, name, states=None, place=None):
        self.name, self.states, self.lag = name, dict(states or {}), {}
        self.lock = threading.RLock()
        self.place = os.path.join(place, "set.bson") if place else None
        self.collections, self.elections = {}, 0
        if self.place and os.path.exists(self.place):
            with open(self.place, "rb") as file:
                kept = bson.decode(file.read(LARGEST))
            self.collections = {name: {one["_id"]: one for one in found} for name, found in kept["collections"].items()}
            self.elect(kept["members"])

    def elect(self, hosts):
        """The first one is the primary."""
        with self.lock:
            self.states = {host: SECONDARY for host in hosts}
            self.states[hosts[0]] = PRIMARY

    def keep(self):
        if self.place:
            kept = {"members": list(self.states), "collections": {name: list(found.values()) for name, found in self.collections.items()}}
            with open(self.place + ".new", "wb") as file:
                file.write(bson.encode(kept))
            os.replace(self.place + ".new", self.place)

    def primary(self):
        return next((host for host, state in self.states.items() if state == PRIMARY), None)

    def majority(self):
        serving = [host for host, state in self.states.items() if state in (PRIMARY, SECONDARY)]
        return 2 * len(serving) > len(self.states)

    def step_down(self):
        """The next secondary that can be reached takes over; without one nobody does."""
        old = self.primary()
        new = next((host for host, state in self.states.items() if state == SECONDARY), None)
        if new is None:
            raise Refused(NO_CANDIDATE, "ExceededTimeLimit", "No electable secondary has caught up")
        self.states.update({old: SECONDARY, new: PRIMARY})
        self.elections += 1

    # --- Commands ---

    def answer(self, host, command, database):
        name = next(iter(command))
        with self.lock:
            if name in ("hello", "isMaster", "ismaster"):
                return self.hello(host)
            handle = getattr(self, f"on_{name}", None)
            if handle is None:
                raise Refused(NO_COMMAND, "CommandNotFound", f"no such command: '{name}'")
            return {**(handle(host, command, database) or {}), "ok": 1.0}

    def hello(self, host):
        state = self.states.get(host, STARTUP)
        answer = {
            "ismaster": state == PRIMARY, "isWritablePrimary": state == PRIMARY, "secondary": state == SECONDARY,
            "maxBsonObjectSize": LARGEST, "maxMessageSizeBytes": 3 * LARGEST, "maxWriteBatchSize": 1000,
            "localTime": datetime.datetime.now(datetime.timezone.utc), "logicalSessionTimeoutMinutes": 30,
            # MongoDB 8.0's.
            "minWireVersion": 0, "maxWireVersion": 25, "ok": 1.0,
        }
        if not self.states:
            return {**answer, "isreplicaset": True, "info": "Does not have a valid replica set config"}
        answer.update({"setName": self.name, "setVersion": 1, "hosts": list(self.states), "me": host})
        if self.primary():
            answer["primary"] = self.primary()
        return answer

    def on_ping(self, host, command, database):
        return {}

    on_endSessions = on_ping

    def on_buildInfo(self, host, command, database):
        return {"version": "8.0.0", "versionArray": [8, 0, 0, 0]}

    def on_replSetInitiate(self, host, command, database):
        if self.states:
            raise Refused(23, "AlreadyInitialized", "already initialized")
        self.elect([member["host"] for member in command["replSetInitiate"]["members"]])
        self.keep()

    def on_replSetGetStatus(self, host, command, database):
        if not self.states:
            raise Refused(NOT_YET_INITIALIZED, "NotYetInitialized", "no replset config has been received")
        head = datetime.datetime(2026, 1, 1, 12, 0, 0)
        members = []
        for number, (other, state) in enumerate(self.states.items()):
            there = state != DOWN
            seen = head - datetime.timedelta(seconds=self.lag.get(other, 0)) if there else datetime.datetime(1970, 1, 1)
            members.append({"_id": number, "name": other, "health": float(there), "state": NUMBERS[state], "stateStr": state, "optimeDate": seen})
        return {"set": self.name, "myState": NUMBERS[self.states[host]], "members": members}

    def on_replSetStepDown(self, host, command, database):
        self.must_be_primary(host)
        self.step_down()

    def on_find(self, host, command, database):
        if self.states.get(host) != PRIMARY:
            # Nobody here reads from a secondary.
            raise Refused(13435, "NotPrimaryNoSecondaryOk", "not primary and secondaryOk=false")
        found = self.collections.get(f"{database}.{command['find']}", {}).values()
        wanted = command.get("filter", {})
        batch = [document for document in found if matches(document, wanted)]
        return {"cursor": {"id": 0, "ns": f"{database}.{command['find']}", "firstBatch": batch}}

    def on_insert(self, host, command, database):
        self.must_be_primary(host)
        documents = self.collections.setdefault(f"{database}.{command['insert']}", {})
        errors, done = [], 0
        for index, document in enumerate(command["documents"]):
            if document["_id"] in documents:
                errors.append({"index": index, "code": DUPLICATE, "errmsg": f"E11000 duplicate key error: {document['_id']}"})
                continue
            documents[document["_id"]] = document
            done += 1
        self.keep()
        return {"n": done, **({"writeErrors": errors} if errors else {}), **self.concern(command)}

    def on_update(self, host, command, database):
        self.must_be_primary(host)
        documents = self.collections.setdefault(f"{database}.{command['update']}", {})
        matched, upserted = 0, []
        for index, update in enumerate(command["updates"]):
            old = next((document for document in documents.values() if matches(document, update["q"])), None)
            if old is None and not update.get("upsert"):
                continue
            key = update["q"]["_id"] if old is None else old["_id"]
            if old is None:
                upserted.append({"index": index, "_id": key})
            documents[key] = {"_id": key, **update["u"]}
            matched += 1
        self.keep()
        return {"n": matched, "nModified": matched - len(upserted), **({"upserted": upserted} if upserted else {}), **self.concern(command)}

    def must_be_primary(self, host):
        if self.states.get(host) != PRIMARY:
            raise Refused(NOT_PRIMARY, "NotWritablePrimary", "not primary")

    def concern(self, command):
        """A majority that is not there is told after the write, as mongod does it when its time is over."""
        if command.get("writeConcern", {}).get("w") == "majority" and not self.majority():
            return {"writeConcernError": {"code": FAILED, "errmsg": "waiting for replication timed out"}}
        return {}


def matches(document, wanted):
    return all(document.get(field) == value for field, value in wanted.items())


class Member(socketserver.ThreadingTCPServer):
    """One member's port."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self, replica_set, address, host=None):
        super().__init__(address, Connection)
        self.set, self.host = replica_set, host
        # Whoever connected before the member went must not be answered afterwards.
        self.open, self.guard = set(), threading.Lock()

    def hang_up(self):
        with self.guard:
            for connection in self.open:
                try:
                    connection.shutdown(2)
                except OSError:
                    pass


class Connection(socketserver.BaseRequestHandler):
    def setup(self):
        with self.server.guard:
            self.server.open.add(self.request)

    def finish(self):
        with self.server.guard:
            self.server.open.discard(self.request)

    def handle(self):
        try:
            while True:
                length, request, _, code = struct.unpack("<iiii", self.take(16))
                if not 16 <= length <= 3 * LARGEST:
                    return
                reply = self.reply(code, self.take(length - 16))
                if reply is not None:
                    code, body = reply
                    self.request.sendall(struct.pack("<iiii", 16 + len(body), 0, request, code) + body)
        except (EOFError, OSError, struct.error, bson.errors.BSONError, IndexError, ValueError):
            return

    def take(self, count):
        data = b""
        while len(data) < count:
            piece = self.request.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def reply(self, code, body):
        if code == OP_QUERY:
            # What a driver greets an unknown server with: flags, `admin.$cmd`, how many to skip and return.
            command = bson.decode(body[body.index(b"\0", 4) + 9:])
            return OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(self.run(command))
        if code != OP_MSG:
            raise ValueError(f"unknown message {code}")
        flags = struct.unpack_from("<I", body)[0]
        command = sections(body[4 : len(body) - 4 if flags & CHECKSUM else len(body)])
        answer = self.run(command)
        return None if flags & MORE_TO_COME else (OP_MSG, struct.pack("<IB", 0, 0) + bson.encode(answer))

    def run(self, command):
        host = self.server.host or next(iter(self.server.set.states), "")
        try:
            return self.server.set.answer(host, command, command.pop("$db", "admin"))
        except Refused as refused:
            return refused.answer


def sections(body):
    """The command of an OP_MSG: its body, and the lists of documents that came beside it."""
    command, lists, at = {}, {}, 0
    while at < len(body):
        kind, size = struct.unpack_from("<Bi", body, at)
        part = body[at + 1 : at + 1 + size]
        if kind == 0:
            command = bson.decode(part)
        else:
            end = part.index(b"\0", 4)
            lists[part[4:end].decode()] = bson.decode_all(part[end + 1 :])
        at += 1 + size
    return {**command, **lists}
