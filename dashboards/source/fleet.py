"""Fleet: what runs where, what is rolling, what is held."""

from .grafana import (BAD, CALM, GOOD, GREY, WARN, board, lines, link, row, stat, table, timeline,
                      words)
from .words import APP_PAGE, runbook

YES_NO = words((1, "yes", GOOD), (0, "no", BAD))
AS_DESIRED = words((1, "as desired", GOOD), (0, "rolling or held", CALM))
PHASES = ["steady", "adding", "starting", "baking", "draining", "removing", "giving_up", "held"]
PHASE_COLORS = [GREY, CALM, CALM, WARN, CALM, CALM, BAD, BAD]
# The timeline shows a number for each phase, because it draws numbers.
PHASE_WORDS = words(*[(at, name, color)
                      for at, (name, color) in enumerate(zip(PHASES, PHASE_COLORS))])
PHASE_NUMBER = " or ".join(
    f'(max by (app) (amid_app_info{{%app, phase="{name}"}}) * {at})'
    for at, name in enumerate(PHASES))
ROLLING = 'phase!~"steady|held"'
FAILED = 'outcome=~"failed_.*"'
DECIDED = 'outcome=~"applied|failed_.*"'

COMMITS = {
    "name": "Commits",
    "datasource": {"type": "prometheus", "uid": "$datasource"},
    "enable": True,
    "iconColor": CALM,
    "expr": 'max by (app) (amid_app_committed_timestamp_seconds'
            '{job=~"$job", instance=~"$instance", app=~"$app"}) * 1000',
    "useValueForTime": True,
    "step": "60s",
    "titleFormat": "Commit for {{app}}",
    "textFormat": "A commit asks for a new state of {{app}}",
    "tagKeys": "app",
}


