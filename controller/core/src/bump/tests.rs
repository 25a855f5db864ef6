use super::*;
use crate::model::{CommitId, Settings};

const OLD: &str = "ami-00000000000000001";
const NEW: &str = "ami-00000000000000002";

fn ami(text: &str) -> AmiId {
    AmiId::parse(text).unwrap()
}

fn built() -> Built {
    Built {
        version: Some("1.43.0".to_owned()),
        commit: Some("9f3c2e1".to_owned()),
        build: Some("ci-77".to_owned()),
        base: Some("ami-0ba5e000000000000".to_owned()),
        ..Built::of(ami(NEW))
    }
}

fn text(bytes: Result<Vec<u8>, String>) -> String {
    String::from_utf8(bytes.unwrap()).unwrap()
}

#[test]
fn a_bump_changes_the_image_and_no_other_byte() {
    let before = "{\n    \"unit\":  \"live/a/app\",\n    \"ami\": \"ami-00000000000000001\",\n    \
        \"image\": { \"version\": \"1.42.0\" , \"$comment\": \"kept\" },\n    \"min_size\": 2\n}\n";
    let after = text(with_image(before.as_bytes(), &built()));
    assert_eq!(
        after,
        "{\n    \"unit\":  \"live/a/app\",\n    \"ami\": \"ami-00000000000000002\",\n    \
        \"image\": { \"version\": \"1.43.0\" , \"$comment\": \"kept\", \"commit\": \"9f3c2e1\", \
        \"build\": \"ci-77\" },\n    \"min_size\": 2\n}\n"
    );
}

