"""AMIs: how old the running ones are, which are kept and why, what leaves."""

from .grafana import BAD, CALM, GOOD, WARN, board, lines, row, stat, table
from .words import runbook


def panels():
    return [
        stat("Oldest running image", "Age of the oldest image that an app's current release runs.",
             "max(time() - amid_app_image_created_timestamp_seconds{%app})", "s",
             (GOOD, (30 * 86400, WARN), (90 * 86400, BAD)), links=[runbook("AmidImageTooOld")]),
        stat("Images", "Images that clean-up knows.", "sum(amid_images{%app})"),
        stat("Kept", "Images that are not on their way out.",
             'sum(amid_images{%app, stage="kept"})', "short", (GOOD,)),
        stat("Bytes that wait", "Size of the snapshots of images that are on their way out.",
             "sum(amid_cleanup_waiting_bytes{%})", "bytes", (CALM,)),
        stat("Cost that waits, at most", "What those snapshots cost a month at most. Snapshots "
             "share blocks, so that less is saved.",
             "sum(amid_cleanup_waiting_cost_upper_bound_dollars{%})", "currencyUSD", (CALM,)),
        stat("Last complete look", "How long ago clean-up could read everything.",
             "max(time() - (amid_cleanup_last_complete_timestamp_seconds{%} > 0))", "s",
             (GOOD, (2 * 86400, WARN), (7 * 86400, BAD)), links=[runbook("AmidCleanupBlind")]),

        row("Age"),
        table("Apps", "Age of the image that runs, and of the newest one that is known.",
              [("max by (app) (time() - amid_app_image_created_timestamp_seconds{%app})", ""),
               ("max by (app) (time() - amid_images_newest_timestamp_seconds{%app})", "")],
              {"app": "App", "A": {"head": "Runs", "unit": "s"},
               "B": {"head": "Newest", "unit": "s"}},
              width=12, links=[runbook("AmidImageTooOld")]),
        lines("Age of running images", "The oldest ones.",
              [("topk(10, max by (app) (time() - amid_app_image_created_timestamp_seconds"
                "{%app}))", "{{app}}")], "s", height=9),

        row("Clean-up"),
        lines("Stages", "Images by stage: kept, stale, deprecated, disabled.",
              [("sum by (stage) (amid_images{%app})", "{{stage}}")], stack=True),
        lines("Protected", "Why images are kept. An image can have several reasons.",
              [("sum by (reason) (amid_images_protected{%})", "{{reason}}")], stack=True),
        lines("Deregistered", "Images that went, and their snapshots, per day.",
              [("sum(rate(amid_images_deregistered_total{%}[$__rate_interval])) * 86400",
                "images"),
               ("sum by (result) (rate(amid_image_snapshots_deleted_total{%}"
                "[$__rate_interval])) * 86400", "snapshots {{result}}")]),
        lines("Freed", "Bytes of snapshots that were deleted, per day.",
              [("sum(rate(amid_cleanup_freed_bytes_total{%}[$__rate_interval])) * 86400",
                "freed")], "bytes"),
        lines("Runs", "Runs of clean-up by what came of them, per day.",
              [("sum by (result) (rate(amid_cleanup_runs_total{%}[$__rate_interval])) * 86400",
                "{{result}}")], stack=True, links=[runbook("AmidCleanupAborted")]),
        lines("Aborted", "Why runs of clean-up were aborted, and second opinions that disagreed, "
              "per day.",
              [("sum by (reason) (rate(amid_cleanup_aborted_total{%}[$__rate_interval]))"
                " * 86400", "{{reason}}"),
               ("sum(rate(amid_cleanup_disagreements_total{%}[$__rate_interval])) * 86400",
                "disagreements")], links=[runbook("AmidCleanupAborted")]),
    ]


def amis():
    return board("amid-amis", "amid / AMIs",
                 "How old the running images are, which are kept and why, and what leaves.",
                 "amid_build_info", panels(), app="amid_app_info")
