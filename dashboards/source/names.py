"""Holds boards, rules, runbooks and documents against what the programs
export: amid's own catalogue (metrics.json, which a Rust test keeps true) and
the names in todo's source."""

import json
import pathlib
import re

from . import lint, promql
from .alerts import ALERTS, RECORDS

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "dashboards" / "runbooks"
ENDS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
NAMED = re.compile(r"\b(?:amid|todo)_[a-z0-9_]*[a-z0-9]\b(?!\.rs)")
CODE = re.compile(r"`([^`\n]+)`|^    (.+)$", re.MULTILINE)
CRATES = {"amid_core", "amid_testkit"}


class Exported:
    """What can be read, by the name of a series."""

    def __init__(self):
        self.families = json.loads((ROOT / "dashboards" / "metrics.json").read_text())
        self.families += todo_families()
        self.series = {"up": {}}
        for one in self.families:
            for end in ENDS.get(one["kind"], ("",)):
                labels = dict(one["labels"])
                if end == "_bucket":
                    labels["le"] = "a bound"
                self.series[one["name"] + end] = labels
        for records in RECORDS.values():
            for record, expr in records:
                self.series[record] = {label: "" for label in promql.read(expr).grouped_by}

    def family(self, name):
        """The family that a series belongs to; its own name for a family."""
        for one in self.families:
            if name == one["name"] or name in {one["name"] + end for end in
                                               ENDS.get(one["kind"], ())}:
                return one["name"]
        return None


def todo_families():
    """Names and labels as todo's only file of metrics has them."""
    text = (ROOT / "todo" / "src" / "metrics.rs").read_text()
    parts = re.split(r'"(todo_[a-z_]+)"', text)
    for name, rest in zip(parts[1::2], parts[2::2]):
        listed = re.match(r'.*?&\[((?:"\w+",? ?)+)\]', rest, re.DOTALL)
        labels = re.findall(r"\w+", listed[1]) if listed else []
        histogram = name.endswith("_seconds")
        yield {"name": name, "kind": "histogram" if histogram else "other",
               "labels": {label: "open" for label in labels}}


def wrong_in(query, exported, where):
    """What is wrong with the names, labels and values of a query."""
    try:
        read = promql.read(query)
    except ValueError as error:
        yield f"{where}: {error}"
        return
    known = {"job", "instance", "le"}
    for one in read.selectors:
        labels = exported.series.get(one.name)
        if labels is None:
            yield f"{where}: nothing exports `{one.name}`"
            continue
        known |= set(labels)
        for label, sign, value in one.matchers:
            if label in ("job", "instance"):
                continue
            if label not in labels:
                yield f"{where}: `{one.name}` has no label `{label}`"
            elif isinstance(labels[label], list):
                for part in value.split("|") if "~" in sign else [value]:
                    matches = re.compile(part if "~" in sign else re.escape(part)).fullmatch
                    if not any(matches(listed) for listed in labels[label]):
                        yield f"{where}: `{label}` of `{one.name}` is never `{part}`"
    for label in read.grouped_by - known:
        yield f"{where}: groups by `{label}`, which nothing there has"


def board_findings(name, board, exported):
    for one, query in lint.queries(board):
        yield from wrong_in(query, exported, f"{name}, `{one['title']}`")
        labels = set().union(*(exported.series.get(selector.name, {})
                               for selector in promql.read(query).selectors))
        for target in one["targets"]:
            if target["expr"] != query:
                continue
            for label in set(re.findall(r"{{(\w+)}}", target["legendFormat"])):
                if label not in labels | {"job", "instance"}:
                    yield f"{name}, `{one['title']}`: a legend names `{label}`"


def rule_findings(exported):
    for one in ALERTS:
        yield from wrong_in(one["expr"], exported, one["name"])
    for records in RECORDS.values():
        for record, expr in records:
            yield from wrong_in(expr, exported, record)


def page_findings(exported):
    """Names in documents, and queries in their code."""
    for page in pages():
        text, where = page.read_text(), page.relative_to(ROOT)
        for name in sorted(set(NAMED.findall(text)) - CRATES):
            if name not in exported.series and not exported.family(name):
                yield f"{where}: nothing exports `{name}`"
        for inline, block in CODE.findall(text):
            code = inline or block
            query = re.search(r"\b(?:amid|todo)_\w+\{([^}]*)\}", code)
            if query and '"' in query[1]:
                yield from wrong_in(query[0], exported, where)
            elif query:
                yield from wrong_labels(query[0], exported, where)


def wrong_labels(short, exported, where):
    """`name{label,label}`, as sentences write it."""
    name, labels = short.rstrip("}").split("{")
    for label in re.findall(r"\w+", labels):
        if label not in exported.series.get(name, {}):
            yield f"{where}: `{name}` has no label `{label}`"


def pages():
    return [*sorted((ROOT / "docs").glob("*.md")), *sorted(RUNBOOKS.glob("*.md")),
            ROOT / "README.md"]


def unmentioned(boards, exported):
    """Families of which no board, rule, runbook or sentence speaks."""
    said = [expr for board in boards.values() for _, expr in lint.queries(board)]
    said += [one["expr"] for one in ALERTS]
    said += [expr for records in RECORDS.values() for _, expr in records]
    # The tables of docs/metrics.md are written from the catalogue: they prove nothing.
    said += [re.sub(r"<!-- begin (\w+) -->.*?<!-- end \1 -->", "", page.read_text(), flags=re.S)
             for page in pages()]
    names = {name for text in said for name in re.findall(r"[a-z_][a-z0-9_]*", text)}
    spoken_of = {exported.family(name) for name in names}
    return sorted(one["name"] for one in exported.families if one["name"] not in spoken_of)


def runbook_findings():
    """Every alert has its runbook with all its parts, and no runbook is left over."""
    names = {one["name"] for one in ALERTS}
    for name in sorted(names):
        page = RUNBOOKS / f"{name}.md"
        text = page.read_text() if page.exists() else ""
        for part in (f"# {name}\n", "## What it means\n", "## What to look at\n",
                     "## What to type\n"):
            if part not in text:
                yield f"runbooks/{name}.md lacks `{part.strip()}`"
    for page in sorted(RUNBOOKS.glob("*.md")):
        if page.stem not in {one["name"] for one in ALERTS}:
            yield f"runbooks/{page.name} is about no alert"


def link_findings(boards):
    names = {one["name"] for one in ALERTS}
    for name, board in boards.items():
        for one in lint.panels(board):
            for link in one.get("links", []):
                alert = link["url"].rsplit("/", 1)[-1].removesuffix(".md")
                if "runbook" in link["title"].lower() and alert not in names:
                    yield f"{name}, `{one['title']}`: there is no runbook {alert}"
