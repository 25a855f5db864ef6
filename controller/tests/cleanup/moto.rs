//! The whole way out of an account that moto holds, with every kind of user and every kind of trouble.

use std::time::{Duration, Instant};

use amid_testkit::proxy::{Fault, FaultKind, LATER_PAGE};

use super::emulated::Emulated;
use super::world::{APP, cleanup};

/// Longer than the whole way takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

fn wait(world: &mut Emulated, what: &str, so: impl Fn(&Emulated) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so(world) {
        world.small.still_well().unwrap();
        assert!(
            Instant::now() < deadline,
            "Not so within {} s: {what}; the last run says {}",
            PATIENCE.as_secs(),
            world.report().unwrap()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_nothing_needs_leaves_moto_stage_by_stage_and_everything_else_stays() {
    let Some(mut world) = Emulated::new(cleanup("1s"), APP).unwrap() else {
        return;
    };
    // Every list has several pages.
    world.proxy.rules().largest_page(2);
    let before = world.shown().unwrap();
    let earlier = world.changes().len();
    world.small.start().unwrap();
    wait(&mut world, "what nothing needs is gone", |world| {
        world.is_clean().unwrap()
    });
    let after = world.shown().unwrap();
    for (label, ami) in world.needed() {
        assert_eq!(after.get(&ami), before.get(&ami), "{label}");
    }
    assert_eq!(after.len(), world.needed().len());
    let asked = world.changes().split_off(earlier);
    let changes: Vec<&str> = asked.iter().map(|one| one.action.as_str()).collect();
    // Two images go side by side: each request comes twice, one after the other.
    let once = [
        vec!["CreateTags"],
        vec!["CreateTags", "EnableImageDeprecation", "CreateTags"],
        vec!["CreateTags", "DisableImage", "CreateTags"],
        vec!["CreateTags", "DeregisterImage"],
    ];
    let twice: Vec<&str> = once.iter().flat_map(|stage| stage.repeat(2)).collect();
    assert_eq!(changes, twice);
    assert!(asked.iter().all(|one| one.status == Some(200)), "{asked:?}");
    // Each image that is left says why.
    let report = world.report().unwrap();
    for (label, ami) in world.needed() {
        let output = world.small.cli(&["why", &ami]).unwrap();
        let why = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(why.contains(&format!("{label}: ")), "{label}: {why}");
    }
    assert_eq!(report["blockers"].as_array().map(Vec::len), Some(0));
    world.small.still_well().unwrap();
}

#[test]
fn pages_that_break_off_let_it_only_report_and_throttling_is_waited_out() {
    let Some(mut world) = Emulated::new(cleanup("1s"), APP).unwrap() else {
        return;
    };
    world.proxy.rules().largest_page(2);
    let before = world.shown().unwrap();
    let earlier = world.changes().len();
    let broken = [
        ("DescribeImages", FaultKind::CutBody),
        ("DescribeSnapshots", FaultKind::Status(500)),
        ("DescribeLaunchTemplateVersions", FaultKind::DropConnection),
        ("DescribeVolumes", FaultKind::Status(403)),
    ];
    for (action, kind) in broken {
        // The first page is good.
        let naming = (action != "DescribeVolumes").then(|| LATER_PAGE.to_owned());
        world.proxy.rules().fault(Fault {
            service: "ec2".to_owned(),
            action: action.to_owned(),
            naming,
            times: None,
            kind,
        });
    }
    world.small.start().unwrap();
    wait(&mut world, "each broken list is said", |world| {
        let report = world.report().unwrap();
        let blockers = report["blockers"].as_array().into_iter().flatten();
        let said: String = blockers.filter_map(|one| one["text"].as_str()).collect();
        broken.iter().all(|(action, _)| said.contains(action))
    });
    // One more whole run changes nothing either.
    let output = world.small.cli(&["gc", "--now"]).unwrap();
    assert!(output.status.success());
    assert_eq!(world.changes().len(), earlier);

    world.proxy.rules().clear_faults();
    for (service, action, times) in [
        ("ec2", "Describe*", 12),
        ("autoscaling", "*", 4),
        ("ssm", "*", 4),
        ("ec2", "CreateTags", 6),
        ("ec2", "DisableImage", 2),
        ("ec2", "DeregisterImage", 2),
    ] {
        world.proxy.rules().fault(Fault {
            service: service.to_owned(),
            action: action.to_owned(),
            naming: None,
            times: Some(times),
            kind: FaultKind::Throttle,
        });
    }
    wait(&mut world, "what nothing needs is gone", |world| {
        // The test's own looks are refused, too.
        world.is_clean().unwrap_or(false)
    });
    let after = world.shown().unwrap();
    for (label, ami) in world.needed() {
        assert_eq!(after.get(&ami), before.get(&ami), "{label}");
    }
    let refused = world.changes();
    let refused = refused.iter().filter(|one| one.status == Some(503));
    assert_eq!(refused.count(), 10, "every refusal was met");
    world.small.still_well().unwrap();
}
