"""Alerts and recording rules, each with what makes it fire and what does not.

`fires` and `quiet` are series in promtool's notation with one value a minute;
time begins at 0. `labels` are those of the alert that is expected besides its
severity, `says` what stands for the value in its description.
"""

AMID = 'job="amid", instance="vm:9090"'
APP = AMID + ', app="demo/todo"'
TODO = 'job="todo", instance="i-1:8080"'
AMID_LABELS = {"job": "amid", "instance": "vm:9090"}
APP_LABELS = {**AMID_LABELS, "app": "demo/todo"}
HOUR, DAY = 60, 1440


def held(reason):
    return f'amid_app_held{{{APP}, reason="{reason}"}}'


# Holds with an alert of their own, those that a person asked for, and those that end by themselves.
SPECIAL = ("suspended|revert_refused|state_locked|errored_state|aws_unreadable|unavailable"
           "|drifted|foreign_image|unknown_group")
ROLLING = "adding|starting|draining|removing|giving_up"

ALERTS = [
    dict(name="AmidControllerDown", severity="critical", wait="5m",
         expr="absent(amid_build_info) or (up * on (job, instance) group_left () "
              "max by (job, instance) (last_over_time(amid_build_info[1h])) == 0)",
         summary="No amid answers",
         description="Prometheus gets no metrics from amid: what is merged is not rolled out. "
                     "What serves goes on serving.",
         fires={"up{%s}" % AMID: "1 1 1 0x60",
                'amid_build_info{%s, version="1"}' % AMID: "1 1 1 stale"},
         at="20m", labels=AMID_LABELS, also=[{}],
         quiet={"up{%s}" % AMID: "1x60", 'amid_build_info{%s, version="1"}' % AMID: "1x60"}),
    dict(name="AmidLoopStuck", severity="critical", wait="1m",
         expr="time() - amid_loop_last_moved_timestamp_seconds > 60",
         summary="The loop of amid at {{ $labels.instance }} stands still",
         description="The loop has not moved for {{ $value | humanizeDuration }}; it ticks every "
                     "second.",
         fires={"amid_loop_last_moved_timestamp_seconds{%s}" % AMID: "0+60x5 300x30"},
         at="10m", labels=AMID_LABELS, says="5m 0s",
         quiet={"amid_loop_last_moved_timestamp_seconds{%s}" % AMID: "0+60x40"}),
    dict(name="AmidSweepLate", severity="warning", wait="5m",
         expr="time() - amid_swept_timestamp_seconds > 900",
         summary="amid at {{ $labels.instance }} has not looked at every app for long",
         description="The last look at every app ended {{ $value | humanizeDuration }} ago. Drift "
                     "and missing instances are not seen.",
         fires={"amid_swept_timestamp_seconds{%s}" % AMID: "0x60"},
         at="30m", labels=AMID_LABELS, says="30m 0s",
         quiet={"amid_swept_timestamp_seconds{%s}" % AMID: "0+60x60"}),
    dict(name="AmidRestarting", severity="warning", wait="0m",
         expr="changes(process_start_time_seconds[30m]) * on (job, instance) group_left () "
              "max by (job, instance) (amid_build_info) > 2",
         summary="amid at {{ $labels.instance }} restarts again and again",
         description="amid was started {{ $value }} times in half an hour.",
         fires={"process_start_time_seconds{%s}" % AMID: "1 1 2 2 3 3 4 4x20",
                'amid_build_info{%s, version="1"}' % AMID: "1x60"},
         at="10m", labels=AMID_LABELS, says="3",
         quiet={"process_start_time_seconds{%s}" % AMID: "1 1 2 2x40",
                'amid_build_info{%s, version="1"}' % AMID: "1x60",
                'process_start_time_seconds{job="other", instance="x:1"}': "1 2 3 4 5 6 6x20"}),
    dict(name="AmidOpenFiles", severity="warning", wait="10m",
         expr="(process_open_fds / process_max_fds) * on (job, instance) group_left () "
              "max by (job, instance) (amid_build_info) > 0.8",
         summary="amid at {{ $labels.instance }} runs out of file descriptors",
         description="{{ $value | humanizePercentage }} of the files that may be open are.",
         fires={"process_open_fds{%s}" % AMID: "900x60", "process_max_fds{%s}" % AMID: "1000x60",
                'amid_build_info{%s, version="1"}' % AMID: "1x60"},
         at="20m", labels=AMID_LABELS, says="90%",
         quiet={"process_open_fds{%s}" % AMID: "50x60", "process_max_fds{%s}" % AMID: "1000x60",
                'amid_build_info{%s, version="1"}' % AMID: "1x60"}),
    dict(name="AmidPassesDie", severity="warning", wait="0m",
         expr="increase(amid_passes_died_total[1h]) > 0",
         summary="Passes of amid at {{ $labels.instance }} panic",
         description="A pass over an app panicked. That is a mistake in amid; it lost the pass and "
                     "nothing else.",
         fires={"amid_passes_died_total{%s}" % AMID: "0 0 0 1x20"}, at="10m", labels=AMID_LABELS,
         quiet={"amid_passes_died_total{%s}" % AMID: "3x40"}),

    dict(name="AmidRepositoryUnreadable", severity="critical", wait="10m",
         expr="amid_repository_readable == 0",
         summary="amid at {{ $labels.instance }} cannot read its repository",
         description="Commits are not seen, a rollback by git neither. What was accepted before "
                     "goes on counting.",
         fires={"amid_repository_readable{%s}" % AMID: "0x60"}, at="15m", labels=AMID_LABELS,
         quiet={"amid_repository_readable{%s}" % AMID: "1 0 0 1x60"}),
    dict(name="AmidRepositoryRewritten", severity="critical", wait="1m",
         expr="amid_repository_held == 1",
         summary="The branch that amid at {{ $labels.instance }} follows was rewritten",
         description="Nothing of it is followed until a person approves it.",
         fires={"amid_repository_held{%s}" % AMID: "0 1x60"}, at="5m", labels=AMID_LABELS,
         quiet={"amid_repository_held{%s}" % AMID: "0x60"}),

    dict(name="AmidAppNotAsDesired", severity="warning", wait="2h",
         expr="amid_app_as_desired == 0 unless on (app, job, instance) "
              'amid_app_held{reason="suspended"} == 1',
         summary="{{ $labels.app }} is not what git asks for",
         description="For two hours {{ $labels.app }} has had another release than the one that "
                     "git names, or more than one.",
         fires={"amid_app_as_desired{%s}" % APP: "0x300"}, at="150m", labels=APP_LABELS,
         quiet={"amid_app_as_desired{%s}" % APP: "0x30 1x300"}),
    dict(name="AmidRollStuck", severity="warning", wait="5m",
         expr="time() - amid_app_phase_start_timestamp_seconds > 3600 and on (app, job, instance) "
              f'amid_app_info{{phase=~"{ROLLING}"}}',
         summary="The roll of {{ $labels.app }} does not get on",
         description="{{ $labels.app }} has been in the same phase of its roll for "
                     "{{ $value | humanizeDuration }}.",
         fires={"amid_app_phase_start_timestamp_seconds{%s}" % APP: "0x200",
                'amid_app_info{%s, phase="draining"}' % APP: "1x200"},
         at="90m", labels=APP_LABELS, says="1h 30m 0s",
         quiet={"amid_app_phase_start_timestamp_seconds{%s}" % APP: "0x200",
                'amid_app_info{%s, phase="steady"}' % APP: "1x200"}),
    dict(name="AmidSlowDrain", severity="warning", wait="5m",
         expr='amid_app_waiting{reason="slow_drain"} == 1',
         summary="The old group of {{ $labels.app }} does not empty",
         description="The new release of {{ $labels.app }} serves; instances of the old one have "
                     "not gone within `roll.drain`.",
         fires={'amid_app_waiting{%s, reason="slow_drain"}' % APP: "1x60"}, at="10m",
         labels={**APP_LABELS, "reason": "slow_drain"},
         quiet={'amid_app_waiting{%s, reason="wait_drain"}' % APP: "1x60"}),
    dict(name="AmidRollFailing", severity="warning", wait="0m",
         expr='sum by (app, job, instance) '
              '(increase(amid_rolls_total{outcome=~"failed_.*"}[6h])) > 1.5',
         summary="Rolls of {{ $labels.app }} fail again and again",
         description="Several commits for {{ $labels.app }} were given up within six hours.",
         fires={'amid_rolls_total{%s, outcome="failed_reverted"}' % APP: "0x10 1x10 2x300",
                'amid_rolls_total{%s, outcome="failed_not_reverted"}' % APP: "0x400"},
         at="1h", labels=APP_LABELS,
         quiet={'amid_rolls_total{%s, outcome="failed_reverted"}' % APP: "0x10 1x300",
                'amid_rolls_total{%s, outcome="applied"}' % APP: "0x10 1 2 3 4x300"}),
    dict(name="AmidStepsFailing", severity="warning", wait="0m",
         expr='sum by (step, job, instance) (increase(amid_steps_total{result="failed"}[1h])) > 5',
         summary="Steps of amid at {{ $labels.instance }} fail: {{ $labels.step }}",
         description="Terragrunt or terraform fails; each app is tried again, less often each "
                     "time.",
         fires={'amid_steps_total{%s, step="add", result="failed"}' % AMID: "0+1x60"},
         at="30m", labels={**AMID_LABELS, "step": "add"},
         quiet={'amid_steps_total{%s, step="add", result="failed"}' % AMID: "0 1 2x60",
                'amid_steps_total{%s, step="add", result="ok"}' % AMID: "0+1x60"}),
    dict(name="AmidRevertRefused", severity="critical", wait="1m",
         expr='amid_app_held{reason="revert_refused"} == 1',
         summary="The remote refused the revert commit for {{ $labels.app }}",
         description="{{ $labels.app }} is back on its old release, but git still asks for the one "
                     "that failed.",
         fires={held("revert_refused"): "1x60"}, at="5m",
         labels={**APP_LABELS, "reason": "revert_refused"},
         quiet={held("suspended"): "1x60"}),
    dict(name="AmidAppHeld", severity="warning", wait="15m",
         expr=f'amid_app_held{{reason!~"{SPECIAL}"}} == 1',
         summary="{{ $labels.app }} waits for a person: {{ $labels.reason }}",
         description="`amid status {{ $labels.app }}` says why, and what frees it.",
         fires={held("unexpected_plan"): "1x60"}, at="20m",
         labels={**APP_LABELS, "reason": "unexpected_plan"},
         quiet={held("unexpected_plan"): "1 1 1 _x60", held("suspended"): "1x60"}),
    dict(name="AmidAppUnreadable", severity="warning", wait="10m",
         expr='amid_app_held{reason="aws_unreadable"} == 1',
         summary="amid cannot look at {{ $labels.app }}",
         description="AWS or terraform's outputs cannot be read; nothing is done meanwhile.",
         fires={held("aws_unreadable"): "1x60"}, at="15m",
         labels={**APP_LABELS, "reason": "aws_unreadable"},
         quiet={held("aws_unreadable"): "1 1 1 _x60"}),
    dict(name="AmidStateLocked", severity="warning", wait="30m",
         expr='amid_app_held{reason="state_locked"} == 1',
         summary="The terraform state of {{ $labels.app }} stays locked",
         description="Whoever took the lock has held it for half an hour, longer than an apply "
                     "takes: it may be an orphan.",
         fires={held("state_locked"): "1x60"}, at="40m",
         labels={**APP_LABELS, "reason": "state_locked"},
         quiet={held("state_locked"): "1x10 _x60"}),
    dict(name="AmidErroredState", severity="critical", wait="1m",
         expr='amid_app_held{reason="errored_state"} == 1',
         summary="Terraform could not save the state of {{ $labels.app }}",
         description="The state lies in a file beside amid, its unit stands still. Do not run "
                     "terraform for it by hand before it is pushed.",
         fires={held("errored_state"): "1x60"}, at="5m",
         labels={**APP_LABELS, "reason": "errored_state"},
         quiet={held("suspended"): "1x60"}),
    dict(name="AmidAppDrifted", severity="warning", wait="30m",
         expr="amid_app_drifted == 1",
         summary="{{ $labels.app }} was changed by hand",
         description="Groups or instances of {{ $labels.app }} are not as amid made them.",
         fires={"amid_app_drifted{%s}" % APP: "1x60"}, at="40m", labels=APP_LABELS,
         quiet={"amid_app_drifted{%s}" % APP: "1x5 0x60"}),
    dict(name="AmidAppUnhealthy", severity="warning", wait="15m",
         expr='sum by (app, job, instance) (amid_app_instances{state="healthy"}) < '
              'sum by (app, job, instance) (amid_app_instances{state="desired"}) '
              'and on (app, job, instance) amid_app_info{phase="steady"}',
         summary="{{ $labels.app }} has fewer healthy instances than it wants",
         description="Nothing rolls, and {{ $value }} instances of {{ $labels.app }} are healthy.",
         fires={'amid_app_instances{%s, release="current", state="healthy"}' % APP: "1x60",
                'amid_app_instances{%s, release="current", state="desired"}' % APP: "2x60",
                'amid_app_info{%s, phase="steady"}' % APP: "1x60"},
         at="30m", labels=APP_LABELS, says="1",
         quiet={'amid_app_instances{%s, release="current", state="healthy"}' % APP: "2x60",
                'amid_app_instances{%s, release="current", state="desired"}' % APP: "2x60",
                'amid_app_info{%s, phase="steady"}' % APP: "1x60"}),
    dict(name="AmidImageTooOld", severity="warning", wait="1h",
         expr="time() - amid_app_image_created_timestamp_seconds > 90 * 86400",
         summary="{{ $labels.app }} runs an old image",
         description="The image of {{ $labels.app }} was made {{ $value | humanizeDuration }} ago: "
                     "it lacks what has been mended since.",
         fires={"amid_app_image_created_timestamp_seconds{%s}" % APP: "-7862400x200"},
         at="2h", labels=APP_LABELS, says="91d 2h 0m 0s",
         quiet={"amid_app_image_created_timestamp_seconds{%s}" % APP: "-86400x200"}),

    dict(name="AmidAwsThrottled", severity="warning", wait="10m",
         expr="sum by (service, job, instance) (rate(amid_aws_throttles_total[10m])) > 0.1",
         summary="AWS throttles amid at {{ $labels.instance }}: {{ $labels.service }}",
         description="AWS asks for fewer requests. Looks are slow and may fail; other tools of the "
                     "account suffer as well.",
         fires={'amid_aws_throttles_total{%s, service="ec2"}' % AMID: "0+60x60"},
         at="40m", labels={**AMID_LABELS, "service": "ec2"},
         quiet={'amid_aws_throttles_total{%s, service="ec2"}' % AMID: "0 5 5x60"}),
    dict(name="AmidNotificationsFailing", severity="warning", wait="5m",
         expr='sum by (kind, job, instance) (increase(amid_notifications_dropped_total[30m])) > 0',
         summary="Notifications of amid at {{ $labels.instance }} do not arrive: {{ $labels.kind }}",
         description="Messages were dropped because their receiver is slow or dead.",
         fires={'amid_notifications_dropped_total{%s, kind="slack"}' % AMID: "0+1x60"},
         at="40m", labels={**AMID_LABELS, "kind": "slack"},
         quiet={'amid_notifications_dropped_total{%s, kind="slack"}' % AMID: "4x60"}),

    dict(name="AmidCleanupAborted", severity="warning", wait="0m",
         expr="sum by (reason, job, instance) (increase(amid_cleanup_aborted_total[1d])) > 0",
         summary="Clean-up of images was aborted: {{ $labels.reason }}",
         description="Clean-up stopped itself because something looked wrong, or could not be "
                     "read: amid gc says what, and what to do. Nothing is deleted meanwhile.",
         fires={'amid_cleanup_aborted_total{%s, reason="incomplete"}' % AMID: "0x10 1x60"},
         at="30m", labels={**AMID_LABELS, "reason": "incomplete"},
         quiet={'amid_cleanup_aborted_total{%s, reason="incomplete"}' % AMID: "2x60"}),
    dict(name="AmidCleanupBlind", severity="warning", wait="10m",
         # 0 where clean-up is off, or never was complete at all: then AmidCleanupAborted tells.
         expr="time() - (amid_cleanup_last_complete_timestamp_seconds != 0) > 3 * 86400",
         summary="Clean-up of images cannot see everything",
         description="Clean-up could read everything {{ $value | humanizeDuration }} ago for the "
                     "last time. Nothing is deleted meanwhile.",
         fires={"amid_cleanup_last_complete_timestamp_seconds{%s}" % AMID: "-345600x60"},
         at="20m", labels=AMID_LABELS, says="4d 0h 20m 0s",
         quiet={"amid_cleanup_last_complete_timestamp_seconds{%s}" % AMID: "-3600x60"}),

    dict(name="TodoErrorRate", severity="critical", wait="2m",
         expr="todo:request_errors:ratio_rate5m > 14.4 * 0.001 and "
              "todo:request_errors:ratio_rate1h > 14.4 * 0.001",
         summary="Todo answers too many requests with errors",
         description="{{ $value | humanizePercentage }} of the requests of the last five minutes "
                     "failed; at this pace a month's 0.1 % is used up in two days.",
         fires={'todo_http_requests_total{%s, status="200"}' % TODO: "0+90x100",
                'todo_http_requests_total{%s, status="503"}' % TODO: "0+10x100"},
         at="80m", labels={"job": "todo"}, says="10%",
         quiet={'todo_http_requests_total{%s, status="200"}' % TODO: "0+9999x100",
                'todo_http_requests_total{%s, status="503"}' % TODO: "0+1x100"}),
    dict(name="TodoErrorRateSlow", severity="warning", wait="15m",
         expr="todo:request_errors:ratio_rate30m > 6 * 0.001 and "
              "todo:request_errors:ratio_rate6h > 6 * 0.001",
         summary="Todo uses up its error budget",
         description="{{ $value | humanizePercentage }} of the requests of the last half an hour "
                     "failed; at this pace a month's 0.1 % is used up in five days.",
         fires={'todo_http_requests_total{%s, status="200"}' % TODO: "0+99x500",
                'todo_http_requests_total{%s, status="500"}' % TODO: "0+1x500"},
         at="400m", labels={"job": "todo"}, says="1%",
         quiet={'todo_http_requests_total{%s, status="200"}' % TODO: "0+9999x500",
                'todo_http_requests_total{%s, status="500"}' % TODO: "0+1x500"}),
    dict(name="TodoLatency", severity="warning", wait="5m",
         expr="todo:request_slow:ratio_rate5m > 14.4 * 0.01 and "
              "todo:request_slow:ratio_rate1h > 14.4 * 0.01",
         summary="Todo is slow",
         description="{{ $value | humanizePercentage }} of the requests of the last five minutes "
                     "took more than 250 ms; one of a hundred may.",
         fires={'todo_http_request_duration_seconds_bucket{%s, le="0.25"}' % TODO: "0+50x100",
                'todo_http_request_duration_seconds_count{%s}' % TODO: "0+100x100"},
         at="80m", labels={"job": "todo"}, says="50%",
         quiet={'todo_http_request_duration_seconds_bucket{%s, le="0.25"}' % TODO: "0+995x100",
                'todo_http_request_duration_seconds_count{%s}' % TODO: "0+1000x100"}),
]