def panels():
    return [
        stat("Apps", "How many apps amid looks after.", "count(amid_app_info{%app})"),
        stat("As desired", "Share of apps whose only release is the one that git asks for.",
             "avg(amid_app_as_desired{%app})", "percentunit", (BAD, (0.9, WARN), (0.999, GOOD)),
             links=[runbook("AmidAppNotAsDesired")]),
        stat("Rolling", "Apps that roll now.",
             f"count(amid_app_info{{%app, {ROLLING}}}) or vector(0)"),
        stat("Held", "Apps about which something waits for a person or for the world.",
             "count(count by (app) (amid_app_held{%app})) or vector(0)", "short",
             (GOOD, (1, BAD)), links=[runbook("AmidAppHeld")]),
        stat("Drifted", "Apps whose groups or instances are not as amid made them.",
             "sum(amid_app_drifted{%app})", "short", (GOOD, (1, WARN)),
             links=[runbook("AmidAppDrifted")]),
        stat("Healthy", "Instances that serve, of those that their groups want.",
             'sum(amid_app_instances{%app, state="healthy"})'
             ' / sum(amid_app_instances{%app, state="desired"})',
             "percentunit", (BAD, (0.9, WARN), (0.999, GOOD))),

        row("Apps"),
        table("Apps", "One row an app. A name leads to the app's page at amid, which shows the "
              "images, the instances and the reason for everything.",
              [('max by (app, phase, instance) (amid_app_info{%app})', ""),
               ('max by (app) (amid_app_as_desired{%app})', ""),
               ('max by (app) (time() - amid_app_phase_start_timestamp_seconds{%app})', ""),
               ('sum by (app) (amid_app_instances{%app, state="healthy"})', ""),
               ('sum by (app) (amid_app_instances{%app, state="desired"})', ""),
               ('max by (app) (time() - amid_app_committed_timestamp_seconds{%app})', ""),
               ('max by (app) (time() - amid_app_image_created_timestamp_seconds{%app})', "")],
              {"app": {"head": "App", "links": [link("The app's page", APP_PAGE)]},
               "phase": "Phase",
               "B": {"head": "As desired", "mappings": YES_NO},
               "C": {"head": "In this phase for", "unit": "s"},
               "D": {"head": "Healthy"}, "E": {"head": "Wanted"},
               "F": {"head": "Asked for", "unit": "s"},
               "G": {"head": "Age of the image", "unit": "s"},
               "instance": {"head": "amid"}},
              links=[runbook("AmidAppNotAsDesired")]),
        table("Held", "What stands still, and why. The app's page names the command that frees it.",
              [('max by (app, reason, instance) (amid_app_held{%app})', "")],
              {"app": {"head": "App", "links": [link("The app's page", APP_PAGE)]},
               "reason": "Reason", "instance": "amid"},
              links=[runbook("AmidAppHeld")], width=12, height=8),
        table("Waiting", "What is waited for now, in rolls and before them.",
              [('max by (app, reason, instance) (amid_app_waiting{%app})', "")],
              {"app": {"head": "App", "links": [link("The app's page", APP_PAGE)]},
               "reason": "Reason", "instance": "amid"},
              links=[runbook("AmidSlowDrain")], width=12, height=8),
        lines("Instances", "Instances by release: while an app rolls, one colour replaces another.",
              [('sum by (release) (amid_app_instances{%app, state="healthy"})',
                "{{release}}, healthy"),
               ('sum(amid_app_instances{%app, state="desired"})', "wanted")], width=24),

        row("Rolls"),
        timeline("Phases", "The phase of each app over time. Marks are commits.", PHASE_NUMBER,
                 "{{app}}", PHASE_WORDS, links=[runbook("AmidRollStuck")]),
        lines("Commits that came to their end", "By how they ended, per hour.",
              [("sum by (outcome) (rate(amid_rolls_total{%app}[$__rate_interval])) * 3600",
                "{{outcome}}")], stack=True),
        lines("Releases that were given up", "By reason, per hour. Capacity, quota, throttling and "
              "permissions are not the image's fault and cause no revert.",
              [("sum by (reason) (rate(amid_rolls_failed_total{%}[$__rate_interval])) * 3600",
                "{{reason}}")], stack=True, links=[runbook("AmidRollFailing")]),
        lines("From commit to done", "Medians of the parts of the way: seen by amid, group made, "
              "healthy, the one before it gone.",
              [(f"histogram_quantile(0.5, sum by (le) (rate(amid_commit_to_{part}_seconds_bucket"
                "{%}[$__rate_interval])))", part)
               for part in ("detected", "group", "healthy", "done")], "s"),
        lines("Time in a phase", "Median of the time that rolls spend in each phase.",
              [("histogram_quantile(0.5, sum by (le, phase) "
                "(rate(amid_roll_phase_seconds_bucket{%}[$__rate_interval])))", "{{phase}}")], "s",
              links=[runbook("AmidRollStuck")]),
        lines("Duration of rolls", "Ninety of a hundred rolls take at most this, by how they ended.",
              [("histogram_quantile(0.9, sum by (le, outcome) "
                "(rate(amid_roll_duration_seconds_bucket{%}[$__rate_interval])))", "{{outcome}}")],
              "s"),
        lines("Revert commits", "Written by amid, per hour. One that is refused waits for a person.",
              [("sum by (result) (rate(amid_reverts_total{%}[$__rate_interval])) * 3600",
                "{{result}}")], stack=True, links=[runbook("AmidRevertRefused")]),

        row("DORA, over the chosen time"),
        table("The four figures", "Deployments: commits that went live. Lead time: from the commit "
              "until its release was live. Change failure rate: given up, of all that were tried. "
              "Time to restore: from giving up until the app was as git asks again.",
              # `increase` guesses what lies beyond the first and last sample: a count stays one.
              [(f'round(sum by (app) (increase(amid_rolls_total{{%app, outcome="applied"}}[$__range])))',
                ""),
               ("sum by (app) (increase(amid_app_lead_time_seconds_sum{%app}[$__range]))"
                " / sum by (app) (increase(amid_app_lead_time_seconds_count{%app}[$__range]))", ""),
               (f"sum by (app) (increase(amid_rolls_total{{%app, {FAILED}}}[$__range]))"
                f" / (sum by (app) (increase(amid_rolls_total{{%app, {DECIDED}}}[$__range])) > 0)",
                ""),
               ("sum by (app) (increase(amid_app_restore_time_seconds_sum{%app}[$__range]))"
                " / sum by (app) (increase(amid_app_restore_time_seconds_count{%app}[$__range]))",
                "")],
              {"app": {"head": "App", "links": [link("The app's page", APP_PAGE_OF_APP)]},
               "A": {"head": "Deployments"}, "B": {"head": "Lead time", "unit": "s"},
               "C": {"head": "Change failure rate", "unit": "percentunit"},
               "D": {"head": "Time to restore", "unit": "s"}}),
    ]


# The four figures are sums over all controllers; the app's page is at the chosen one.
APP_PAGE_OF_APP = "http://${instance}/#app=${__data.fields.app}"


def fleet():
    return board("amid-fleet", "amid / Fleet",
                 "What runs where, what is rolling and what is held.",
                 "amid_build_info", panels(), app="amid_app_info", annotations=[COMMITS])
