"""Draws a board's data as one page of HTML and SVG, for documents and for a
look where no Grafana is. It draws what Grafana would be told to draw: panels at
their places, their units, thresholds, mappings and legends. No script, no
network."""

import html
import math
import re
import time

COLORS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#96d98d",
          "#ffb357", "#ca95e5", "#6ed0e0", "#e0b400"]
NAMED = {"green": "#73bf69", "red": "#f2495c", "orange": "#ff9830", "blue": "#5794f2"}
COLUMN, LINE, GAP = 62, 34, 8
STYLE = """
body { margin: 0; background: #111217; color: #ccccdc; font: 13px sans-serif; }
h1 { font-size: 18px; font-weight: 500; margin: 14px 16px 4px; }
main { position: relative; margin: 8px; }
section { position: absolute; box-sizing: border-box; background: #181b1f; overflow: hidden;
  border: 1px solid #2a2d33; border-radius: 3px; padding: 6px 10px; }
h2 { font-size: 13px; font-weight: 500; margin: 0 0 4px; }
h3 { position: absolute; font-size: 14px; font-weight: 500; margin: 6px 4px; }
.big { font-size: 32px; text-align: center; margin-top: 14px; white-space: nowrap; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; padding: 4px 6px; border-bottom: 1px solid #2a2d33; }
th { color: #6e9fff; font-weight: 500; }
.legend { font-size: 11px; line-height: 15px; }
.legend b { display: inline-block; width: 10px; height: 4px; margin: 0 4px 2px 10px; }
text { fill: #9a9aaa; font: 10px sans-serif; }
"""


def draw(board, data, began, ended):
    parts, bottom = [], 0
    for panel in board["panels"]:
        grid = panel["gridPos"]
        x, y = grid["x"] * COLUMN, grid["y"] * LINE
        width, height = grid["w"] * COLUMN - GAP, grid["h"] * LINE - GAP
        bottom = max(bottom, y + height)
        if panel["type"] == "row":
            parts.append(f'<h3 style="left:{x}px;top:{y}px">{html.escape(panel["title"])}</h3>')
            continue
        inner = PANELS[panel["type"]](panel, data[panel["id"]], width - 22, height - 34,
                                      (began, ended))
        parts.append(f'<section style="left:{x}px;top:{y}px;width:{width}px;height:{height}px">'
                     f'<h2>{html.escape(panel["title"])}</h2>{inner}</section>')
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{board["title"]}</title>'
            f"<style>{STYLE}</style><h1>{html.escape(board['title'])}</h1>"
            f'<main style="width:{24 * COLUMN}px;height:{bottom + GAP}px">'
            f'{"".join(parts)}</main></html>')


def size(board):
    """Width and height of the page that `draw` makes."""
    bottom = max((one["gridPos"]["y"] + one["gridPos"]["h"]) * LINE for one in board["panels"])
    return 24 * COLUMN + 16, bottom + 62


def said(value, unit):
    """A figure in its unit, in few characters."""
    if not math.isfinite(value):
        return "–"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit in ("s", "dateTimeFromNow"):
        if unit == "dateTimeFromNow":
            value = time.time() - value / 1000
        for step, name in ((86400, "d"), (3600, "h"), (60, "min")):
            if abs(value) >= 2 * step:
                return f"{value / step:.3g} {name}"
        return f"{value:.3g} s" if abs(value) >= 1 or value == 0 else f"{value * 1000:.3g} ms"
    if unit == "bytes":
        for step, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
            if value >= 2 ** step:
                return f"{value / 2 ** step:.3g} {name}"
        return f"{value:.3g} B"
    if unit == "bool_yes_no":
        return "yes" if value else "no"
    words = {"reqps": " req/s", "ops": " ops/s", "currencyUSD": " $"}.get(unit, "")
    for step, name in ((10 ** 6, "Mil"), (10 ** 3, "K")):
        if abs(value) >= step:
            return f"{value / step:.3g} {name}{words}"
    return (f"{value:.0f}" if value == int(value) else f"{value:.3g}") + words


def name_of(series, legend):
    metric = series["metric"]
    if legend == "__auto":
        return ", ".join(f"{key}: {value}" for key, value in metric.items()) or "value"
    return re.sub(r"{{(\w+)}}", lambda found: metric.get(found[1], ""), legend).strip()


def latest(series):
    values = series.get("values") or [series["value"]]
    return float(values[-1][1])


def all_series(panel, answers):
    for target, answer in zip(panel["targets"], answers):
        for series in answer:
            yield name_of(series, target["legendFormat"]), series


def draw_stat(panel, answers, _width, _height, _span):
    found = [series for _, series in all_series(panel, answers)]
    if not found:
        return '<div class="big">no data</div>'
    defaults = panel["fieldConfig"]["defaults"]
    value, color = latest(found[0]), "#ccccdc"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            color = NAMED.get(step["color"], step["color"])
    text = said(value, defaults["unit"])
    label = re.search(r"labels\.(\w+)", defaults.get("displayName", ""))
    if label:
        text = found[0]["metric"].get(label[1], text)
    return f'<div class="big" style="color:{color}">{html.escape(text)}</div>'


