"""As much of PromQL as the checks need: which series a query reads, with which
matchers, in which range and function, and which labels it groups by. Whether a
query is PromQL at all is promtool's to say."""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(r"""
    (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<name>[a-zA-Z_:][\w:]*)
  | (?P<variable>\$\{?\w+\}?)
  | (?P<number>\d[\w.]*)
  | (?P<sign>=~|!~|!=|==|>=|<=|[{}()\[\],=<>+*/%^:@-])
  | (?P<space>\s+)
  | (?P<other>.)
""", re.VERBOSE)
LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
WORDS = LISTS | {"and", "or", "unless", "offset", "bool", "inf", "nan"}


@dataclass
class Selector:
    """One set of series that a query reads."""

    name: str
    matchers: list = field(default_factory=list)
    range: str = ""
    # The functions around it, the innermost last.
    functions: tuple = ()


@dataclass
class Query:
    selectors: list
    grouped_by: set


def read(text):
    """Reads a query. Raises ValueError where it makes no sense."""
    try:
        return read_tokens(text)
    except (IndexError, StopIteration) as error:
        raise ValueError(f"a bracket is open at the end of `{text}`") from error


def read_tokens(text):
    tokens = [(found.lastgroup, found[0]) for found in TOKEN.finditer(text)
              if found.lastgroup != "space"]
    query, functions, at = Query([], set()), [], 0
    while at < len(tokens):
        kind, word = tokens[at]
        after = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if kind == "other":
            raise ValueError(f"`{word}` in `{text}`")
        if kind == "name" and word in LISTS:
            labels, at = read_list(tokens, at + 1)
            query.grouped_by |= labels
            continue
        if kind == "name" and word not in WORDS:
            if after == "(" or (after in LISTS and word not in WORDS):
                functions.append(word)
                at += 1
                if after in LISTS:
                    labels, at = read_list(tokens, at + 1)
                    query.grouped_by |= labels
                if at >= len(tokens) or tokens[at][1] != "(":
                    raise ValueError(f"`{word}` has no arguments in `{text}`")
                at += 1
                continue
            at, selector = read_selector(tokens, at)
            selector.functions = tuple(name for name in functions if name)
            query.selectors.append(selector)
            continue
        if word == "(":
            functions.append("")
        elif word == ")":
            if not functions:
                raise ValueError(f"one `)` too many in `{text}`")
            functions.pop()
        at += 1
    if functions:
        raise ValueError(f"a `)` is missing in `{text}`")
    return query


def read_list(tokens, at):
    """`(a, b)` after `by` and its like; nothing, where there is none."""
    labels = set()
    if at >= len(tokens) or tokens[at][1] != "(":
        return labels, at
    at += 1
    while at < len(tokens) and tokens[at][1] != ")":
        if tokens[at][0] == "name":
            labels.add(tokens[at][1])
        at += 1
    return labels, at + 1


def read_selector(tokens, at):
    selector = Selector(tokens[at][1])
    at += 1
    if at < len(tokens) and tokens[at][1] == "{":
        at += 1
        while tokens[at][1] != "}":
            if tokens[at][1] == ",":
                at += 1
                continue
            label, sign, value = (tokens[at + n][1] for n in range(3))
            selector.matchers.append((label, sign, value[1:-1]))
            at += 3
        at += 1
    if at < len(tokens) and tokens[at][1] == "[":
        end = next(n for n in range(at, len(tokens)) if tokens[n][1] == "]")
        selector.range = "".join(word for _, word in tokens[at + 1:end])
        at = end + 1
    return at, selector
