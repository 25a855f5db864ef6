"""What is designed but not exported yet. Boards and alerts leave out what needs
it, so that nothing asks for a series that cannot be there; `generate.py` fails
as soon as one of these names is exported, so that nobody forgets to take it
off this list."""

import re

from .alerts import ALERTS

NAMES = set()


def awaits(query):
    return bool(NAMES & set(re.findall(r"\w+", query)))


def alerts():
    """The alerts that can fire."""
    return [one for one in ALERTS if not awaits(one["expr"])]


def available(panels):
    """The panels with what can be answered; no row without panels."""
    kept = []
    for panel in panels:
        if panel["type"] == "row":
            if kept and kept[-1]["type"] == "row":
                kept.pop()
        else:
            panel["targets"] = [one for one in panel["targets"] if not awaits(one["expr"])]
            if not panel["targets"]:
                continue
        kept.append(panel)
    while kept and kept[-1]["type"] == "row":
        kept.pop()
    return kept
