//! Clean-up through the real `amid`: the daemon's own timer, commands and
//! listeners, terraform's state by the stub, git by a real repository.

#![allow(
    clippy::disallowed_methods,
    reason = "tests start programs and read clocks"
)]

#[path = "cleanup/emulated.rs"]
mod emulated;
#[path = "cleanup/moto.rs"]
mod moto;
#[path = "cleanup/world.rs"]
mod world;

use amid_testkit::small::{IMAGE, OTHER_IMAGE, Small};
use amid_testkit::stub_terragrunt::{Control, Fault, FaultKind};
use serde_json::Value;

use world::{APP, OLD, small};

fn text(small: &Small, args: &[&str]) -> String {
    let output = small.cli(args).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    format!("{}{errors}", String::from_utf8_lossy(&output.stdout))
}

#[test]
fn a_revert_brings_a_disabled_image_back_and_rolls_to_it() {
    let mut small = small("24h");
    small.push(&Small::app_files(APP, IMAGE), "First").unwrap();
    small.start().unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    small
        .push(&Small::app_files(APP, OTHER_IMAGE), "Bump")
        .unwrap();
    small.until_deployed(APP, OTHER_IMAGE).unwrap();
    let state = |small: &Small, image: &str| {
        let cloud = small.standin.cloud().unwrap();
        cloud.images.get(image).map(|image| image.state.clone())
    };
    small
        .until("nothing needs the first image any more", |small| {
            Ok(state(small, IMAGE).as_deref() == Some("disabled"))
        })
        .unwrap();
    let why = text(&small, &["why", IMAGE]);
    assert!(why.contains("nothing keeps it"), "{why}");
    let used = text(&small, &["why", OTHER_IMAGE]);
    for reason in [
        "branches: ",
        "history: ",
        "instances: ",
        "terraform_state: ",
    ] {
        assert!(used.contains(reason), "{reason} is missing: {used}");
    }
    // What is shown is what the last run found; the run after the one that disabled it says so.
    let listener = small.listener("Metrics and status").unwrap();
    small
        .until("API and metrics show it as disabled", |small| {
            let (status, body) = small.get(listener, "/api/v1/images")?;
            assert_eq!(status, 200, "{body}");
            let shown: Value = serde_json::from_str(&body)?;
            let images = shown["places"][0]["images"].as_array().cloned();
            let mut images = images.unwrap_or_default().into_iter();
            let first = images.find(|image| image["ami"] == IMAGE);
            let (_, metrics) = small.get(listener, "/metrics")?;
            let lines = [
                "amid_images{app=\"\",stage=\"disabled\"} 2",
                "amid_images_protected{reason=\"terraform_state\"} 1",
                "amid_cleanup_disagreements_total 0",
            ];
            Ok(first.is_some_and(|image| image["stage"] == "disabled")
                && lines.iter().all(|line| metrics.contains(line)))
        })
        .unwrap();

    small.push(&Small::app_files(APP, IMAGE), "Back").unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    let cloud = small.standin.cloud().unwrap();
    let image = &cloud.images[IMAGE];
    assert_eq!(image.state, "available");
    let marks = image
        .details
        .tags
        .keys()
        .filter(|key| key.starts_with("amid:"));
    assert_eq!(marks.count(), 0, "{:?}", image.details.tags);
    assert!(state(&small, OLD).is_some(), "it waits its time");
    small.still_well().unwrap();
}