def draw_lines(panel, answers, width, height, span):
    defaults = panel["fieldConfig"]["defaults"]
    stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    chart, left = height - 34, 52
    curves, base = [], {}
    for number, (name, series) in enumerate(all_series(panel, answers)):
        points = [(float(at), float(value)) for at, value in series["values"]]
        points = [(at, value) for at, value in points if math.isfinite(value)]
        if stacked:
            points = [(at, value + base.get(at, 0.0)) for at, value in points]
            base.update(points)
        curves.append((name, COLORS[number % len(COLORS)], points))
    top = max((value for _, _, points in curves for _, value in points), default=0) or 1
    began, ended = span

    def place(at, value):
        return (left + (at - began) / (ended - began) * (width - left),
                chart - value / top * (chart - 12))

    parts = []
    for share in (0, 0.5, 1):
        _, y = place(began, top * share)
        parts.append(f'<line x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#2a2d33"/>'
                     f'<text x="0" y="{y + 3:.1f}">{said(top * share, defaults["unit"])}</text>')
    # The lowest of a stack is drawn last, so that each shows its own part.
    for _, color, points in reversed(curves) if stacked else curves:
        if not points:
            continue
        line = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points)
        if stacked:
            first, last = place(points[0][0], 0), place(points[-1][0], 0)
            area = f"{first[0]:.1f},{first[1]:.1f} {line} {last[0]:.1f},{last[1]:.1f}"
            parts.append(f'<polygon points="{area}" fill="#181b1f"/>'
                         f'<polygon points="{area}" fill="{color}" fill-opacity="0.4"/>')
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}"/>')
    return svg(parts, width, chart + 2) + legend((name, color) for name, color, _ in curves)


def draw_timeline(panel, answers, width, height, span):
    options = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    rows, parts, left = list(all_series(panel, answers)), [], 110
    began, ended = span
    high = min(40, (height - 24) / max(1, len(rows)))
    second = (width - left) / (ended - began)
    for number, (name, series) in enumerate(rows):
        y = number * high
        parts.append(f'<text x="0" y="{y + high / 2 + 3:.1f}">{html.escape(name)}</text>')
        for at, value in series["values"]:
            known = options.get(f"{float(value):.0f}", {"color": "#808080"})
            x = left + (float(at) - began) * second
            parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{second + 0.5:.1f}" '
                         f'height="{high - 4:.1f}" '
                         f'fill="{NAMED.get(known["color"], known["color"])}"/>')
    words = ((one["text"], NAMED.get(one["color"], one["color"])) for one in options.values())
    return svg(parts, width, high * len(rows) + 4) + legend(words)


def draw_table(panel, answers, _width, _height, _span):
    organize = panel["transformations"][-1]["options"]
    heads = organize["renameByName"]
    overrides = {one["matcher"]["options"]: {prop["id"]: prop["value"]
                                             for prop in one["properties"]}
                 for one in panel["fieldConfig"]["overrides"]}
    hidden = organize["excludeByName"]
    labels = [name for name in heads if not name.startswith("Value #")]
    rows = {}
    for target, answer in zip(panel["targets"], answers):
        for series in answer:
            metric = {key: value for key, value in series["metric"].items() if key not in hidden}
            # Grafana merges rows that agree in the labels that both have.
            row = next((row for row in rows.values()
                        if all(row.get(key, value) == value for key, value in metric.items())),
                       None)
            row = rows.setdefault(len(rows), {}) if row is None else row
            row.update(metric)
            row[f"Value #{target['refId']}"] = latest(series)
    parts = "".join(f"<th>{html.escape(head)}</th>" for head in heads.values())
    for row in list(rows.values())[:12]:
        cells = ""
        for name, head in heads.items():
            value, style = row.get(name, ""), overrides.get(head, {})
            color = "inherit"
            if name not in labels and value != "":
                mapped = (style.get("mappings") or [{"options": {}}])[0]["options"]
                known = mapped.get(f"{value:.0f}") if math.isfinite(value) else None
                color = NAMED.get(known["color"], known["color"]) if known else color
                value = known["text"] if known else said(value, style.get("unit", "short"))
            cells += f'<td style="color:{color}">{html.escape(str(value))}</td>'
        parts += f"<tr>{cells}</tr>"
    return f"<table>{parts}</table>"


def svg(parts, width, height):
    return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg>'


def legend(names):
    rows = "".join(f'<b style="background:{color}"></b>{html.escape(name)}'
                   for name, color in list(names)[:10])
    return f'<div class="legend">{rows}</div>'


PANELS = {"stat": draw_stat, "timeseries": draw_lines, "state-timeline": draw_timeline,
          "table": draw_table}
