//! A kill before and after each request with which clean-up changes AWS.
//!
//! How far an image is stands in AWS itself, so that every start goes on where the last one died.

use std::process::Stdio;

use amid_testkit::lifetime::Guarded;
use amid_testkit::small::{IMAGE, Small};

use super::cleanup_world::{APP, OLD, small};
use super::rig::PATIENCE;

/// Where it dies: in each life one request later.
pub const POINTS: &[&str] = &[
    "cleanup-before-call:1",
    "cleanup-after-call:1",
    "cleanup-before-call:2",
    "cleanup-after-call:2",
    "cleanup-before-call:3",
];

fn is_gone(small: &Small) -> bool {
    let cloud = small.standin.cloud().expect("the cloud");
    !cloud.images.contains_key(OLD) && cloud.estate.snapshots.is_empty()
}

#[test]
fn clean_up_survives_a_kill_at_every_request() {
    let mut small = small("1s");
    small
        .push(&Small::app_files(APP, IMAGE), "First")
        .expect("a push");
    for point in POINTS {
        assert!(!is_gone(&small), "nothing was left to do at {point}");
        let mut command = small.command(&["run"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env("AMID_FAULT", format!("crash:{point}"));
        let mut amid = Guarded::spawn(&mut command).expect("amid starts");
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
