"""Controller: is amid itself well?"""

from .grafana import BAD, CALM, GOOD, WARN, board, lines, row, stat
from .words import runbook


def quantile(share, name, by=""):
    labels = f"le, {by}" if by else "le"
    return (f"histogram_quantile({share}, sum by ({labels}) "
            f"(rate({name}_bucket{{%}}[$__rate_interval])))")


def rate(name, by, more=""):
    return f"sum by ({by}) (rate({name}{{%{more}}}[$__rate_interval]))"


def panels():
    return [
        stat("Version", "Which amid runs.", "max by (version) (amid_build_info{%})", "string",
             (CALM,), width=3, defaults={"displayName": "${__field.labels.version}"}),
        stat("Config", "Which `amid.json` it read at its start: the first digits of what "
             "`sha256sum` prints of the file.", "max by (hash) (amid_config_info{%})", "string",
             (CALM,), defaults={"displayName": "${__field.labels.hash}"}),
        stat("Running since", "When the process was started.",
             "min(process_start_time_seconds{%}) * 1000", "dateTimeFromNow", (CALM,), width=3,
             links=[runbook("AmidRestarting")]),
        stat("Loop moved", "How long ago the loop moved last. It ticks every second.",
             "max(time() - amid_loop_last_moved_timestamp_seconds{%})", "s",
             (GOOD, (10, WARN), (30, BAD)), width=3, links=[runbook("AmidLoopStuck")]),
        stat("Last sweep", "How long ago the last look at every app ended.",
             "max(time() - amid_swept_timestamp_seconds{%})", "s", (GOOD, (180, WARN), (600, BAD)),
             width=3, links=[runbook("AmidLoopStuck")]),
        stat("Repository read", "How long ago the repository was read without an error.",
             "max(time() - amid_repository_fetched_timestamp_seconds{%})", "s",
             (GOOD, (300, WARN), (900, BAD)), links=[runbook("AmidRepositoryUnreadable")]),
        stat("Commit accepted", "How long ago a new commit was accepted last.",
             "min(time() - amid_repository_accepted_timestamp_seconds{%})", "s", (CALM,)),

        row("Loop"),
        lines("Passes", "Looks at one app, by what came of them.",
              [(rate("amid_passes_total", "result"), "{{result}}")], "ops", stack=True),
        lines("Duration of passes and sweeps", "Ninety-nine of a hundred take at most this.",
              [(quantile(0.99, "amid_pass_duration_seconds"), "pass"),
               (quantile(0.99, "amid_sweep_duration_seconds"), "sweep of all apps")], "s"),
        lines("Loop lag", "How late the loop comes to its tick.",
              [(quantile(0.99, "amid_loop_lag_seconds"), "99 of 100"),
               (quantile(0.5, "amid_loop_lag_seconds"), "median")], "s",
              links=[runbook("AmidLoopStuck")]),
        lines("Queue", "Passes and children under way, and children that wait for memory.",
              [("sum(amid_passes_running{%})", "passes"),
               ("sum(amid_terragrunt_running{%})", "terragrunt runs"),
               ("sum(amid_terragrunt_waiting{%})", "terragrunt runs that wait")]),
        stat("Repository", "Whether the branch can be read, was rewritten, or holds files that are "
             "no app's.", "min(amid_repository_readable{%})", "bool_yes_no", (BAD, (1, GOOD)),
             width=6, links=[runbook("AmidRepositoryUnreadable")]),
        stat("Rewritten branch", "1 while a rewritten branch waits for a person.",
             "max(amid_repository_held{%})", "bool_yes_no", (GOOD, (1, BAD)), width=6,
             links=[runbook("AmidRepositoryRewritten")]),
        stat("Mistakes outside of manifests", "Files below `desired/` that are no app's.",
             "sum(amid_repository_problems{%})", "short", (GOOD, (1, WARN)), width=6),
        stat("Apps without series", "Apps beyond the number that has series of its own.",
             "sum(amid_apps_not_shown{%})", "short", (GOOD, (1, WARN)), width=6),

        row("Children"),
        lines("Runs of terragrunt", "By command, per minute.",
              [(rate("amid_terragrunt_runs_total", "command", ', result="ok"') + " * 60",
                "{{command}}"),
               (rate("amid_terragrunt_runs_total", "command, result", ', result!="ok"') + " * 60",
                "{{command}} {{result}}")], stack=True),
        lines("Duration of runs", "Ninety of a hundred take at most this.",
              [(quantile(0.9, "amid_terragrunt_run_duration_seconds", "command"), "{{command}}")],
              "s"),
        lines("Memory of runs", "Most resident memory of a run's processes together; ninety of a "
              "hundred need at most this.",
              [(quantile(0.9, "amid_terragrunt_run_peak_memory_bytes", "command"),
                "{{command}}")], "bytes"),
        lines("Steps", "Arrows of rolls that came to their end, per hour.",
              [(rate("amid_steps_total", "step, result") + " * 3600", "{{step}} {{result}}")],
              stack=True, links=[runbook("AmidRollFailing")]),
        lines("State locks in the way", "Broken: provably of our own dead child. Kept: maybe "
              "somebody's.",
              [(rate("amid_state_locks_total", "result") + " * 3600", "{{result}}")],
              links=[runbook("AmidStateLocked")]),
        lines("Passes that died", "Panics. Each is a mistake in amid: please report it.",
              [("sum(increase(amid_passes_died_total{%}[$__rate_interval]))", "passes")]),

        row("Git, AWS, webhooks"),
        lines("Exchanges with git", "By what was answered.",
              [(rate("amid_git_requests_total", "operation, code"), "{{operation}} {{code}}")],
              "reqps", stack=True, links=[runbook("AmidRepositoryUnreadable")]),
        lines("Duration of exchanges with git", "Ninety-nine of a hundred take at most this.",
              [(quantile(0.99, "amid_git_request_duration_seconds", "operation"),
                "{{operation}}")], "s"),
        lines("Requests to AWS", "By operation.",
              [(rate("amid_aws_requests_total", "service, operation"),
                "{{service}} {{operation}}")], "reqps", stack=True),
        lines("Requests to AWS that went wrong", "By what was answered in the end, and how often "
              "AWS asked for fewer requests.",
              [(rate("amid_aws_requests_total", "service, code", ', code!="ok"'),
                "{{service}} {{code}}"),
               (rate("amid_aws_throttles_total", "service"), "{{service}} asks for fewer")],
              "reqps", links=[runbook("AmidAwsThrottled")]),
        lines("Webhooks", "Requests to the webhook listener, by what became of them.",
              [(rate("amid_webhook_requests_total", "result"), "{{result}}")], "reqps",
              stack=True),
        lines("Notifications", "Messages to people and statuses of commits, by what became of them.",
              [(rate("amid_notifications_total", "kind, result"), "{{kind}} {{result}}"),
               (rate("amid_notifications_dropped_total", "kind"), "{{kind}} dropped"),
               ("sum(amid_notifications_waiting{%})", "waiting")],
              links=[runbook("AmidNotificationsFailing")]),

        row("Process"),
        lines("Memory", "Resident memory of amid alone, without its children.",
              [("process_resident_memory_bytes{%}", "{{instance}}")], "bytes", width=8),
        lines("CPU", "Cores that amid alone uses.",
              [("rate(process_cpu_seconds_total{%}[$__rate_interval])", "{{instance}}")],
              width=8),
        lines("Open files", "And the most that may be open.",
              [("process_open_fds{%}", "{{instance}}"), ("process_max_fds{%}", "at most")],
              width=8),
    ]


def controller():
    return board("amid-controller", "amid / Controller",
                 "Is the controller well: its loop, its children, git, AWS, memory.",
                 "amid_build_info", panels())
