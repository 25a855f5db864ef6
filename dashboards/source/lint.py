"""The rules of Grafana's dashboard-linter under the names that it gives them,
for the panels and variables that these boards have. The linter itself cannot
be built from a module registry. `findings` gives a sentence for each breach;
where ours is stricter, the rule says so."""

import re

from . import promql

NUMBERS = {"stat", "timeseries", "gauge", "table"}
UNITS = {"short", "percent", "percentunit", "s", "ms", "bytes", "decbytes", "Bps", "ops", "reqps",
         "cps", "string", "dateTimeFromNow", "dateTimeAsIso", "currencyUSD", "bool", "bool_yes_no",
         "bool_on_off", "hertz"}
LABELLED = re.compile(r"label_values\((?:(?P<query>.+),\s*)?\w+\)")


def panels(board):
    return [one for one in board["panels"] if one["type"] != "row"]


def queries(board):
    for one in panels(board):
        for target in one.get("targets", []):
            yield one, target["expr"]


def variables(board, kind=None):
    return [one for one in board["templating"]["list"] if kind in (None, one["type"])]


def template_datasource(board):
    found = variables(board, "datasource")
    if len(found) != 1:
        yield "there is not exactly one variable for the data source"
    for one in found:
        if (one["name"], one["label"]) != ("datasource", "Data source"):
            yield f"the data source's variable is `{one['name']}`, labelled `{one['label']}`"


def template(name):
    def rule(board):
        found = [one for one in variables(board) if one["name"] == name]
        if not found:
            yield f"there is no variable `{name}`"
        for one in found:
            wanted = {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}
            for key, value in wanted.items():
                if one.get(key) != value:
                    yield f"`{key}` of the variable `{name}` is {one.get(key)!r}, not {value!r}"
            if one.get("datasource", {}).get("uid") not in ("$datasource", "${datasource}"):
                yield f"the variable `{name}` does not use `$datasource`"
    return rule


def template_label_promql(board):
    for one in variables(board, "query"):
        found = LABELLED.fullmatch(one["query"])
        if not found:
            yield f"the variable `{one['name']}` is no `label_values(…)`"
            continue
        try:
            promql.read(found["query"] or "up")
        except ValueError as error:
            yield f"the variable `{one['name']}`: {error}"


def template_on_time_change_reload(board):
    for one in variables(board, "query"):
        if one.get("refresh") != 2:
            yield f"the variable `{one['name']}` is not read again when the time changes"


def panel_datasource(board):
    for one in panels(board):
        sources = [one.get("datasource")] + [t.get("datasource") for t in one.get("targets", [])]
        if any((source or {}).get("uid") != "$datasource" for source in sources):
            yield f"`{one['title']}` does not use `$datasource`"


def panel_title_description(board):
    for one in panels(board):
        if not one.get("title") or not one.get("description"):
            yield f"a panel lacks a title or a description: `{one.get('title')}`"


def panel_units(board):
    for one in panels(board):
        defaults = one["fieldConfig"]["defaults"]
        if one["type"] in NUMBERS and not defaults.get("mappings") \
                and defaults.get("unit") not in UNITS:
            yield f"`{one['title']}` has no unit that is known: {defaults.get('unit')!r}"


def panel_no_targets(board):
    for one in panels(board):
        if not one.get("targets"):
            yield f"`{one['title']}` asks nothing"


def target_promql(board):
    for one, query in queries(board):
        try:
            if not promql.read(query).selectors:
                yield f"`{one['title']}` reads no series: {query}"
        except ValueError as error:
            yield f"`{one['title']}`: {error}"


def each_selector(board):
    for one, query in queries(board):
        for selector in promql.read(query).selectors:
            yield one, selector


def target_rate_interval(board):
    for one, selector in each_selector(board):
        innermost = selector.functions[-1:] or ("",)
        if selector.range and innermost[0] in ("rate", "irate") \
                and selector.range != "$__rate_interval":
            yield f"`{one['title']}` takes the rate of `{selector.name}` over {selector.range}"
        if selector.range == "$__rate_interval" \
                and innermost[0] not in ("rate", "irate", "increase"):
            yield f"`{one['title']}` uses $__rate_interval outside of a rate"


def target_matcher(name):
    def rule(board):
        for one, selector in each_selector(board):
            if (name, "=~", f"${name}") not in selector.matchers:
                yield f"`{one['title']}`: `{selector.name}` lacks {name}=~\"${name}\""
    return rule


def target_counter_agg(board):
    """Stricter: also where the counter has matchers."""
    for one, selector in each_selector(board):
        innermost = selector.functions[-1:] or ("",)
        if selector.name.endswith("_total") \
                and not (selector.range and innermost[0] in ("rate", "irate", "increase")):
            yield f"`{one['title']}` shows the counter `{selector.name}` itself"


def uneditable(board):
    if board.get("editable") is not False:
        yield "the board can be edited in place"


RULES = {
    "template-datasource-rule": template_datasource,
    "template-job-rule": template("job"),
    "template-instance-rule": template("instance"),
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "target-promql-rule": target_promql,
    "target-rate-interval-rule": target_rate_interval,
    "target-job-rule": target_matcher("job"),
    "target-instance-rule": target_matcher("instance"),
    "target-counter-agg-rule": target_counter_agg,
    "uneditable-dashboard": uneditable,
}


def findings(board):
    """Every breach of every rule, as (rule, sentence)."""
    broken = list(target_promql(board))
    for name, rule in RULES.items():
        if broken and name.startswith("target-") and name != "target-promql-rule":
            continue
        for found in rule(board):
            yield name, found
