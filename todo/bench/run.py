"""Compares the todo server with one in Express and mongoose.

Both serve the same routes from the same database in the same run, one after
the other and twice. Measured are the server's own CPU time and its largest
resident memory, by /proc, and the latency that the load generator saw. The
figures go to a file and to the screen; the bars are those of the issue.

Usage: run.py TODO LOAD MONGO NODE_MODULES FIGURES
"""

import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
TODOS = 100
CONNECTIONS = 64
LISTS = int(os.environ.get("TODO_BENCH_LISTS", "2000"))
POSTS = int(os.environ.get("TODO_BENCH_POSTS", "500"))
ROUNDS = int(os.environ.get("TODO_BENCH_ROUNDS", "2"))
WARM_UP = 2 * CONNECTIONS
STARTS = 7


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(url: str, body: dict | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()


def wait_ready(url: str, process: subprocess.Popen, pause: float) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit("A server ended before it was ready")
        try:
            ask(f"{url}/readyz")
            return
        except OSError:
            time.sleep(pause)
    raise SystemExit("A server did not become ready")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all of its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("The kernel does not tell the peak of the memory")


class Bench:
    """Everything that a measurement needs."""

    def __init__(self, todo: str, load: str, mongo: str, modules: str, folder: str):
        self.todo, self.load, self.modules = todo, load, modules
        self.names = 0
        port = free_port()
        self.database = f"mongodb://127.0.0.1:{port}/"
        if mongo.endswith("/mongod"):
            where = ["--bind_ip", "127.0.0.1", "--dbpath", folder]
        else:
            where = ["--host", "127.0.0.1", "--storage-path", folder, "--cache-size", "256M"]
            where += ["--sync-on-commit", "--log-level", "ERROR"]
        self.mongo = subprocess.Popen(
            [mongo, *where, "--port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start(self, kind: str, name: str) -> tuple[subprocess.Popen, str]:
        port = free_port()
        if kind == "todo":
            command = [
                self.todo,
                f"--listen=127.0.0.1:{port}",
                "--metrics-listen=127.0.0.1:0",
                f"--database-url={self.database}",
                f"--database-name={name}",
            ]
            environment = {}
        else:
            command = ["node", str(HERE / "express.mjs")]
            environment = {
                "NODE_ENV": "production",
                "TODO_NODE_MODULES": self.modules,
                "DATABASE_URL": self.database,
                "DATABASE_NAME": name,
                "PORT": str(port),
            }
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.DEVNULL
        )
        return process, f"127.0.0.1:{port}"

    def run_load(self, address: str, method: str, path: str, body: str, count: int) -> dict:
        command = [self.load, address, method, path, body, str(CONNECTIONS), str(count)]
        output = subprocess.run(command, check=True, capture_output=True, text=True)
        figures = json.loads(output.stdout)
        if figures["failed"]:
            raise SystemExit(f"{figures['failed']} requests to {path} failed")
        return figures

    def measure(self, kind: str) -> dict:
        """One server, from its start to its end, on a database of its own."""
        self.names += 1
        process, address = self.start(kind, f"bench{self.names}")
        try:
            wait_ready(f"http://{address}", process, 0.05)
            for number in range(TODOS):
                ask(f"http://{address}/todos", {"title": f"Todo number {number}"})
            steps = {
                "list": ("GET", "/api/todos", "", LISTS),
                "resource_list": ("GET", "/todos", "", LISTS),
                "post": ("POST", "/todos", '{"title": "One more"}', 4 * POSTS),
                "original_post": ("POST", "/api/todos", '{"text": "One more"}', POSTS),
            }
            result = {}
            for step, (method, path, body, count) in steps.items():
                # The first requests compile and connect; they are not counted.
                self.run_load(address, method, path, body, WARM_UP)
                before = cpu_seconds(process.pid)
                figures = self.run_load(address, method, path, body, count)
                used = cpu_seconds(process.pid) - before
                figures["cpu_seconds_per_1000"] = used * 1_000 / count
                result[step] = figures
            result["peak_mib"] = peak_mib(process.pid)
            return result
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def start_to_ready(self) -> float:
        """Milliseconds from the start of a process to its first 200."""
        start = time.monotonic()
        process, address = self.start("todo", "start")
        try:
            wait_ready(f"http://{address}", process, 0.001)
            return (time.monotonic() - start) * 1_000
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def best(results: list[dict], step: str, figure: str) -> float:
    """The smaller of the rounds: noise of the machine only ever adds."""
    return min(result[step][figure] for result in results)


def compare(ours: list[dict], theirs: list[dict], starts: list[float], size: int) -> list[dict]:
    rows = []

    def row(what: str, mine: float, other: float | None, bar: float, ratio: bool) -> None:
        value = mine / other if ratio else mine
        rows.append(
            {
                "what": what,
                "todo": round(mine, 4),
                "express": None if other is None else round(other, 4),
                "value": round(value, 4),
                "bar": round(bar, 4),
                "met": value <= bar,
            }
        )

    cpu = "cpu_seconds_per_1000"
    for step, bar in [("list", 1 / 20), ("resource_list", 1 / 20), ("post", 1 / 5), ("original_post", 1 / 5)]:
        row(f"{step}: CPU s per 1,000", best(ours, step, cpu), best(theirs, step, cpu), bar, True)
    for step in ["list", "resource_list", "post", "original_post"]:
        row(f"{step}: p99 ms", best(ours, step, "p99_ms"), best(theirs, step, "p99_ms"), 1, True)
    peak = max(result["peak_mib"] for result in ours)
    their_peak = max(result["peak_mib"] for result in theirs)
    row("resident memory at the peak, MiB", peak, their_peak, 1 / 8, True)
    row("start to ready, ms", statistics.median(starts), None, 200, False)
    row("binary, MB", size / 1e6, None, 20, False)
    return rows


def main() -> int:
    todo, load, mongo, modules, figures = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(todo, load, mongo, modules, folder)
        try:
            ours, theirs = [], []
            for _ in range(ROUNDS):
                theirs.append(bench.measure("express"))
                ours.append(bench.measure("todo"))
            starts = [bench.start_to_ready() for _ in range(STARTS)]
        finally:
            bench.mongo.kill()
            bench.mongo.wait()
    rows = compare(ours, theirs, starts, Path(todo).stat().st_size)
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "database": "mongod" if mongo.endswith("/mongod") else "a stand-in for mongod",
        "todos": TODOS,
        "connections": CONNECTIONS,
        "rows": rows,
        "rounds": {"todo": ours, "express": theirs, "start_to_ready_ms": starts},
    }
    Path(figures).write_text(json.dumps(report, indent=2) + "\n")
    for each in rows:
        other = "" if each["express"] is None else f"  express {each['express']}"
        word = "met" if each["met"] else "MISSED"
        print(f"{word:7}{each['what']}: todo {each['todo']}{other}  ({each['value']} of at most {each['bar']})")
    missed = sum(not each["met"] for each in rows)
    print(f"{len(rows) - missed} met, {missed} missed; the figures are in {figures}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
