//! What the metrics say of what happened.

mod bounds;
mod catalogue;

use std::collections::BTreeMap;
use std::time::Duration;

use amid_core::course::Measured;
use amid_core::decide::Phase;
use amid_core::history::Outcome;
use amid_core::reason::{Failure, Reason};
use amid_core::retention::{Cleaning, Place, Stage, Summary};
use amid_core::step::ApplyKind;
use jiff::SignedDuration;

use super::labels::{
    AwsCode, AwsService, GitCode, GitOperation, LockResult, PassResult, RevertResult, RunCommand,
    RunResult, WebhookResult,
};
use super::*;
use crate::status::{App, Desired, Release, Sentence};

fn metrics() -> Metrics {
    let metrics = Metrics::new("0.0.0-test", "abcdef0").expect("all names are different");
    metrics.configured("01234567");
    metrics
}

fn app(name: &str, phase: Phase) -> App {
    App {
        desired: Some(Desired {
            key: "0123456789".to_owned(),
            ami: "ami-0f3a9c2b7d1e48a60".to_owned(),
            version: None,
            commit: "c".repeat(40),
            committed: Some(at(5)),
            subject: None,
            author: None,
        }),
        releases: vec![Release {
            key: "0123456789".to_owned(),
            ami: None,
            image_created: Some(at(3)),
            group: "g".to_owned(),
            min: 1,
            max: 4,
            desired: 3,
            in_service: 2,
            healthy: 1,
            instances: Vec::new(),
            ..Release::default()
        }],
        ..App::new(name, phase, Timestamp::UNIX_EPOCH)
    }
}

