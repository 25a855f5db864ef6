"""Grafana's JSON in the words that the boards need: boards, rows, panels.

A panel is written with its question as title, an answer in words as
description, a unit and its queries. Everything that every panel has in common
(data source, links, ids, places on the grid) is filled in here. In queries,
`%` stands for the selectors that every query carries; `%app` also for the
chosen apps.
"""

DATASOURCE = {"type": "prometheus", "uid": "$datasource"}
SELECTOR = 'job=~"$job", instance=~"$instance"'
WIDTH = 24

GOOD, BAD, WARN, CALM, GREY = "green", "red", "orange", "blue", "#808080"


def fill(query):
    """Puts the common selectors in the place of `%` and `%app`."""
    query = query.replace("%app", SELECTOR + ', app=~"$app"')
    return " ".join(query.replace("%", SELECTOR).split())


def target(query, legend="", table=False):
    made = {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": fill(query),
        "legendFormat": legend or "__auto",
        "range": not table,
        "instant": table,
        "refId": "",
    }
    if table:
        made["format"] = "table"
    return made


def link(title, url):
    return {"title": title, "url": url, "targetBlank": True}


def panel(kind, title, description, queries, unit="short", width=6, height=7, **more):
    """A panel of any kind. `queries` is one query or a list of (query, legend)."""
    table = kind == "table"
    if isinstance(queries, str):
        queries = [(queries, "")]
    targets = [target(query, legend, table) for query, legend in queries]
    for number, one in enumerate(targets):
        one["refId"] = chr(ord("A") + number)
    defaults = {"unit": unit, "color": {"mode": "palette-classic"}, **more.pop("defaults", {})}
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        "options": more.pop("options", {}),
        "links": more.pop("links", []),
        "gridPos": {"w": width, "h": height},
        **more,
    }


def thresholds(*steps):
    """`thresholds("green", (1, "red"))`: green, and red from 1 on."""
    first, *others = steps
    rows = [{"color": first, "value": None}]
    rows += [{"color": color, "value": value} for value, color in others]
    return {"mode": "absolute", "steps": rows}


def stat(title, description, query, unit="short", steps=(CALM,), width=4, height=4, **more):
    """One number."""
    defaults = {"color": {"mode": "thresholds"}, "thresholds": thresholds(*steps)}
    defaults.update(more.pop("defaults", {}))
    options = {
        "colorMode": "value",
        "graphMode": "area",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel("stat", title, description, query, unit, width, height,
                 defaults=defaults, options=options, **more)


def lines(title, description, queries, unit="short", stack=False, width=12, height=8, **more):
    """A curve over time."""
    custom = {"lineWidth": 1, "fillOpacity": 40 if stack else 8, "showPoints": "never",
              "stacking": {"mode": "normal" if stack else "none"}}
    defaults = {"custom": custom, "min": 0, **more.pop("defaults", {})}
    options = {"legend": {"displayMode": "list", "placement": "bottom"},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, description, queries, unit, width, height,
                 defaults=defaults, options=options, **more)


def timeline(title, description, query, legend, mappings, width=24, height=8, **more):
    """States over time, one row each."""
    options = {"mergeValues": True, "showValue": "auto", "rowHeight": 0.85,
               "legend": {"displayMode": "list", "placement": "bottom"}}
    custom = {"fillOpacity": 80, "lineWidth": 0}
    return panel("state-timeline", title, description, [(query, legend)], "short", width, height,
                 options=options, defaults={"custom": custom, "mappings": mappings}, **more)


def table(title, description, queries, columns, unit="short", width=24, height=9, links=()):
    """One row per label set. `columns` maps each query's refId or a label to
    its head, and maybe a unit, value mappings and a link."""
    overrides, names = [], {}
    for name, column in columns.items():
        head = column if isinstance(column, str) else column["head"]
        names["Value #" + name if len(name) == 1 else name] = head
        properties = []
        if not isinstance(column, str):
            for key, prop in (("unit", "unit"), ("mappings", "mappings"), ("links", "links"),
                              ("width", "custom.width")):
                if key in column:
                    properties.append({"id": prop, "value": column[key]})
            if "mappings" in column:
                cell = {"type": "color-text"}
                properties.append({"id": "custom.cellOptions", "value": cell})
        if properties:
            overrides.append({"matcher": {"id": "byName", "options": head},
                              "properties": properties})
    hidden = {"Time": True, "__name__": True, "job": True, "instance": True}
    hidden = {name: True for name in hidden if name not in columns}
    organize = {"excludeByName": hidden, "renameByName": names,
                "indexByName": {name: at for at, name in enumerate(names)}}
    made = panel("table", title, description, queries, unit, width, height,
                 overrides=overrides, links=list(links),
                 options={"showHeader": True, "cellHeight": "sm"})
    made["transformations"] = [{"id": "merge", "options": {}},
                               {"id": "organize", "options": organize}]
    return made


def words(*pairs):
    """Value mappings: `words((1, "yes", GOOD), …)`."""
    options = {str(value): {"text": text, "color": color, "index": at}
               for at, (value, text, color) in enumerate(pairs)}
    return [{"type": "value", "options": options}]


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": []}


def variable(name, label, query):
    return {
        "name": name, "label": label, "type": "query", "datasource": DATASOURCE,
        "query": query, "definition": query, "refresh": 2, "sort": 1, "multi": True,
        "includeAll": True, "allValue": ".+", "current": {"text": "All", "value": "$__all"},
        "hide": 0, "options": [], "regex": "", "skipUrlSync": False,
    }


def board(uid, title, description, info, panels, app=None, annotations=(), links=()):
    """A whole board. `info` is the series whose jobs and instances are offered,
    `app` the one whose apps are."""
    variables = [
        {"name": "datasource", "label": "Data source", "type": "datasource",
         "query": "prometheus", "current": {}, "hide": 0, "options": [], "refresh": 1,
         "regex": "", "skipUrlSync": False},
        variable("job", "Job", f"label_values({info}, job)"),
        variable("instance", "Instance", f'label_values({info}{{job=~"$job"}}, instance)'),
    ]
    if app:
        variables.append(variable("app", "App", f"label_values({app}{{{SELECTOR}}}, app)"))
    place(panels)
    builtin = {"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"},
               "enable": True, "hide": True, "iconColor": "rgba(0, 211, 255, 1)",
               "name": "Annotations & Alerts", "type": "dashboard"}
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["amid"],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "annotations": {"list": [builtin, *annotations]},
        "links": [{"type": "dashboards", "title": "amid", "tags": ["amid"], "asDropdown": False,
                   "includeVars": True, "keepTime": True, "icon": "external link",
                   "targetBlank": False, "tooltip": "", "url": ""}, *links],
        "templating": {"list": variables},
        "panels": panels,
    }


def place(panels):
    """Fills each line from the left; a row begins a new one."""
    x = y = high = 0
    for number, one in enumerate(panels, start=1):
        one["id"] = number
        if one["type"] == "row":
            x, y, high = 0, y + high, 0
            one["gridPos"] = {"x": 0, "y": y, "w": WIDTH, "h": 1}
            y += 1
            continue
        grid = one["gridPos"]
        if x + grid["w"] > WIDTH:
            x, y, high = 0, y + high, 0
        grid.update(x=x, y=y)
        x, high = x + grid["w"], max(high, grid["h"])
