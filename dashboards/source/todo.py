"""Todo: the sample app, so that a roll shows as one colour replacing another."""

from .grafana import BAD, GOOD, WARN, board, lines, row, stat
from .words import runbook

REQUESTS = "todo_http_requests_total"
SECONDS = "todo_http_request_duration_seconds"


def panels():
    return [
        stat("Instances", "Servers that are scraped.", "count(todo_build_info{%})"),
        stat("Requests", "Requests a second.",
             f"sum(rate({REQUESTS}{{%}}[$__rate_interval]))", "reqps"),
        stat("Errors", "Share of requests that were answered with 5xx.",
             f'(sum(rate({REQUESTS}{{%, status=~"5.."}}[$__rate_interval])) or vector(0))'
             f" / sum(rate({REQUESTS}{{%}}[$__rate_interval]))",
             "percentunit", (GOOD, (0.001, WARN), (0.01, BAD)), links=[runbook("TodoErrorRate")]),
        stat("Latency", "Ninety-nine of a hundred requests take at most this.",
             f"histogram_quantile(0.99, sum by (le) (rate({SECONDS}_bucket{{%}}"
             "[$__rate_interval])))", "s", (GOOD, (0.1, WARN), (0.5, BAD)),
             links=[runbook("TodoLatency")]),
        stat("Database", "Whether every server reaches its database.",
             "min(todo_database_up{%})", "bool_yes_no", (BAD, (1, GOOD))),
        stat("Draining", "Servers that are about to stop.", "sum(todo_draining{%})"),

        row("Releases"),
        lines("Instances by release", "While amid rolls, one colour replaces another.",
              [("count by (ami, version) (todo_build_info{%})", "{{version}} {{ami}}")],
              stack=True),
        lines("Requests by release", "Who answers.",
              [(f"sum by (ami, version) (rate({REQUESTS}{{%}}[$__rate_interval])"
                " * on (instance) group_left (ami, version) todo_build_info{%})",
                "{{version}} {{ami}}")], "reqps", stack=True),

        row("Requests"),
        lines("Rate", "By route and method.",
              [(f"sum by (method, route) (rate({REQUESTS}{{%}}[$__rate_interval]))",
                "{{method}} {{route}}")], "reqps", stack=True),
        lines("Errors", "Answers with 4xx and 5xx.",
              [(f'sum by (status, route) (rate({REQUESTS}{{%, status=~"[45].."}}'
                "[$__rate_interval]))", "{{status}} {{route}}")], "reqps",
              links=[runbook("TodoErrorRate")]),
        lines("Latency", "By share of the requests.",
              [(f"histogram_quantile({share}, sum by (le) (rate({SECONDS}_bucket{{%}}"
                "[$__rate_interval])))", words)
               for share, words in ((0.5, "median"), (0.9, "90 of 100"), (0.99, "99 of 100"))],
              "s", links=[runbook("TodoLatency")]),
        lines("In flight", "Requests that are being answered, and those that were refused.",
              [("sum(todo_http_requests_in_flight{%})", "in flight"),
               ("sum(rate(todo_http_requests_refused_total{%}[$__rate_interval]))",
                "refused a second")]),

        row("Database"),
        lines("Operations", "Ninety-nine of a hundred take at most this.",
              [("histogram_quantile(0.99, sum by (le, operation) "
                "(rate(todo_database_operation_duration_seconds_bucket{%}"
                "[$__rate_interval])))", "{{operation}}")], "s"),
        lines("Failures", "Operations that failed, by kind.",
              [("sum by (operation, kind) (rate(todo_database_failures_total{%}"
                "[$__rate_interval]))", "{{operation}} {{kind}}")], "ops"),
        lines("Connections", "Of all servers together; cleared: given up after an error.",
              [("sum(todo_database_pool_connections{%})", "open"),
               ("sum(todo_database_pool_connections_in_use{%})", "in use"),
               ("sum(increase(todo_database_pool_cleared_total{%}[$__rate_interval]))",
                "cleared")]),
        lines("Wait for a connection", "Ninety-nine of a hundred operations wait at most this.",
              [("histogram_quantile(0.99, sum by (le) "
                "(rate(todo_database_pool_wait_seconds_bucket{%}[$__rate_interval])))",
                "wait")], "s"),
    ]


def todo():
    return board("amid-todo", "amid / Todo",
                 "The sample app: rate, errors, latency, and its instances by release.",
                 "todo_build_info", panels())
