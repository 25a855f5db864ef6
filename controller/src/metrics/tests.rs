use std::fmt::Write as _;

use amid_core::history::Outcome;
use proptest::prelude::*;

use super::*;
use crate::status::{App, Desired, Release, Sentence};

fn metrics() -> Metrics {
    Metrics::new("0.0.0-test", "abcdef0").expect("all names are different")
}

fn app(name: &str, phase: Phase) -> App {
    App {
        app: name.to_owned(),
        phase,
        since: Timestamp::UNIX_EPOCH,
        owner: None,
        unit: None,
        desired: Some(Desired {
            key: "0123456789".to_owned(),
            ami: "ami-0f3a9c2b7d1e48a60".to_owned(),
            version: None,
            commit: "c".repeat(40),
            subject: None,
            author: None,
        }),
        releases: vec![Release {
            key: "0123456789".to_owned(),
            ami: None,
            group: "g".to_owned(),
            min: 1,
            max: 4,
            desired: 3,
            in_service: 2,
            healthy: 1,
            instances: Vec::new(),
        }],
        state: None,
        held: Vec::new(),
        notes: Vec::new(),
        running: None,
    }
}

fn status(apps: Vec<App>) -> Status {
    Status {
        apps,
        ..Status::default()
    }
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
    held.held.push(Sentence {
        label: "image_missing".to_owned(),
        text: "no such image".to_owned(),
        frees: None,
    });
    metrics.observe_status(&status(vec![held]));
    let text = metrics.render();
    for (series, want) in [
        (r#"amid_app_info{app="demo/todo",phase="held"}"#, 1.0),
        (r#"amid_app_info{app="demo/todo",phase="steady"}"#, 0.0),
        (
            r#"amid_app_held{app="demo/todo",reason="image_missing"}"#,
            1.0,
        ),
        (r#"amid_app_as_desired{app="demo/todo"}"#, 1.0),
        (r#"amid_app_desired_instances{app="demo/todo"}"#, 3.0),
        (r#"amid_app_in_service_instances{app="demo/todo"}"#, 2.0),
        (r#"amid_app_healthy_instances{app="demo/todo"}"#, 1.0),
        (
            r#"amid_rolls_total{app="demo/todo",outcome="applied"}"#,
            0.0,
        ),
    ] {
        assert_eq!(value(&text, series), Some(want), "{series} in\n{text}");
    }

    // The hold is over: its series goes.
    metrics.observe_status(&status(vec![app("demo/todo", Phase::Steady)]));
    assert!(!metrics.render().contains("image_missing"));
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
        r#"amid_git_fetches_total{result="failed"}"#,
        r#"amid_webhook_requests_total{result="forged"}"#,
        r#"amid_steps_total{result="ok",step="drain"}"#,
    ] {
        assert_eq!(value(&text, series), Some(0.0), "{series} in\n{text}");
    }
}

#[test]
fn every_method_moves_its_metric() {
    let metrics = metrics();
    let took = Duration::from_millis(1500);
    metrics.pass(PassResult::Acted, took);
    metrics.sweep(took);
    metrics.loop_moved(Timestamp::from_second(7).expect("in range"));
    metrics.step(ApplyKind::Add, RunResult::Ok);
    metrics.terragrunt(RunCommand::Plan, RunResult::Ok, took);
    metrics.terragrunt_running(2);
    metrics.git_fetch(false, took);
    metrics.repository_head(Timestamp::from_second(8).expect("in range"));
    metrics.aws(AwsRequest {
        service: AwsService::Ec2,
        operation: "DescribeInstances",
        code: AwsCode::Throttled,
    });
    metrics.webhook(WebhookResult::Accepted);
    metrics.outcome("a", Outcome::Applied);
    metrics.roll(took);
    metrics.roll_phase(Phase::Baking, took);
    metrics.commit_to_detected(took);
    metrics.commit_to_healthy(took);
    let text = metrics.render();
    for (series, want) in [
        (
            r#"amid_build_info{revision="abcdef0",version="0.0.0-test"}"#,
            1.0,
        ),
        (r#"amid_passes_total{result="acted"}"#, 1.0),
        ("amid_pass_duration_seconds_sum", 1.5),
        ("amid_sweep_duration_seconds_count", 1.0),
        ("amid_loop_last_moved_timestamp_seconds", 7.0),
        (r#"amid_steps_total{result="ok",step="add"}"#, 1.0),
        (
            r#"amid_terragrunt_runs_total{command="plan",result="ok"}"#,
            1.0,
        ),
        (
            r#"amid_terragrunt_run_duration_seconds_count{command="plan"}"#,
            1.0,
        ),
        ("amid_terragrunt_running", 2.0),
        (r#"amid_git_fetches_total{result="failed"}"#, 1.0),
        ("amid_git_fetch_duration_seconds_count", 1.0),
        ("amid_repository_head_timestamp_seconds", 8.0),
        (
            r#"amid_aws_requests_total{code="throttled",operation="DescribeInstances",service="ec2"}"#,
            1.0,
        ),
        (r#"amid_webhook_requests_total{result="accepted"}"#, 1.0),
        (r#"amid_rolls_total{app="a",outcome="applied"}"#, 1.0),
        ("amid_roll_duration_seconds_count", 1.0),
        (r#"amid_roll_phase_seconds_count{phase="baking"}"#, 1.0),
        ("amid_commit_to_detected_seconds_count", 1.0),
        ("amid_commit_to_healthy_seconds_count", 1.0),
    ] {
        assert_eq!(value(&text, series), Some(want), "{series} in\n{text}");
    }
    assert!(value(&text, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
}

#[test]
fn more_apps_than_the_limit_are_counted_but_have_no_series() {
    let metrics = metrics();
    let apps = (0..MAX_APPS + 3)
        .map(|n| app(&format!("a{n}"), Phase::Steady))
        .collect();
    metrics.observe_status(&status(apps));
    metrics.outcome("one-more", Outcome::Applied);
    let text = metrics.render();
    assert_eq!(value(&text, "amid_apps_not_shown"), Some(3.0));
    assert!(!text.contains("one-more"));
    assert!(!text.contains(&format!(r#"app="a{}""#, MAX_APPS + 1)));
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    let metrics = metrics();
    metrics.observe_status(&status(vec![app("a", Phase::Steady)]));
    for family in metrics.registry.gather() {
        let name = family.name();
        assert!(
            name.starts_with("amid_") || name.starts_with("process_"),
            "{name}"
        );
        let counts = family.get_field_type() == prometheus::proto::MetricType::COUNTER;
        assert_eq!(counts, name.ends_with("_total"), "{name}");
        assert!(family.help().ends_with('.'), "{name}");
        assert!(!name.contains("millis"), "{name}");
    }
    // The series of apps are written by hand.
    let text = metrics.render();
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = family.split_once(' ').expect("a name and a kind");
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        assert_eq!(
            text.matches(&format!("# TYPE {name} ")).count(),
            1,
            "{name}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever came before, only the apps of the last snapshot have series,
    /// and each has at most a fixed number.
    #[test]
    fn the_number_of_series_has_a_bound(
        rounds in prop::collection::vec(
            prop::collection::vec(("[a-z]{1,8}", 0..Phase::ALL.len(), ".{0,60}"), 0..12),
            1..12,
        ),
    ) {
        let metrics = metrics();
        let base = series(&metrics.render());
        let mut most = 0;
        for round in rounds {
            let apps: Vec<App> = round
                .iter()
                .map(|(name, phase, label)| {
                    let mut made = app(name, Phase::ALL[*phase]);
                    let mut text = String::new();
                    for n in 0..20 {
                        let _ = write!(text, "{n}");
                        made.held.push(Sentence {
                            label: if n == 0 { label.clone() } else { "x".repeat(n) },
                            text: text.clone(),
                            frees: None,
                        });
                    }
                    metrics.outcome(name, Outcome::ALL[phase % Outcome::ALL.len()]);
                    made
                })
                .collect();
            most = apps.len();
            metrics.observe_status(&status(apps));
        }
        let per_app = Phase::ALL.len() + Outcome::ALL.len() + MAX_HOLDS + 5;
        let all = series(&metrics.render());
        prop_assert!(all <= base + most * per_app, "{all} series for {most} apps");
    }
}
