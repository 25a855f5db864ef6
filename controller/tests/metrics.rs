//! What `/metrics` of a real `amid` says, held against what really happened: git, the stub's log, the AWS
//! stand-in's counts, the cloud and the process table.

#![allow(
    clippy::disallowed_methods,
    reason = "tests start programs and read clocks"
)]

use std::path::Path;

use amid_testkit::scrape::Scrape;
use amid_testkit::small::{Options, Small};
use amid_testkit::watched::{self, SHOP, SIZE, WEB};

fn scrape(small: &Small) -> Scrape {
    let page = small.listener("Metrics and status").unwrap();
    let (status, text) = small.get(page, "/metrics").unwrap();
    assert_eq!(status, 200);
    Scrape::read(&text).unwrap()
}

/// A metric's name, its labels, and its value.
type Sample<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// Whether each of these is exactly so; all that are not, at once.
fn check(scrape: &Scrape, wanted: &[Sample<'_>]) {
    let wrong: Vec<String> = wanted
        .iter()
        .filter(|(name, labels, want)| scrape.sum(name, labels) != Some(*want))
        .map(|(name, labels, want)| {
            let said = scrape.sum(name, labels);
            format!("{name} {labels:?} is {said:?}, not {want}")
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", scrape.text);
}

#[test]
fn after_rolls_a_failure_and_a_hold_every_metric_says_what_happened() {
    let mut small = watched::begin(Options::of(Path::new(env!("CARGO_BIN_EXE_amid")))).unwrap();
    let revert = watched::play(&mut small).unwrap();
    // The snapshot is shown anew every second.
    small
        .until("the metrics show the end", |small| {
            let steady = [("app", WEB), ("phase", "steady")];
            Ok(scrape(small).sum("amid_app_info", &steady).is_some())
        })
        .unwrap();
    let asked_before = small.standin.counts();
    let now = scrape(&small);
    let asked_after = small.standin.counts();
    let started =
        |command: &str| f64::from(u32::try_from(small.stub.started(command).unwrap()).unwrap());

    let size = f64::from(SIZE);
    check(
        &now,
        &[
            // The first release, a second one, and the revert; the bad one between.
            (
                "amid_rolls_total",
                &[("app", WEB), ("outcome", "applied")],
                3.0,
            ),
            (
                "amid_rolls_total",
                &[("app", WEB), ("outcome", "failed_reverted")],
                1.0,
            ),
            ("amid_rolls_total", &[("app", WEB)], 4.0),
            ("amid_rolls_total", &[("app", SHOP)], 0.0),
            (
                "amid_rolls_failed_total",
                &[("reason", "never_healthy")],
                1.0,
            ),
            ("amid_rolls_failed_total", &[], 1.0),
            ("amid_reverts_total", &[("result", "pushed")], 1.0),
            ("amid_reverts_total", &[("result", "refused")], 0.0),
            (
                "amid_git_requests_total",
                &[("operation", "push"), ("code", "ok")],
                1.0,
            ),
            (
                "amid_steps_total",
                &[("step", "add"), ("result", "ok")],
                3.0,
            ),
            (
                "amid_steps_total",
                &[("step", "remove"), ("result", "ok")],
                2.0,
            ),
            // Four commits for one app and one for the other.
            ("amid_commit_to_detected_seconds_count", &[], 5.0),
            ("amid_commit_to_group_seconds_count", &[], 3.0),
            ("amid_commit_to_healthy_seconds_count", &[], 2.0),
            ("amid_commit_to_done_seconds_count", &[], 2.0),
            ("amid_app_lead_time_seconds_count", &[("app", WEB)], 2.0),
            ("amid_app_restore_time_seconds_count", &[("app", WEB)], 1.0),
            ("amid_app_restore_time_seconds_count", &[("app", SHOP)], 0.0),
            (
                "amid_roll_duration_seconds_count",
                &[("outcome", "applied")],
                2.0,
            ),
            (
                "amid_roll_duration_seconds_count",
                &[("outcome", "failed_reverted")],
                1.0,
            ),
            // What is there.
            ("amid_app_as_desired", &[("app", WEB)], 1.0),
            ("amid_app_as_desired", &[("app", SHOP)], 0.0),
            ("amid_app_info", &[("app", WEB)], 1.0),
            ("amid_app_info", &[("app", SHOP), ("phase", "held")], 1.0),
            (
                "amid_app_held",
                &[("app", SHOP), ("reason", "image_missing")],
                1.0,
            ),
            ("amid_app_drifted", &[], 0.0),
            (
                "amid_app_instances",
                &[("app", WEB), ("state", "desired")],
                size,
            ),
            (
                "amid_app_instances",
                &[("app", WEB), ("state", "in_service")],
                size,
            ),
            (
                "amid_app_instances",
                &[("app", WEB), ("state", "healthy")],
                size,
            ),
            // 2026-01-01, which the stand-in says of every image.
            (
                "amid_app_image_created_timestamp_seconds",
                &[("app", WEB)],
                1_767_225_600.0,
            ),
            ("amid_apps_not_shown", &[], 0.0),
            ("amid_repository_readable", &[], 1.0),
            ("amid_repository_held", &[], 0.0),
            ("amid_repository_problems", &[], 0.0),
            ("amid_passes_died_total", &[], 0.0),
            ("amid_state_locks_total", &[], 0.0),
            ("amid_aws_throttles_total", &[], 0.0),
            ("amid_webhook_requests_total", &[], 0.0),
            ("amid_terragrunt_running", &[], 0.0),
            ("amid_terragrunt_waiting", &[], 0.0),
            // Children, as the stub wrote them down itself.
            (
                "amid_terragrunt_runs_total",
                &[("command", "apply")],
                started("apply"),
            ),
            (
                "amid_terragrunt_runs_total",
                &[("command", "output")],
                started("output"),
            ),
            (
                "amid_terragrunt_runs_total",
                &[("command", "show")],
                started("show"),
            ),
        ],
    );
    assert_eq!(now.all("amid_app_held", &[("app", WEB)]).count(), 0);
    let next = [("app", WEB), ("release", "next")];
    assert_eq!(now.all("amid_app_instances", &next).count(), 0);

    // A plan that a newer commit made useless is killed and counts as no run.
    let plans = now.sum("amid_terragrunt_runs_total", &[("command", "plan")]);
    assert!(plans >= now.sum("amid_terragrunt_runs_total", &[("command", "apply")]));
    assert!(plans <= Some(started("plan")), "{plans:?}");

    // Every request that the stand-in answered was counted, and no other.
    for (operation, before) in &asked_before {
        let labels = [("operation", operation.as_str())];
        let said = now.sum("amid_aws_requests_total", &labels).unwrap_or(0.0);
        let after = asked_after.get(operation).copied().unwrap_or_default();
        assert!(
            (*before as f64) <= said && said <= after as f64,
            "{operation}: {before} ≤ {said} ≤ {after}"
        );
    }
    let codes = [("code", "ok")];
    let ok = now.sum("amid_aws_requests_total", &codes);
    // The templates of releases that are not there yet are asked for in vain.
    assert!(ok > Some(0.0), "{ok:?}");

    let committed = small.person.log().unwrap();
    let log = small.bare.log().unwrap();
    let newest = log.first().unwrap();
    assert!(
        newest.subject().starts_with("Revert "),
        "{}",
        newest.subject()
    );
    assert!(committed.len() < log.len(), "{revert} is amid's own");

    // Times lie in this test, and in their order.
    let at = |name: &str| now.sum(name, &[]).unwrap();
    let started_at = at("process_start_time_seconds");
    for name in [
        "amid_repository_fetched_timestamp_seconds",
        "amid_repository_accepted_timestamp_seconds",
        "amid_swept_timestamp_seconds",
        "amid_loop_last_moved_timestamp_seconds",
    ] {
        let ago = at("amid_loop_last_moved_timestamp_seconds") + 2.0 - at(name);
        assert!(at(name) >= started_at && ago >= 0.0, "{name}");
    }
    let phase_since = [("app", WEB)];
    let since = now.sum("amid_app_phase_start_timestamp_seconds", &phase_since);
    let asked = now.sum("amid_app_committed_timestamp_seconds", &phase_since);
    assert!(since > asked, "{since:?} {asked:?}");

    // The process, as the kernel knows it.
    let pid = small.pid().unwrap();
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count() as f64;
    assert!((at("process_open_fds") - files).abs() <= 16.0, "{files}");
    let peak = small.peak_memory().unwrap() as f64;
    let resident = at("process_resident_memory_bytes");
    assert!(resident > 1e6 && resident <= peak, "{resident} of {peak}");
    assert!(at("process_cpu_seconds_total") > 0.0);
    assert!(at("amid_terragrunt_run_peak_memory_bytes_count") > 0.0);
    assert!(at("amid_loop_lag_seconds_count") > 3.0);
    small.still_well().unwrap();
}

/// How many series the shop has.
fn of_shop(small: &Small) -> usize {
    let series = scrape(small).series;
    let apps = series.iter().filter_map(|one| one.labels.get("app"));
    apps.filter(|app| *app == SHOP).count()
}

#[test]
fn the_series_of_an_app_go_with_its_manifest() {
    let mut small = watched::begin(Options::of(Path::new(env!("CARGO_BIN_EXE_amid")))).unwrap();
    watched::push(&small, SHOP, watched::NO_IMAGE).unwrap();
    small.until_held(SHOP, "does not exist").unwrap();
    small
        .until("the app has series", |small| Ok(of_shop(small) > 0))
        .unwrap();
    let path = format!("desired/{SHOP}.json");
    small.person.delete(&[&path], "Remove the app").unwrap();
    small.person.push().unwrap();
    small
        .until("its series are gone", |small| Ok(of_shop(small) == 0))
        .unwrap();
}