fn status(apps: Vec<App>) -> Status {
    Status {
        apps,
        ..Status::default()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn value(text: &str, series: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn an_apps_gauges_say_what_its_snapshot_says() {
    let metrics = metrics();
    let mut held = app("demo/todo", Phase::Held);
    held.held.push(hold("image_missing"));
    metrics.observe_status(&status(vec![held]));
    let text = metrics.render();
    for (series, want) in [
        (r#"amid_app_info{app="demo/todo",phase="held"}"#, 1.0),
        (
            r#"amid_app_held{app="demo/todo",reason="image_missing"}"#,
            1.0,
        ),
        (r#"amid_app_as_desired{app="demo/todo"}"#, 1.0),
        (r#"amid_app_drifted{app="demo/todo"}"#, 0.0),
        (
            r#"amid_app_instances{app="demo/todo",release="current",state="desired"}"#,
            3.0,
        ),
        (
            r#"amid_app_instances{app="demo/todo",release="current",state="in_service"}"#,
            2.0,
        ),
        (
            r#"amid_app_instances{app="demo/todo",release="current",state="healthy"}"#,
            1.0,
        ),
        (
            r#"amid_app_committed_timestamp_seconds{app="demo/todo"}"#,
            5.0,
        ),
        (
            r#"amid_app_image_created_timestamp_seconds{app="demo/todo"}"#,
            3.0,
        ),
        (
            r#"amid_rolls_total{app="demo/todo",outcome="applied"}"#,
            0.0,
        ),
    ] {
        assert_eq!(value(&text, series), Some(want), "{series} in\n{text}");
    }

    // The hold is over: its series goes.
    metrics.observe_status(&status(vec![app("demo/todo", Phase::Steady)]));
    let text = metrics.render();
    assert!(!text.contains("image_missing") && !text.contains(r#"phase="held""#));
}

#[test]
fn a_roll_shows_both_releases_and_a_change_by_hand_is_drift() {
    let mut rolls = app("rolls", Phase::Starting);
    rolls.releases.push(rolls.releases[0].clone());
    rolls.releases[1].desired = 7;
    rolls.state = Some(hold("wait_bake"));
    let mut by_hand = app("by-hand", Phase::Held);
    by_hand.held.push(hold("drifted"));
    let metrics = metrics();
    metrics.observe_status(&status(vec![rolls, by_hand]));
    let text = metrics.render();
    let waiting = r#"amid_app_waiting{app="rolls",reason="wait_bake"}"#;
    assert_eq!(value(&text, waiting), Some(1.0));
    let next = r#"amid_app_instances{app="rolls",release="next",state="desired"}"#;
    assert_eq!(value(&text, next), Some(7.0));
    assert!(!text.contains(r#"app="by-hand",release="next""#));
    let drifted = r#"amid_app_drifted{app="by-hand"}"#;
    assert_eq!(value(&text, drifted), Some(1.0));
}

fn hold(label: &str) -> Sentence {
    Sentence {
        label: label.to_owned(),
        text: String::new(),
        frees: None,
    }
}

#[test]
fn an_app_with_two_releases_or_another_one_is_not_as_desired() {
    let mut two = app("two", Phase::Baking);
    two.releases.push(two.releases[0].clone());
    let mut other = app("other", Phase::Steady);
    other.releases[0].key = "ffffffffff".to_owned();
    let mut first = app("first", Phase::Adding);
    first.releases.clear();
    let metrics = metrics();
    metrics.observe_status(&status(vec![
        two,
        other,
        first,
        app("right", Phase::Steady),
    ]));
    let text = metrics.render();
    for (app, want) in [("two", 0.0), ("other", 0.0), ("first", 0.0), ("right", 1.0)] {
        let series = format!(r#"amid_app_as_desired{{app="{app}"}}"#);
        assert_eq!(value(&text, &series), Some(want), "{series}");
    }
}

#[test]
fn the_series_of_a_removed_app_disappear() {
    let metrics = metrics();
    metrics.observe_status(&status(vec![
        app("gone", Phase::Steady),
        app("stays", Phase::Steady),
    ]));
    metrics.outcome("gone", Outcome::Applied);
    metrics.outcome("stays", Outcome::Applied);
    assert!(metrics.render().contains(r#"app="gone""#));

    metrics.observe_status(&status(vec![app("stays", Phase::Steady)]));
    let text = metrics.render();
    assert!(!text.contains(r#"app="gone""#), "{text}");
    // The counter of the app that stays goes on counting.
    assert_eq!(
        value(&text, r#"amid_rolls_total{app="stays",outcome="applied"}"#),
        Some(1.0)
    );
}

#[test]
fn closed_counters_are_there_before_anything_happened() {
    let text = metrics().render();
    for series in [
        r#"amid_passes_total{result="failed"}"#,
        r#"amid_terragrunt_runs_total{command="apply",result="timed_out"}"#,
        r#"amid_git_requests_total{code="auth",operation="fetch"}"#,
        r#"amid_rolls_failed_total{reason="never_healthy"}"#,
        r#"amid_reverts_total{result="refused"}"#,
        r#"amid_state_locks_total{result="kept"}"#,
        r#"amid_aws_throttles_total{service="ec2"}"#,
        r#"amid_webhook_requests_total{result="forged"}"#,
        r#"amid_steps_total{result="ok",step="drain"}"#,
    ] {
        assert_eq!(value(&text, series), Some(0.0), "{series} in\n{text}");
    }
}

/// A run of clean-up that found one image of one app.
fn cleaning() -> Cleaning {
    let stages = BTreeMap::from([(Stage::Kept, 1)]);
    Cleaning {
        place: Place {
            account: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
        },
        at: at(9),
        blockers: Vec::new(),
        actions: Vec::new(),
        blocked: Vec::new(),
        ask: Vec::new(),
        images: Vec::new(),
        snapshots: Vec::new(),
        summary: Summary {
            images: BTreeMap::from([("a".to_owned(), stages)]),
            newest: BTreeMap::from([("a".to_owned(), at(9))]),
            ..Summary::default()
        },
        memory: amid_core::retention::Memory::default(),
    }
}

/// Calls every method once.
fn everything(metrics: &Metrics) {
    let took = Duration::from_millis(1500);
    metrics.pass(PassResult::Acted, took);
    metrics.pass_died();
    metrics.passes_running(3);
    metrics.sweep(took);
    metrics.loop_moved(at(7));
    metrics.loop_lag(took);
    metrics.repository_head(at(8));
    metrics.step(ApplyKind::Add, true);
    metrics.terragrunt(TerragruntRun {
        command: RunCommand::Plan,
        result: RunResult::Ok,
        took,
        peak_memory: 700 << 20,
    });
    metrics.terragrunt_load(2, 1);
    metrics.git(GitOperation::Fetch, GitCode::Auth, took);
    metrics.aws(AwsRequest {
        service: AwsService::Ec2,
        operation: "DescribeInstances",
        code: AwsCode::Throttled,
    });
    metrics.aws_throttled(AwsService::AutoScaling);
    metrics.webhook(WebhookResult::Accepted);
    metrics.state_lock(LockResult::Broken);
    metrics.revert(RevertResult::Pushed);
    metrics.roll_failed(&Failure::LaunchFailed {
        message: "no".to_owned(),
    });
    metrics.outcome("a", Outcome::Applied);
    metrics.cleanup().decided(&cleaning());
    metrics.roll_phase(Phase::Baking, took);
    let took = SignedDuration::from_millis(1500);
    for measured in [
        Measured::Detected(took),
        Measured::GroupMade(took),
        Measured::Healthy(took),
        Measured::Done(took),
        Measured::Rolled(Outcome::FailedReverted, took),
        Measured::Restored(took),
    ] {
        metrics.measured("a", measured);
    }
}

#[test]
fn every_method_moves_its_metric() {
    let metrics = metrics();
    metrics.observe_status(&status(vec![app("a", Phase::Steady)]));
    everything(&metrics);
    let text = metrics.render();
    for (series, want) in [
        (
            r#"amid_build_info{revision="abcdef0",version="0.0.0-test"}"#,
            1.0,
        ),
        (r#"amid_passes_total{result="acted"}"#, 1.0),
        ("amid_passes_died_total", 1.0),
        ("amid_passes_running", 3.0),
        ("amid_pass_duration_seconds_sum", 1.5),
        ("amid_sweep_duration_seconds_count", 1.0),
        ("amid_loop_last_moved_timestamp_seconds", 7.0),
        ("amid_loop_lag_seconds_sum", 1.5),
        ("amid_repository_accepted_timestamp_seconds", 8.0),
        (r#"amid_steps_total{result="ok",step="add"}"#, 1.0),
        (
            r#"amid_terragrunt_runs_total{command="plan",result="ok"}"#,
            1.0,
        ),
        (
            r#"amid_terragrunt_run_duration_seconds_count{command="plan"}"#,
            1.0,
        ),
        (
            r#"amid_terragrunt_run_peak_memory_bytes_bucket{command="plan",le="805306368"}"#,
            1.0,
        ),
        ("amid_terragrunt_running", 2.0),
        ("amid_terragrunt_waiting", 1.0),
        (
            r#"amid_git_requests_total{code="auth",operation="fetch"}"#,
            1.0,
        ),
        (
            r#"amid_git_request_duration_seconds_count{operation="fetch"}"#,
            1.0,
        ),
        (
            r#"amid_aws_requests_total{code="throttled",operation="DescribeInstances",service="ec2"}"#,
            1.0,
        ),
        (r#"amid_aws_throttles_total{service="autoscaling"}"#, 1.0),
        (r#"amid_webhook_requests_total{result="accepted"}"#, 1.0),
        (r#"amid_state_locks_total{result="broken"}"#, 1.0),
        (r#"amid_reverts_total{result="pushed"}"#, 1.0),
        (r#"amid_rolls_failed_total{reason="launch_failed"}"#, 1.0),
        (r#"amid_rolls_total{app="a",outcome="applied"}"#, 1.0),
        (
            r#"amid_roll_duration_seconds_count{outcome="failed_reverted"}"#,
            1.0,
        ),
        (r#"amid_roll_phase_seconds_count{phase="baking"}"#, 1.0),
        ("amid_commit_to_detected_seconds_count", 1.0),
        ("amid_commit_to_group_seconds_count", 1.0),
        ("amid_commit_to_healthy_seconds_count", 1.0),
        ("amid_commit_to_done_seconds_count", 1.0),
        (r#"amid_app_lead_time_seconds_sum{app="a"}"#, 1.5),
        (r#"amid_app_restore_time_seconds_count{app="a"}"#, 1.0),
    ] {
        assert_eq!(value(&text, series), Some(want), "{series} in\n{text}");
    }
    assert!(value(&text, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
}

#[test]
fn the_time_in_which_nobody_does_anything_is_no_phase_of_a_roll() {
    let metrics = metrics();
    for phase in [Phase::Steady, Phase::Held] {
        metrics.roll_phase(phase, Duration::from_secs(1_000_000));
    }
    let text = metrics.render();
    assert!(!text.contains(r#"amid_roll_phase_seconds_count{phase="steady"}"#));
    assert!(!text.contains(r#"amid_roll_phase_seconds_count{phase="held"}"#));
}
