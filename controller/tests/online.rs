//! `amid validate --online` through the real `amid`: what it says of each image on a pull request, and what
//! when AWS cannot be asked.

#![allow(
    clippy::disallowed_methods,
    reason = "tests start programs and read clocks"
)]

use std::fs;
use std::path::Path;
use std::process::Output;

use amid_testkit::cloud::{ACCOUNT, Cloud};
use amid_testkit::proxy::{Fault, FaultKind};
use amid_testkit::small::{Options, Small, manifest};
use serde_json::json;

const GOOD: &str = "ami-00000000000000001";
const OTHER_GOOD: &str = "ami-00000000000000002";
const GONE: &str = "ami-00000000000000003";
const OFF: &str = "ami-00000000000000004";
const LEAVING: &str = "ami-00000000000000005";
const CLEANED: &str = "ami-00000000000000006";
const ARM: &str = "ami-00000000000000007";
const COPYING: &str = "ami-00000000000000008";

fn cloud() -> Cloud {
    let mut cloud = Cloud::new();
    for ami in [GOOD, OTHER_GOOD, OFF, LEAVING, CLEANED, COPYING] {
        cloud.add_image(ami, "x86_64", true);
    }
    cloud.add_image(ARM, "arm64", true);
    let stale = ("amid:stale", "2026-11-01T00:00:00Z");
    let disabled = ("amid:disabled", "2026-11-15T00:00:00Z");
    for (ami, state, marks) in [
        (OFF, "disabled", vec![]),
        (LEAVING, "available", vec![stale]),
        (CLEANED, "disabled", vec![stale, disabled]),
        (COPYING, "pending", vec![]),
    ] {
        let image = cloud.images.get_mut(ami).unwrap();
        state.clone_into(&mut image.state);
        let marks = marks.into_iter();
        image.details.tags = marks
            .map(|(key, at)| (key.to_owned(), at.to_owned()))
            .collect();
    }
    cloud
}

fn small() -> Small {
    let mut options = Options::of(Path::new(env!("CARGO_BIN_EXE_amid")));
    options.cloud = Some(cloud());
    Small::new(options).unwrap()
}

/// Writes one manifest for each app and checks them as a pull request would.
fn validate(small: &Small, apps: &[(&str, &str)]) -> (i32, String) {
    let desired = small.folder().join("checkout/desired/demo");
    let _ = fs::remove_dir_all(&desired);
    fs::create_dir_all(&desired).unwrap();
    for (app, ami) in apps {
        let app = format!("demo/{app}");
        let path = desired.parent().unwrap().join(format!("{app}.json"));
        fs::write(path, manifest(&app, ami)).unwrap();
    }
    let checkout = small.folder().join("checkout");
    let output = small
        .cli(&["validate", "--online", checkout.to_str().unwrap()])
        .unwrap();
    said(&output)
}

fn said(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8(text).unwrap();
    (output.status.code().unwrap(), text)
}

#[test]
fn images_that_can_be_launched_are_no_problem() {
    let small = small();
    let (code, text) = validate(&small, &[("a", GOOD), ("b", OTHER_GOOD)]);
    assert_eq!(
        (code, &*text),
        (
            0,
            "2 manifests, no mistakes\nasked AWS about 2 images, each can be launched\n"
        )
    );
    // What is on its way out comes back by itself; that is worth a word and no more.
    let (code, text) = validate(&small, &[("a", LEAVING), ("b", CLEANED)]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!(
        "desired/demo/a.json: {LEAVING}: it is on its way out, stale since 2026-11-01T00:00:00Z; it is brought back \
         before it is launched"
    )), "{text}");
    assert!(text.contains(&format!(
        "desired/demo/b.json: {CLEANED}: clean-up disabled it since 2026-11-15T00:00:00Z; it is brought back before \
         it is launched"
    )), "{text}");
}

