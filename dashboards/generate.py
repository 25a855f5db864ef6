#!/usr/bin/env python3
"""Writes boards, alerts, recording rules, their tests and the table of
docs/metrics.md from source/ and metrics.json. With --check it writes nothing
and fails when a committed file differs.

Runbooks are linked at a made-up address; `--runbooks URL` writes the files with
yours, which is what people do who load them into their own Grafana.
"""

import argparse
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from source import words  # noqa: E402
from source.alerts import ALERTS, RECORDS  # noqa: E402
from source.amis import amis  # noqa: E402
from source.controller import controller  # noqa: E402
from source.fleet import fleet  # noqa: E402
from source.todo import todo  # noqa: E402

NOTICE = "# Written by dashboards/generate.py from dashboards/source/: change it there."
BOARDS = {"fleet": fleet, "controller": controller, "amis": amis, "todo": todo}


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    args.add_argument("--runbooks", metavar="URL", default=words.RUNBOOKS,
                      help="where people read dashboards/runbooks/")
    args = args.parse_args()
    stale = []
    for path, text in files().items():
        text = text.replace(words.RUNBOOKS, args.runbooks.rstrip("/"))
        if path.exists() and path.read_text() == text:
            continue
        stale.append(str(path.relative_to(ROOT)))
        if not args.check:
            path.write_text(text)
    if args.check and stale:
        sys.exit(f"not as dashboards/generate.py writes them: {', '.join(stale)}")
    for name in stale:
        print(f"written: {name}")


def files():
    made = {HERE / f"{name}.json": json.dumps(make(), indent=2, ensure_ascii=False) + "\n"
            for name, make in BOARDS.items()}
    made[HERE / "alerts.yaml"] = yaml({"groups": [
        {"name": "amid", "rules": [alert(one) for one in ALERTS if one["name"][:4] == "Amid"]},
        {"name": "todo", "rules": [alert(one) for one in ALERTS if one["name"][:4] == "Todo"]}]})
    made[HERE / "rules.yaml"] = yaml({"groups": [
        {"name": group, "rules": [{"record": name, "expr": expr} for name, expr in records]}
        for group, records in RECORDS.items()]})
    made[HERE / "alerts_test.yaml"] = yaml({
        "rule_files": ["alerts.yaml", "rules.yaml"], "evaluation_interval": "1m",
        "tests": [test for one in ALERTS for test in (fires(one), quiet(one))]})
    page = ROOT / "docs" / "metrics.md"
    made[page] = with_tables(page.read_text())
    return made


def alert(one):
    rule = {"alert": one["name"], "expr": " ".join(one["expr"].split())}
    if one["wait"] != "0m":
        rule["for"] = one["wait"]
    rule["labels"] = {"severity": one["severity"]}
    rule["annotations"] = {
        "summary": one["summary"], "description": one["description"],
        "runbook_url": f"{words.RUNBOOKS}/{one['name']}.md"}
    return rule


def fires(one):
    expected = []
    for labels in [one["labels"], *one.get("also", [])]:
        annotations = {name: said(text, labels, one.get("says", ""))
                       for name, text in alert(one)["annotations"].items()}
        expected.append({"exp_labels": {"severity": one["severity"], **labels},
                         "exp_annotations": annotations})
    return test(f"{one['name']} fires", one["fires"], one["name"], one["at"], expected)


def quiet(one):
    return test(f"{one['name']} does not fire", one["quiet"], one["name"], one["at"], [])


def test(name, series, alertname, at, expected):
    inputs = [{"series": series, "values": values} for series, values in series.items()]
    return {"name": name, "interval": "1m", "input_series": inputs,
            "alert_rule_test": [{"eval_time": at, "alertname": alertname,
                                 "exp_alerts": expected}]}


def said(text, labels, value):
    """An annotation as Prometheus will word it."""
    text = re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels.get(found[1], ""), text)
    return re.sub(r"{{ \$value[^}]*}}", value, text)


def yaml(value):
    """YAML whose texts are JSON strings, which YAML allows."""
    return NOTICE + "\n" + "\n".join(yaml_lines(value)) + "\n"


def yaml_lines(value, indent=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, (dict, list)) and inner:
                yield f"{indent}{name(key)}:"
                yield from yaml_lines(inner, indent + "  ")
            else:
                yield f"{indent}{name(key)}: {scalar(inner)}"
        return
    for inner in value:
        if not isinstance(inner, dict):
            yield f"{indent}- {scalar(inner)}"
            continue
        first, *others = yaml_lines(inner, indent + "  ")
        yield f"{indent}- {first.lstrip()}"
        yield from others


def name(key):
    return key if re.fullmatch(r"\w+", key) else json.dumps(key)


def scalar(value):
    if isinstance(value, str) and re.fullmatch(r"\d+[smhd]|[A-Za-z][\w.]*", value):
        return value
    return json.dumps(value, ensure_ascii=False)


def with_tables(page):
    """The page with its tables written anew."""
    families = json.loads((HERE / "metrics.json").read_text())
    tables = {"metrics": metrics_table(families), "alerts": alerts_table(),
              "records": records_table()}
    for which, table in tables.items():
        begin, end = f"<!-- begin {which} -->\n", f"<!-- end {which} -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            sys.exit(f"docs/metrics.md has no place for the table `{which}`")
        page = before + begin + "\n" + table + "\n" + end + after
    return page


def metrics_table(families):
    rows = ["| name | kind | meaning | labels |", "|---|---|---|---|"]
    for one in families:
        labels = "<br>".join(f"`{label}`: {values(listed)}"
                             for label, listed in one["labels"].items())
        rows.append(f"| `{one['name']}` | {one['kind']} | {one['help']} | {labels} |")
    return "\n".join(rows) + "\n"


def values(listed):
    if listed == "app":
        return "the app's name"
    return listed if isinstance(listed, str) else ", ".join(f"`{one}`" for one in listed)


def alerts_table():
    rows = ["| alert | severity | fires after | says |", "|---|---|---|---|"]
    for one in ALERTS:
        where = f"[{one['name']}](../dashboards/runbooks/{one['name']}.md)"
        summary = re.sub(r"{{ \$labels\.(\w+) }}", r"*\1*", one["summary"])
        wait = "at once" if one["wait"] == "0m" else one["wait"]
        rows.append(f"| {where} | {one['severity']} | {wait} | {summary} |")
    return "\n".join(rows) + "\n"


def records_table():
    rows = ["| series | is |", "|---|---|"]
    rows += [f"| `{record}` | `{expr.replace('|', chr(92) + '|')}` |"
             for records in RECORDS.values() for record, expr in records]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