#[test]
fn killed_again_and_again_it_still_ends_and_the_kill_switch_stops_it() {
    let mut small = small("1s");
    small.push(&Small::app_files(APP, IMAGE), "First").unwrap();
    small.start().unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    let said = text(&small, &["gc", "--stop", "an audit"]);
    assert!(said.contains("--start"), "{said}");
    let refused = text(&small, &["gc", "--apply"]);
    assert!(refused.contains("an audit"), "{refused}");
    small.kill();
    // The switch outlives the daemon, and losing a run does no harm.
    small.start().unwrap();
    let shown = text(&small, &["gc", "--now"]);
    assert!(shown.contains("clean-up is switched off"), "{shown}");
    let said = text(&small, &["gc", "--start"]);
    assert!(said.contains("goes on"), "{said}");
    for round in 0..6 {
        let before = small.standin.cloud().unwrap();
        small
            .until("clean-up changed something, or is done", |small| {
                let cloud = small.standin.cloud()?;
                Ok(cloud != before || !cloud.images.contains_key(OLD))
            })
            .unwrap();
        small.kill();
        small.start().unwrap();
        assert!(round < 6);
    }
    small
        .until("what nothing needs is gone, with its snapshots", |small| {
            let cloud = small.standin.cloud()?;
            Ok(!cloud.images.contains_key(OLD) && cloud.estate.snapshots.is_empty())
        })
        .unwrap();
    let cloud = small.standin.cloud().unwrap();
    assert_eq!(cloud.images[IMAGE].state, "available");
    small.until_deployed(APP, IMAGE).unwrap();
    let json = text(&small, &["gc", "-o", "json"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert!(report["places"][0]["summary"].is_object(), "{json}");
}

#[test]
fn a_manifest_with_mistakes_stops_it_and_says_which_and_what_to_do() {
    let mut small = small("24h");
    small.push(&Small::app_files(APP, IMAGE), "First").unwrap();
    let manifest = format!("desired/{APP}.json");
    let broken = (manifest.clone(), b"{\n  \"ami\": 5\n}\n".to_vec());
    small.push(&[broken], "Break it").unwrap();
    small.start().unwrap();
    small
        .until("a run says that it only reports", |small| {
            Ok(text(small, &["gc"]).contains("only reports"))
        })
        .unwrap();
    let shown = text(&small, &["gc"]);
    let why = text(&small, &["why", OLD]);
    for (words, wanted) in [
        (
            &shown,
            "only reports: the list of terraform state was not read to its end: demo/todo: ",
        ),
        (
            &shown,
            "its manifest has mistakes: desired/demo/todo.json:1:1: ",
        ),
        (&shown, "what to do: correct what the message names"),
        (&why, "what to do: correct what the message names"),
    ] {
        assert!(words.contains(wanted), "{wanted} is missing: {words}");
    }
    let listener = small.listener("Metrics and status").unwrap();
    let (_, page) = small.get(listener, "/images").unwrap();
    assert!(page.contains("its manifest has mistakes"), "{page}");
    let (_, metrics) = small.get(listener, "/metrics").unwrap();
    let aborted = metrics
        .lines()
        .find_map(|line| line.strip_prefix("amid_cleanup_aborted_total{reason=\"incomplete\"} "));
    assert_ne!(aborted, Some("0"), "{metrics}");
    let cloud = small.standin.cloud().unwrap();
    let marks = cloud.images[OLD].details.tags.keys();
    assert!(
        marks.clone().all(|key| !key.starts_with("amid:")),
        "{marks:?}"
    );

    small
        .push(&Small::app_files(APP, IMAGE), "Correct it")
        .unwrap();
    small
        .until("it goes on", |small| {
            let cloud = small.standin.cloud()?;
            Ok(cloud.images[OLD].state == "disabled")
        })
        .unwrap();
    // A later daemon that sees nothing does not look like one that never saw anything.
    let broken = (manifest, b"{}".to_vec());
    small.push(&[broken], "Break it again").unwrap();
    small.kill();
    small.start().unwrap();
    let listener = small.listener("Metrics and status").unwrap();
    small
        .until("the metrics say when it last saw everything", |small| {
            let (_, metrics) = small.get(listener, "/metrics")?;
            let name = "amid_cleanup_last_complete_timestamp_seconds ";
            let at = metrics.lines().find_map(|line| line.strip_prefix(name));
            Ok(at.is_some_and(|at| at != "0"))
        })
        .unwrap();
}

#[test]
fn a_plan_says_that_an_image_comes_back_and_leaves_it_where_it_is() {
    let mut small = small("24h");
    small.push(&Small::app_files(APP, IMAGE), "First").unwrap();
    small.start().unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    small
        .until("nothing needs the old image", |small| {
            Ok(small.standin.cloud()?.images[OLD].state == "disabled")
        })
        .unwrap();
    text(
        &small,
        &["gc", "--stop", "nobody but a pass brings it back"],
    );
    // While this apply waits, no pass can look at what git asks for next.
    let gate = Fault {
        command: "apply".to_owned(),
        unit: None,
        after: 1,
        times: Some(1),
        kind: FaultKind::Gate,
    };
    let faults = vec![gate];
    let applied = small.stub.started("apply").unwrap();
    let control = Control {
        faults,
        ..Control::default()
    };
    small.stub.control(&control).unwrap();
    small
        .push(&Small::app_files(APP, OTHER_IMAGE), "Bump")
        .unwrap();
    small
        .until("an apply waits", |small| {
            Ok(
                small.stub.started("apply")? > applied
                    && small.stub.controlled()?.faults.is_empty(),
            )
        })
        .unwrap();
    let back = small.push(&Small::app_files(APP, OLD), "Back").unwrap();
    small
        .until("the last commit is accepted", |small| {
            Ok(small.status()?["repository"]["accepted"] == back.to_string())
        })
        .unwrap();

    let before = small.standin.cloud().unwrap();
    small.standin.reset_counts();
    let plan = text(&small, &["plan", APP]);
    assert!(
        plan.contains(&format!("note: {OLD}: clean-up disabled it")),
        "{plan}"
    );
    assert!(!plan.contains("held"), "{plan}");
    for request in small.standin.counts().keys() {
        let reads = ["Describe", "List", "Get"];
        assert!(
            reads.iter().any(|verb| request.starts_with(verb)),
            "{request}"
        );
    }
    let after = small.standin.cloud().unwrap();
    assert_eq!(after.images, before.images);

    small.stub.open_gate().unwrap();
    small.until_deployed(APP, OLD).unwrap();
    assert_eq!(
        small.standin.cloud().unwrap().images[OLD].state,
        "available"
    );
}
