#!/usr/bin/env python3
"""Runs every query of every board against a real Prometheus that watched a
real amid and a real todo: `live.py PROGRAMS PROMETHEUS MONGO [--pictures DIR]`.

`amid-watched` plays rolls, a failure with its revert and a hold; meanwhile two
releases of todo take each other's place under a little load, and at last lose
their database. Fails where a panel shows nothing, where a rule cannot be
evaluated, or where an alert fires. With --pictures each board's data is drawn.
Everything listens on loopback and is gone at the end.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import check  # noqa: E402
from source import lint, picture  # noqa: E402

RATE = "10s"
# Longer than the life takes on a busy machine.
PATIENCE = 240
# What waits for a person in the life that is played, and would become an alert with time.
EXPECTED = {("AmidAppHeld", "demo/shop"), ("AmidAppNotAsDesired", "demo/shop"),
            # The stand-in for AWS says one day of every image.
            ("AmidImageTooOld", "demo/web")}


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("programs", type=pathlib.Path, help="where amid, amid-watched and todo are")
    args.add_argument("prometheus", type=pathlib.Path, help="where prometheus is")
    args.add_argument("mongo", help="mongod, or the stand-in for it")
    args.add_argument("--pictures", type=pathlib.Path, metavar="DIR")
    args = args.parse_args()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amid-live-")))
        world = World(args, folder, stack)
        wrong = world.play()
    print("\n".join(wrong) or "every panel shows data, no alert fires")
    sys.exit(bool(wrong))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class World:
    def __init__(self, args, folder, stack):
        self.args, self.folder, self.stack = args, folder, stack
        self.port = free_port()
        self.began = time.time()
        self.ended = self.began

    def start(self, program, *words, **more):
        log = self.stack.enter_context(open(self.folder / "log", "ab"))
        more = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL, **more}
        child = subprocess.Popen([program, *map(str, words)], **more)
        self.stack.callback(stop, child)
        return child

    def play(self):
        amid = self.start(self.args.programs / "amid-watched", stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "AMID_BIN": str(self.args.programs / "amid")})
        self.stack.callback(let_end, amid)
        first = amid.stdout.readline().split()
        if first[:1] != ["metrics"]:
            return [f"amid-watched did not begin: {self.log()}"]
        ports = [free_port() for _ in range(6)]
        self.start_prometheus(first[1], ports[1:4:2])
        database = self.start_database(ports[4])
        old = self.start_todo(ports[:2], ports[4], "ami-0000000000000000a", "1.0.0")
        loads = [self.load(ports[0])]
        # A counter that moves before it is looked at for the first time shows nothing.
        self.until_scraped(4)
        amid.stdin.write("play\n")
        amid.stdin.flush()
        played = threading.Thread(target=amid.stdout.readline, daemon=True)
        played.start()
        played.join(6)
        new = self.start_todo(ports[2:4], ports[4], "ami-0000000000000000b", "1.1.0")
        loads.append(self.load(ports[2]))
        time.sleep(4)
        stop(old)
        played.join(PATIENCE)
        if played.is_alive() or amid.poll() is not None:
            return [f"the life did not come to its end: {self.log()}"]
        wrong = self.lint(f"http://{first[1]}/metrics")
        stop(database)
        time.sleep(4)
        self.ended = time.time()
        wrong += [f"{name} ended by itself: {self.log()}"
                  for name, child in (("todo", new), ("amid-watched", amid)) if child.poll()]
        wrong += self.look()
        for load in loads:
            load.set()
        return wrong

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    # --- What is watched ---

    def start_prometheus(self, amid, todos):
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(HERE / "alerts.yaml"), str(HERE / "rules.yaml")],
            "scrape_configs": [
                {"job_name": "amid", "static_configs": [{"targets": [amid]}]},
                {"job_name": "todo", "static_configs":
                    [{"targets": [f"127.0.0.1:{port}" for port in todos]}]}],
        }
        path = self.folder / "prometheus.yml"
        path.write_text(json.dumps(config))
        self.start(self.args.prometheus / "prometheus", f"--config.file={path}",
                   f"--storage.tsdb.path={self.folder / 'tsdb'}",
                   f"--web.listen-address=127.0.0.1:{self.port}")
        deadline = time.time() + 60
        while time.time() < deadline:
            # It listens before it is ready, and refuses until then.
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=30):
                    ready = True
            except OSError:
                ready = False
            if ready and self.ask("query", query="up")["result"]:
                return
            time.sleep(0.1)
        raise SystemExit(f"Prometheus did not start: {self.log()}")

    def until_scraped(self, times):
        query = 'min(count_over_time(up{job="amid"}[1m]))'
        deadline = time.time() + 60
        while time.time() < deadline:
            found = self.ask("query", query=query)["result"]
            if found and int(found[0]["value"][1]) >= times:
                return
            time.sleep(0.2)
        raise SystemExit(f"Prometheus did not scrape amid: {self.log()}")

    def start_database(self, port):
        store = self.folder / "database"
        store.mkdir()
        if self.args.mongo.endswith("mongod"):
            words = ["--bind_ip", "127.0.0.1", "--port", port, "--dbpath", store]
        else:
            words = ["--host", "127.0.0.1", "--port", port, "--storage-path", store,
                     "--cache-size", "256M", "--log-level", "ERROR"]
        return self.start(self.args.mongo, *words)

    def start_todo(self, ports, database, ami, version):
        return self.start(
            self.args.programs / "todo", f"--listen=127.0.0.1:{ports[0]}",
            f"--metrics-listen=127.0.0.1:{ports[1]}", f"--ami={ami}",
            f"--release-version={version}", "--drain-time=1s", "--request-timeout=1s",
            env={**os.environ, "TODO_DATABASE_URL": f"mongodb://127.0.0.1:{database}/"})

    @staticmethod
    def load(port):
        """A little of everything, errors included, until the event is set."""
        over = threading.Event()
        todo = json.dumps({"title": "Watch"}).encode()
        asked = [("GET", "/todos", None), ("POST", "/todos", todo), ("GET", "/todos/none", None)]

        def run():
            while not over.wait(0.03):
                for method, path, body in asked:
                    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body,
                                                     {"Content-Type": "application/json"},
                                                     method=method)
                    with contextlib.suppress(OSError):
                        urllib.request.urlopen(request, timeout=2).read()

        threading.Thread(target=run, daemon=True).start()
        return over

    # --- What is asked ---

    def lint(self, page):
        """What promtool says of the names and texts of amid's metrics."""
        with urllib.request.urlopen(page, timeout=30) as answer:
            text = answer.read()
        done = subprocess.run([self.args.prometheus / "promtool", "check", "metrics"], input=text,
                              capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode().splitlines()
        return [f"promtool: {line}" for line in said]

    def ask(self, what, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"Prometheus refuses {query}: {error.read().decode()}") from error

    def answer(self, target, instant):
        span = f"{max(1, int(self.ended - self.began))}s"
        query = check.expanded(target["expr"], RATE, span)
        if instant:
            return self.ask("query", query=query, time=self.ended)["result"]
        return self.ask("query_range", query=query, start=self.began, end=self.ended,
                        step="1s")["result"]

    def look(self):
        wrong = []
        for name, board in check.boards().items():
            data = {}
            for one in lint.panels(board):
                data[one["id"]] = [self.answer(target, target["instant"])
                                   for target in one["targets"]]
                for target in one["targets"]:
                    # At some time: what is held or waited for may be over at the end.
                    if not any(has_value(series) for series in self.answer(target, False)):
                        wrong.append(f"{name}, `{one['title']}` shows nothing: {target['expr']}")
            if self.args.pictures:
                self.args.pictures.mkdir(parents=True, exist_ok=True)
                page = picture.draw(board, data, self.began, self.ended)
                (self.args.pictures / f"{name}.html").write_text(page)
        return wrong + self.alerts()

    def alerts(self):
        wrong = []
        for group in self.ask("rules")["groups"]:
            wrong += [f"rule {rule['name']}: {rule.get('lastError')}" for rule in group["rules"]
                      if rule["health"] != "ok"]
        seen = self.ask("query_range", query="ALERTS", start=self.began, end=self.ended,
                        step="1s")["result"]
        for series in seen:
            labels = series["metric"]
            if labels["alertstate"] == "firing":
                wrong.append(f"an alert fires: {labels}")
        pending = self.ask("query", query='ALERTS{alertstate="pending", job="amid"}')["result"]
        for series in pending:
            labels = series["metric"]
            if (labels["alertname"], labels.get("app")) not in EXPECTED:
                wrong.append(f"an alert would fire with time: {labels}")
        return wrong


def has_value(series):
    values = series.get("values") or [series["value"]]
    return any(math.isfinite(float(value)) for _, value in values)


def let_end(life):
    """It ends with its input, and takes amid along; a signal would leave amid behind."""
    life.stdin.close()
    try:
        life.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        print("amid-watched does not end with its input", file=sys.stderr)


def stop(child):
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


if __name__ == "__main__":
    main()
