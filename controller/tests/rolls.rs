//! What surrounds a roll, through the real `amid`: gates, groups that a killed
//! apply left, lost state directories, unreadable targets, ends of commits, and
//! looking ahead.
//!
//! Terragrunt and AWS are the test kit's stub and stand-in.

#![allow(
    missing_docs,
    clippy::disallowed_methods,
    reason = "tests start programs and read clocks"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use amid_core::manifest::parse::{Source, parse_one};
use amid_core::model::ReleaseKey;
use amid_testkit::cloud::{NewGroup, Template};
use amid_testkit::small::{IMAGE, OTHER_IMAGE, Options, Small, manifest};
use jiff::Timestamp;
use serde_json::{Value, json};

const APP: &str = "demo/app";

fn options() -> Options {
    Options::of(Path::new(env!("CARGO_BIN_EXE_amid")))
}

fn file(app: &str, text: &str) -> (String, Vec<u8>) {
    (format!("desired/{app}.json"), text.as_bytes().to_vec())
}

fn key(text: &str) -> ReleaseKey {
    let source = Source {
        path: "desired/demo/app.json",
        bytes: text.as_bytes(),
    };
    parse_one(&source).unwrap().settings().key()
}

/// A group as an apply leaves it that is killed before terraform writes its
/// state.
fn leave_behind(small: &Small, text: &str) -> String {
    let key = key(text);
    let name = format!("demo-app-{key}");
    let made = name.clone();
    small
        .stub
        .cloud_file()
        .change(|cloud| {
            let tags = BTreeMap::from([
                ("amid:app".to_owned(), APP.to_owned()),
                ("amid:release".to_owned(), key.to_string()),
            ]);
            let now = Timestamp::now();
            let image = if text.contains(OTHER_IMAGE) {
                OTHER_IMAGE
            } else {
                IMAGE
            };
            let template = cloud.create_template(Template {
                name: made.clone(),
                image: image.to_owned(),
                instance_type: "m5.large".to_owned(),
                tags: tags.clone(),
                created: now,
            })?;
            let group = NewGroup {
                name: made,
                template,
                min: 1,
                max: 2,
                desired: 1,
                target_groups: Vec::new(),
                tags,
            };
            cloud.create_group(group, now)
        })
        .unwrap();
    name
}

fn history(small: &Small, app: &str) -> Vec<Value> {
    let shown = small
        .cli(&["history", app, "-o", "json", "--limit", "1000"])
        .unwrap();
    let entries: Vec<Value> =
        serde_json::from_slice(&shown.stdout).unwrap_or_else(|error| panic!("{error}: {shown:?}"));
    entries
        .into_iter()
        .map(|entry| entry["event"].clone())
        .collect()
}

/// How each commit of an app ended, in order.
fn ends(small: &Small, app: &str) -> Vec<(String, String)> {
    let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    history(small, app)
        .iter()
        .filter(|event| event["event"] == "ended")
        .map(|event| (text(event, "commit"), text(event, "outcome")))
        .collect()
}

fn adopted(small: &Small) -> Vec<String> {
    history(small, APP)
        .iter()
        .filter(|event| event["event"] == "finished" && event["error"].is_null())
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("step"), text("key"))
        })
        .collect()
}

/// A gate that says no until it is told otherwise.
fn gate() -> (String, Arc<AtomicBool>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/set", listener.local_addr().unwrap());
    let (open, asked) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let (said, count) = (Arc::clone(&open), Arc::clone(&asked));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            AtomicUsize::fetch_add(&count, 1, Ordering::SeqCst);
            let answer = if said.load(Ordering::SeqCst) {
                "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
            } else {
                "HTTP/1.1 503 No\r\ncontent-length: 15\r\nconnection: close\r\n\r\n2 of 3 are well"
            };
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, open, asked)
}