#[test]
fn each_image_that_cannot_be_launched_is_named_with_its_file_and_why() {
    let small = small();
    for (ami, why) in [
        (
            GONE,
            "it does not exist in 123456789012 us-east-1, or is not shared with that account",
        ),
        (
            OFF,
            "somebody disabled it, and it was not clean-up: enable it first",
        ),
        (ARM, "its architecture is arm64, and m5.large runs x86_64"),
        (COPYING, "it cannot be launched, its state is `pending`"),
    ] {
        let (code, text) = validate(&small, &[("a", ami), ("b", GOOD)]);
        assert_eq!(code, 1, "{text}");
        let line = format!("desired/demo/a.json: {ami}: {why}\n");
        assert!(text.contains(&line), "{text}");
        let sum = "asked AWS about 2 images, cannot be launched or not known: 1\n";
        assert!(text.ends_with(sum), "{text}");
        assert!(!text.contains("demo/b.json"), "{text}");
    }
}

#[test]
fn an_app_without_a_target_and_a_manifest_with_mistakes_are_said_beside_the_others() {
    let small = small();
    validate(&small, &[("a", GONE)]);
    let desired = small.folder().join("checkout/desired");
    fs::create_dir_all(desired.join("prod")).unwrap();
    fs::write(desired.join("prod/a.json"), manifest("prod/a", GOOD)).unwrap();
    fs::write(desired.join("demo/b.json"), "{}").unwrap();
    let output = small.cli(&["validate", "--online", desired.to_str().unwrap()]);
    let (code, text) = said(&output.unwrap());
    assert_eq!(code, 1, "{text}");
    for line in [
        "desired/demo/b.json",
        "desired/prod/a.json: no entry of `targets` in the config fits it",
        "desired/demo/a.json: ami-00000000000000003: it does not exist",
        "asked AWS about 2 images, cannot be launched or not known: 2",
    ] {
        assert!(text.contains(line), "{line} is missing: {text}");
    }
}

#[test]
fn when_aws_cannot_be_asked_it_says_so_and_what_it_needs() {
    let needs =
        "`--online` needs credentials that may call `sts:GetCallerIdentity`, `ec2:DescribeImages`";
    let small = small();
    let fault = |action: &str, kind| Fault {
        service: String::new(),
        action: action.to_owned(),
        naming: None,
        times: None,
        kind,
    };
    for (action, kind, why) in [
        (
            "DescribeImages",
            FaultKind::Status(403),
            "UnauthorizedOperation",
        ),
        ("GetCallerIdentity", FaultKind::Status(403), "AccessDenied"),
        (
            "DescribeImages",
            FaultKind::CutBody,
            "Failed to call DescribeImages",
        ),
        (
            "*",
            FaultKind::DropConnection,
            "Failed to call GetCallerIdentity",
        ),
    ] {
        small.standin.rules().fault(fault(action, kind));
        let (code, text) = validate(&small, &[("a", GOOD)]);
        small.standin.rules().clear_faults();
        assert_eq!(code, 1, "{text}");
        let start = "123456789012 us-east-1: AWS cannot be asked: ";
        for words in [start, why, needs] {
            assert!(text.contains(words), "{words} is missing: {text}");
        }
        // The SDK's insides are for nobody.
        assert!(!text.contains("DispatchFailure"), "{text}");
    }
}

#[test]
fn credentials_of_nobody_and_of_another_account_are_told_from_images_that_are_gone() {
    let mut small = small();
    validate(&small, &[("a", GOOD)]);
    let checkout = small.folder().join("checkout");
    let mut command = small.command(&["validate", "--online", checkout.to_str().unwrap()]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(name);
    }
    command.env("HOME", small.folder());
    let (code, text) = said(&command.output().unwrap());
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("no credentials found"), "{text}");

    let endpoint = small.standin.endpoint();
    let target = json!([{
        "prefix": "demo/",
        "account_id": "210987654321",
        "region": "us-east-1",
        "endpoint_url": endpoint,
    }]);
    small
        .reconfigure(|options| {
            options.config.insert("targets".to_owned(), target);
        })
        .unwrap();
    let (code, text) = validate(&small, &[("a", GOOD)]);
    assert_eq!(code, 1, "{text}");
    let words = format!("the credentials are those of account {ACCOUNT}");
    assert!(text.contains(&words), "{text}");
    assert!(!text.contains("does not exist"), "{text}");
}
