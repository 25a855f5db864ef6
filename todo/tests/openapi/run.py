"""Runs schemathesis against a server that keeps its todos in memory.

Usage: run.py SCHEMATHESIS SERVER. Everything that can be checked is checked;
the number of examples can be set with TODO_EXAMPLES.
"""

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def start(server: str) -> tuple[subprocess.Popen, str]:
    """Starts the server and returns it with its address."""
    flags = [
        "--database-url=memory:",
        "--listen=127.0.0.1:0",
        "--metrics-listen=127.0.0.1:0",
        "--allow-delete-all=true",
        "--log=warn,todo=info",
    ]
    process = subprocess.Popen([server, *flags], stdout=subprocess.PIPE, text=True)
    address = json.loads(process.stdout.readline())["listen"]
    return process, f"http://{address}"


def count(report: Path) -> tuple[int, int]:
    """Tests that passed and that failed, by a JUnit report."""
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [
        case
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    return len(cases) - len(failed), len(failed)


def main() -> int:
    schemathesis, program = sys.argv[1:]
    server, url = start(program)
    # Its log is of no interest here, but a full pipe would stop it.
    drain = subprocess.Popen(["cat"], stdin=server.stdout, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "junit.xml")
        command = [
            schemathesis,
            "run",
            f"{url}/openapi.json",
            "--checks=all",
            f"--max-examples={os.environ.get('TODO_EXAMPLES', '50')}",
            "--seed=1",
            "--continue-on-failure",
            "--warnings=off",
            f"--report-junit-path={report}",
        ]
        try:
            code = subprocess.run(command, cwd=folder, check=False).returncode
            died = server.poll() is not None
        finally:
            server.kill()
            server.wait()
            drain.wait()
        passed, failed = count(report)
    if died:
        print("The server died")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if code or failed else 0


if __name__ == "__main__":
    sys.exit(main())