#[test]
fn a_roll_waits_until_its_gate_opens() {
    let (url, open, asked) = gate();
    let gated = |image: &str| {
        let mut value: Value = serde_json::from_str(&manifest(APP, image)).unwrap();
        value["gate"] = json!({ "url": url, "timeout": "2s", "retries": 0 });
        value.to_string()
    };
    let mut small = Small::new(options()).unwrap();
    let files = [file(APP, &gated(IMAGE)), Small::unit_file(APP)];
    small.push(&files, "Add an app").unwrap();
    small.start().unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    assert_eq!(
        asked.load(Ordering::SeqCst),
        0,
        "a first release asks nobody"
    );

    small
        .push(&[file(APP, &gated(OTHER_IMAGE))], "Bump")
        .unwrap();
    let words = format!("waiting for the gate {url}: 503 2 of 3 are well");
    small
        .until("the gate is waited for", |small| {
            Ok(small.app(APP)?["state"]["text"] == words)
        })
        .unwrap();
    assert_eq!(small.stub.cloud().unwrap().groups.len(), 1);
    open.store(true, Ordering::SeqCst);
    small.until_deployed(APP, OTHER_IMAGE).unwrap();
    small.stop().unwrap();
}

#[test]
fn a_group_that_git_asks_for_no_more_is_taken_in_and_away() {
    let mut small = Small::new(options()).unwrap();
    small
        .push(&Small::app_files(APP, IMAGE), "Add an app")
        .unwrap();
    small.start().unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    small.stop().unwrap();

    // The bump's apply was killed, and git went back meanwhile.
    let bumped = manifest(APP, OTHER_IMAGE);
    small.push(&[file(APP, &bumped)], "Bump").unwrap();
    small
        .push(&[file(APP, &manifest(APP, IMAGE))], "Go back")
        .unwrap();
    let left = leave_behind(&small, &bumped);
    small.start().unwrap();
    small
        .until("the group is gone", |small| {
            let gone = !small.stub.cloud()?.groups.contains_key(&left);
            Ok(gone && small.app(APP)?["phase"] == "steady")
        })
        .unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    let key = key(&bumped);
    let steps = adopted(&small);
    let expected = ["adopt", "drain", "remove"].map(|step| format!("{step} {key}"));
    assert!(steps.ends_with(&expected), "{steps:?}");
    small.stop().unwrap();
}

#[test]
fn a_group_that_looks_right_is_asked_for_after_a_start_without_history() {
    let mut small = Small::new(options()).unwrap();
    small
        .push(&Small::app_files(APP, IMAGE), "Add an app")
        .unwrap();
    // The very first apply was killed, and the state directory is lost.
    leave_behind(&small, &manifest(APP, IMAGE));
    small.start().unwrap();
    small
        .until("terraform takes it in", |small| {
            Ok(adopted(small).iter().any(|step| step.starts_with("add ")))
        })
        .unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    small.stop().unwrap();
}

#[test]
fn a_rewritten_branch_is_held_although_the_state_directory_is_lost() {
    let mut small = Small::new(options()).unwrap();
    let first = small
        .push(&Small::app_files(APP, IMAGE), "Add an app")
        .unwrap();
    small
        .push(&[file("demo/other", "{}")], "Something that will be lost")
        .unwrap();
    small.start().unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    small.stop().unwrap();

    std::fs::remove_dir_all(small.state_dir()).unwrap();
    small.person.reset(first).unwrap();
    let bumped = [file(APP, &manifest(APP, OTHER_IMAGE))];
    let files: Vec<(&str, &[u8])> = bumped
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_slice()))
        .collect();
    let head = small.person.commit(&files, "Bump elsewhere").unwrap();
    small.person.force_push().unwrap();
    small.start().unwrap();
    small.until_held(APP, "the branch was rewritten").unwrap();
    // Also after a start that finds the journal of this one.
    small.stop().unwrap();
    small.start().unwrap();
    small.until_held(APP, "the branch was rewritten").unwrap();
    let groups = small.stub.cloud().unwrap().groups;
    assert_eq!(groups.len(), 1, "nothing of it is applied: {groups:?}");

    let hold = format!("rewritten-{}", &head.to_string()[..8]);
    let approved = small.cli(&["approve", &hold]).unwrap();
    assert!(approved.status.success(), "{approved:?}");
    small.until_deployed(APP, OTHER_IMAGE).unwrap();
    small.stop().unwrap();
}