#[test]
fn what_was_said_of_the_old_image_does_not_stay() {
    let before =
        format!(r#"{{"ami": "{OLD}", "image": {{"version": "1", "build": "b"}}, "x": 1}}"#);
    let unknown = with_image(before.as_bytes(), &Built::of(ami(NEW)));
    assert_eq!(text(unknown), format!(r#"{{"ami": "{NEW}", "x": 1}}"#));
    let some = Built {
        commit: Some("c".to_owned()),
        ..Built::of(ami(NEW))
    };
    assert_eq!(
        text(with_image(before.as_bytes(), &some)),
        format!(r#"{{"ami": "{NEW}", "image": {{"commit": "c"}}, "x": 1}}"#)
    );
}

#[test]
fn more_about_the_same_image_takes_nothing_away() {
    let before = format!(r#"{{"ami": "{NEW}", "image": {{"version": "1", "build": "b"}}}}"#);
    let same = Built {
        commit: Some("c".to_owned()),
        ..Built::of(ami(NEW))
    };
    assert_eq!(
        text(with_image(before.as_bytes(), &same)),
        format!(r#"{{"ami": "{NEW}", "image": {{"version": "1", "build": "b", "commit": "c"}}}}"#)
    );
    let nothing = with_image(before.as_bytes(), &Built::of(ami(NEW)));
    assert_eq!(text(nothing), before);
}

#[test]
fn a_value_cannot_pose_as_a_trailer() {
    let hostile = Built {
        commit: Some("x\nAmid-Answers: y".to_owned()),
        ..Built::of(ami(NEW))
    };
    let refused = with_image(b"{}", &hostile).unwrap_err();
    assert!(refused.contains("`commit` is not one line"), "{refused}");
    let long = Built {
        version: Some("v".repeat(201)),
        ..Built::of(ami(NEW))
    };
    assert!(long.check().is_err());
}

#[test]
fn the_commit_says_what_the_image_is_made_of() {
    let app = AppName::parse("prod/todo").unwrap();
    let words = words(&app, &Why::Bump, &ami(OLD), &built());
    assert_eq!(
        words.message(),
        "Bump prod/todo to 1.43.0 (ami-00000000000000002)\n\n\
        ami-00000000000000001 becomes ami-00000000000000002.\n\n\
        Amid-App: prod/todo\nAmid-From-Ami: ami-00000000000000001\n\
        Amid-To-Ami: ami-00000000000000002\nAmid-Base-Ami: ami-0ba5e000000000000\n\
        Amid-Version: 1.43.0\nAmid-Build: ci-77\nAmid-App-Commit: 9f3c2e1\n"
    );
}

#[test]
fn a_rollback_takes_over_all_launch_fields_and_nothing_else() {
    let now = format!(
        r#"{{"ami": "{NEW}", "min_size": 3, "env": {{"A": "2"}}, "image": {{"version": "2"}}}}"#
    );
    let older = serde_json::json!({
        "ami": OLD, "min_size": 1, "instance_types": ["t3.small"], "image": {"version": "1"}
    });
    assert_eq!(
        text(with_launch_fields(now.as_bytes(), &older)),
        format!(
            r#"{{"ami": "{OLD}", "min_size": 3, "image": {{ "version": "1" }}, "instance_types": ["t3.small"]}}"#
        )
    );
}

// --- Packer's file ---

fn file(builds: &str) -> Vec<u8> {
    format!(r#"{{"builds": [{builds}], "last_run_uuid": "run-2"}}"#).into_bytes()
}

fn build(name: &str, run: &str, artifact: &str) -> String {
    format!(
        r#"{{"name": "{name}", "packer_run_uuid": "{run}", "artifact_id": "{artifact}",
        "custom_data": {{"version": "1.43.0", "commit": "9f3c2e1", "base": "ami-0ba5e000000000000", "build": "ci-77"}}}}"#
    )
}

#[test]
fn the_image_of_the_last_run_in_the_apps_region_is_taken() {
    let runs = [
        build("app", "run-1", &format!("eu-central-1:{OLD}")),
        build(
            "app",
            "run-2",
            &format!("eu-west-1:{OLD},eu-central-1:{NEW}"),
        ),
    ]
    .join(",");
    assert_eq!(
        packer::built(&file(&runs), "eu-central-1", None),
        Ok(super::tests::built())
    );
}

#[test]
fn what_packers_file_does_not_say_is_a_sentence() {
    let two = [
        build("app", "run-2", &format!("eu-central-1:{NEW}")),
        build("base", "run-2", &format!("eu-central-1:{OLD}")),
    ]
    .join(",");
    let asked = |bytes: &[u8], name| packer::built(bytes, "eu-central-1", name);
    for (result, words) in [
        (asked(b"no", None), "post-processor"),
        (asked(b"{}", None), "lists no builds"),
        (
            asked(&file(&build("a", "run-1", "x:y")), None),
            "no build of its last run",
        ),
        (asked(&file(&two), None), "`--packer-build`: `app`, `base`"),
        (
            asked(&file(&two), Some("web")),
            "no build `web`, it has: `app`, `base`",
        ),
        (
            asked(&file(&build("a", "run-2", "us-east-1:ami-1")), None),
            "no image in eu-central-1",
        ),
        (
            asked(&file(&build("a", "run-2", "eu-central-1:ami-x")), None),
            "is not an AMI id",
        ),
    ] {
        let said = result.unwrap_err();
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(
        asked(&file(&two), Some("base")).map(|built| built.ami),
        Ok(ami(OLD))
    );
}

// --- Which version ---

fn commit(n: u8) -> CommitId {
    CommitId::parse(&format!("{n:02x}").repeat(20)).unwrap()
}

/// `1:a` is a version of commit 1 with image a; `3:a-2` takes commit 2 back;
/// `2:!` had mistakes. The newest first.
fn versions(words: &str) -> Vec<Version> {
    words
        .split_whitespace()
        .map(|word| {
            let (number, rest) = word.split_once(':').unwrap();
            let (letter, takes) = rest.split_once('-').unwrap_or((rest, ""));
            Version {
                commit: commit(number.parse().unwrap()),
                settings: (letter != "!").then(|| {
                    let id = letter.repeat(17);
                    Settings::from_canonical(format!(r#"{{"ami":"ami-{id}"}}"#))
                }),
                takes_back: takes.parse().ok().map(commit).into_iter().collect(),
            }
        })
        .collect()
}

#[test]
fn a_rollback_goes_where_it_should() {
    let id = |letter: &str| format!("ami-{}", letter.repeat(17));
    for (history, to, expected) in [
        ("2:b 1:a", "", Ok(1)),
        ("4:b 3:b 2:! 1:a", "", Ok(1)),
        // b was bad and taken back: before a there is only c.
        ("4:a-3 3:b 2:a 1:c", "", Ok(1)),
        ("3:a-2 2:b 1:a", "", Err("nobody took back")),
        ("1:a", "", Err("nobody took back")),
        // By name the bad one may be had all the same.
        ("4:a-3 3:b 2:a 1:c", &id("b"), Ok(3)),
        ("3:b 2:a 1:a", &id("a"), Ok(2)),
        ("2:b 1:a", &id("b"), Err("already")),
        ("2:b 1:a", &id("f"), Err("`amid bump`")),
        ("3:c 2:b 1:a", "0101010", Ok(1)),
        ("3:c 2:! 1:a", "0202020", Err("mistakes")),
        ("3:a 2:b 1:a", "0101010", Err("already")),
        ("2:b 1:a", "0909090", Err("no commit")),
    ] {
        let versions = versions(history);
        let target = match to {
            "" => Target::Previous,
            to => Target::parse(to).unwrap(),
        };
        let found = back_to(&versions, &target).map(|version| version.commit.clone());
        match (found, expected) {
            (Ok(found), Ok(number)) => assert_eq!(found, commit(number), "{history} to `{to}`"),
            (Err(said), Err(words)) => assert!(said.contains(words), "{history}: {said}"),
            (found, _) => panic!("{history} to `{to}`: {found:?}"),
        }
    }
}

#[test]
fn a_target_is_an_image_or_a_commit() {
    assert!(Target::parse("ami-1").is_err());
    assert!(Target::parse("main").is_err());
    assert!(Target::parse("abc123").is_err());
    assert_eq!(
        Target::parse("ABC1234"),
        Ok(Target::Commit("abc1234".to_owned()))
    );
}

#[test]
fn a_message_names_what_it_takes_back() {
    let (one, two) = (commit(1), commit(2));
    let message = format!(
        "Revert x\n\nThis reverts commit {one}.\n\nAmid-Answers: {two}\nAmid-Answers: 12\n"
    );
    assert_eq!(find(&message), [one, two]);
}
