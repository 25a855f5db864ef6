#!/usr/bin/env python3
"""Checks the committed boards and rules without Grafana or Prometheus:
`check.py lint | names | mentioned | runbooks`, and `check.py queries FILE`,
which writes all queries of all boards as rules, for promtool to parse."""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from source import lint, names  # noqa: E402

BOARDS = ("fleet", "controller", "amis", "todo")


def boards():
    return {name: json.loads((HERE / f"{name}.json").read_text()) for name in BOARDS}


def expanded(query, rate="5m", span="6h"):
    """The query as Grafana would send it with every choice on `All`."""
    query = query.replace("$__rate_interval", rate).replace("$__range", span)
    return re.sub(r"\$\w+", ".+", query)


def check(what):
    exported, found = names.Exported(), []
    if what == "lint":
        for name, board in boards().items():
            found += [f"{name}: {rule}: {words}" for rule, words in lint.findings(board)]
        uids = [board["uid"] for board in boards().values()]
        found += ["two boards have one uid"] * (len(set(uids)) < len(uids))
    elif what == "names":
        for name, board in boards().items():
            found += names.board_findings(name, board, exported)
        found += names.rule_findings(exported)
        found += names.page_findings(exported)
    elif what == "mentioned":
        found += [f"nobody speaks of `{name}`" for name in names.unmentioned(boards(), exported)]
    elif what == "runbooks":
        found += names.runbook_findings()
        found += names.link_findings(boards())
    else:
        sys.exit(__doc__)
    return found


def queries(path):
    rules = [{"record": "board:query", "expr": expanded(query), "labels": {"n": str(number)}}
             for number, query in enumerate(query for board in boards().values()
                                            for _, query in lint.queries(board))]
    # JSON is YAML, too.
    pathlib.Path(path).write_text(json.dumps({"groups": [{"name": "boards", "rules": rules}]}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["queries"] and len(sys.argv) == 3:
        queries(sys.argv[2])
        sys.exit(0)
    wrong = check(sys.argv[1] if len(sys.argv) == 2 else "")
    sys.exit("\n".join(wrong) or 0)
