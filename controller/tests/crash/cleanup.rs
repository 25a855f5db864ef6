//! A kill before and after each request with which clean-up changes AWS.
//!
//! How far an image is stands in AWS itself, so that every start goes on where the last one died.

use std::process::Stdio;
use std::time::{Duration, Instant};

use amid_testkit::lifetime::Guarded;
use amid_testkit::small::{IMAGE, Small};

use super::cleanup_emulated::Emulated;
use super::cleanup_world::{APP, OLD, cleanup, small};
use super::rig::PATIENCE;

/// Where it dies: in each life one request later.
pub const POINTS: &[&str] = &[
    "cleanup-before-call:1",
    "cleanup-after-call:1",
    "cleanup-before-call:2",
    "cleanup-after-call:2",
    "cleanup-before-call:3",
];

/// Between two looks at an `amid` that is to die.
const TICK: Duration = Duration::from_millis(50);

fn is_gone(small: &Small) -> bool {
    let cloud = small.standin.cloud().expect("the cloud");
    !cloud.images.contains_key(OLD) && cloud.estate.snapshots.is_empty()
}

/// Starts an `amid` that dies at this point.
fn doomed(small: &Small, point: &str) -> Guarded {
    let mut command = small.command(&["run"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env("AMID_FAULT", format!("crash:{point}"));
    Guarded::spawn(&mut command).expect("amid starts")
}

#[test]
fn clean_up_survives_a_kill_at_every_request() {
    let mut small = small("1s");
    small
        .push(&Small::app_files(APP, IMAGE), "First")
        .expect("a push");
    for point in POINTS {
        assert!(!is_gone(&small), "nothing was left to do at {point}");
        let mut amid = doomed(&small, point);
        let ended = amid.wait(PATIENCE).expect("a look at amid");
        assert!(ended.is_some(), "amid never came to {point}");
    }
    small.start().expect("amid starts");
    small
        .until("what nothing needs is gone", |small| Ok(is_gone(small)))
        .expect("it goes on");
    small.until_deployed(APP, IMAGE).expect("the app runs");
    let cloud = small.standin.cloud().expect("the cloud");
    assert_eq!(cloud.images[IMAGE].state, "available");
}

/// The same on an account that moto holds, from the first request to the last one.
#[test]
fn clean_up_of_what_moto_holds_survives_kills_on_its_whole_way() {
    let Some(mut world) = Emulated::new(cleanup("1s"), APP).expect("the world") else {
        return;
    };
    let before = world.shown().expect("the images");
    let mut deaths = 0;
    for point in POINTS.iter().cycle().take(60) {
        let mut amid = doomed(&world.small, point);
        let deadline = Instant::now() + PATIENCE;
        // The last life may find too little to do to come to its point.
        while !world.is_clean().expect("a look") {
            if amid.wait(TICK).expect("a look at amid").is_some() {
                deaths += 1;
                break;
            }
            assert!(Instant::now() < deadline, "amid never came to {point}");
        }
        if world.is_clean().expect("a look") {
            break;
        }
    }
    assert!(deaths >= POINTS.len(), "only {deaths} deaths");
    assert!(world.is_clean().expect("a look"), "it ends");
    let after = world.shown().expect("the images");
    for (label, ami) in world.needed() {
        assert_eq!(after.get(&ami), before.get(&ami), "{label}");
    }
}