#[test]
fn a_target_that_cannot_be_read_stops_no_other() {
    let mut small = Small::new(options()).unwrap();
    // Nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let target = |prefix: &str, url: &str| {
        json!({
            "prefix": prefix,
            "account_id": amid_testkit::cloud::ACCOUNT,
            "region": "us-east-1",
            "endpoint_url": url,
        })
    };
    let live = small.standin.endpoint().to_string();
    small
        .reconfigure(|options| {
            let targets = json!([target("dead/", &dead), target("demo/", &live)]);
            options.config.insert("targets".to_owned(), targets);
        })
        .unwrap();
    let mut files = Small::app_files(APP, IMAGE);
    files.extend(Small::app_files("dead/app", IMAGE));
    small.push(&files, "Add two apps").unwrap();
    small.start().unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    small
        .until_held("dead/app", "the app cannot be looked at")
        .unwrap();
    // And it goes on so.
    small
        .push(&[file(APP, &manifest(APP, OTHER_IMAGE))], "Bump")
        .unwrap();
    small.until_deployed(APP, OTHER_IMAGE).unwrap();
    small.stop().unwrap();
}

#[test]
fn a_commit_with_mistakes_and_one_whose_manifest_goes_come_to_their_end() {
    let mut small = Small::new(options()).unwrap();
    let first = small
        .push(&Small::app_files(APP, IMAGE), "Add an app")
        .unwrap();
    small.start().unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    let bad = small.push(&[file(APP, "{}")], "Break it").unwrap();
    small
        .until("the commit is rejected", |small| {
            Ok(ends(small, APP).len() == 2)
        })
        .unwrap();
    // An image that does not exist keeps this one open.
    let missing = manifest(APP, "ami-0000000000000000f");
    let open = small.push(&[file(APP, &missing)], "Bump").unwrap();
    small.until_held(APP, "does not exist").unwrap();
    small.stop().unwrap();
    let path = format!("desired/{APP}.json");
    small.person.delete(&[&path], "Delete it").unwrap();
    small.person.push().unwrap();
    small.start().unwrap();
    small.until_held(APP, "the manifest is gone").unwrap();
    let expected = [
        (first.to_string(), "applied".to_owned()),
        (bad.to_string(), "rejected".to_owned()),
        (open.to_string(), "superseded".to_owned()),
    ];
    assert_eq!(ends(&small, APP), expected);
    small.stop().unwrap();
}

#[test]
fn the_whole_roll_is_shown_with_a_daemon_and_without() {
    let mut small = Small::new(options()).unwrap();
    small
        .push(&Small::app_files(APP, IMAGE), "Add an app")
        .unwrap();
    small.start().unwrap();
    small.until_deployed(APP, IMAGE).unwrap();
    small
        .until("there is nothing to do", |small| {
            Ok(small.cli(&["plan", APP])?.status.code() == Some(0))
        })
        .unwrap();
    small.cli(&["suspend", APP, "--reason", "a look"]).unwrap();
    small.stop().unwrap();

    small
        .push(&[file(APP, &manifest(APP, OTHER_IMAGE))], "Bump")
        .unwrap();
    let plan = small.cli(&["plan", APP, "--commands"]).unwrap();
    let shown = String::from_utf8_lossy(&plan.stdout).into_owned();
    let said = String::from_utf8_lossy(&plan.stderr).into_owned();
    assert_eq!(plan.status.code(), Some(2), "{shown}{said}");
    assert!(said.contains("no daemon runs here"), "{said}");
    let lines = [
        "1. add ",
        "   wait until ",
        "2. drain ",
        "3. remove ",
        "   end: ",
    ];
    let mut rest = shown.as_str();
    for line in lines {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line}: {shown}"));
        rest = &rest[at + line.len()..];
    }
    assert_eq!(shown.matches("terragrunt apply").count(), 3, "{shown}");
    let groups = small.stub.cloud().unwrap().groups;
    assert_eq!(groups.len(), 1, "nothing was done: {groups:?}");
}