def todo_ratios():
    for span in ("5m", "30m", "1h", "6h"):
        yield (f"todo:request_errors:ratio_rate{span}",
               f'(sum by (job) (rate(todo_http_requests_total{{status=~"5.."}}[{span}])) or '
               f"0 * sum by (job) (rate(todo_http_requests_total[{span}]))) / "
               f"sum by (job) (rate(todo_http_requests_total[{span}]))")
    for span in ("5m", "1h"):
        yield (f"todo:request_slow:ratio_rate{span}",
               "1 - sum by (job) (rate(todo_http_request_duration_seconds_bucket"
               f'{{le="0.25"}}[{span}])) / '
               f"sum by (job) (rate(todo_http_request_duration_seconds_count[{span}]))")


def dora():
    for span in ("7d", "28d"):
        yield (f"amid:app_deployments:increase{span}",
               f'sum by (app) (increase(amid_rolls_total{{outcome="applied"}}[{span}]))')
        yield (f"amid:app_lead_time_seconds:mean{span}",
               f"sum by (app) (increase(amid_app_lead_time_seconds_sum[{span}])) / "
               f"sum by (app) (increase(amid_app_lead_time_seconds_count[{span}]))")
        yield (f"amid:app_change_failures:ratio{span}",
               f'sum by (app) (increase(amid_rolls_total{{outcome=~"failed_.*"}}[{span}])) / '
               f'(sum by (app) (increase(amid_rolls_total{{outcome=~"applied|failed_.*"}}'
               f"[{span}])) > 0)")
        yield (f"amid:app_restore_time_seconds:mean{span}",
               f"sum by (app) (increase(amid_app_restore_time_seconds_sum[{span}])) / "
               f"sum by (app) (increase(amid_app_restore_time_seconds_count[{span}]))")


RECORDS = {"amid-dora": list(dora()), "todo-slo": list(todo_ratios())}
