//! What the parser says of good, bad and hostile files.

use serde_json::{Value, json};

use super::super::*;
use super::{FULL, least, messages, one, without_comments};
use crate::model::AppName;

fn with(changes: Value) -> String {
    let mut manifest = least();
    if let (Value::Object(manifest), Value::Object(changes)) = (&mut manifest, changes) {
        manifest.extend(changes);
    }
    manifest.to_string()
}

#[test]
fn a_full_manifest_reads_as_serde_reads_it() {
    let mut value: Value = serde_json::from_str(FULL).unwrap_or_default();
    without_comments(&mut value);
    let expected: Manifest = serde_json::from_value(value).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(one(FULL), Ok(expected));
}

#[test]
fn what_is_left_out_has_its_default() {
    let expected: Manifest = serde_json::from_value(least()).unwrap_or_else(|e| panic!("{e}"));
    let read = one(least().to_string());
    assert_eq!(read.as_ref(), Ok(&expected));
    let read = read.unwrap_or(expected);
    assert_eq!(read.revision, None);
    assert_eq!(read.roll, Roll::default());
    assert_eq!(read.health.timeout, Seconds(900));
}

#[test]
fn all_mistakes_of_a_file_are_reported_with_their_places() {
    let text = r#"{
  "unit": "live/a", "amis": "ami-0f3a9c2b",
  "instance_types": ["m7g.large", 3, "m7g.large"],
  "min_size": 3, "max_size": 2,
  "$comment": "é", "roll": { "canary": 9, "bak": "5m", "drain": "5 minutes" },
  "on_failure": null
}"#;
    let problems = one(text).err().unwrap_or_default();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "desired/a.json:1:1: missing field `ami`",
            "desired/a.json:2:21: unknown field `amis`, did you mean `ami`?",
            "desired/a.json:3:35: `instance_types[1]`: expected a text, found the number `3`",
            "desired/a.json:3:38: `instance_types[2]`: `m7g.large` is in the list already: remove it",
            "desired/a.json:4:15: `min_size`: 3 is more than `max_size`: 2",
            "desired/a.json:5:40: `roll.canary`: 9 is more than `max_size`: 2",
            "desired/a.json:5:43: unknown field `bak` in `roll`, did you mean `bake`?",
            "desired/a.json:5:65: `roll.drain`: `5 minutes` is not a duration: write `90s`, `10m` or `1h30m`",
            "desired/a.json:6:17: `on_failure`: expected `revert` or `pull_request` or `hold`, found null: a field without a value is left out",
        ]
    );
    let fields: Vec<Option<&str>> = problems.iter().map(|p| p.field.as_deref()).collect();
    assert_eq!(fields[6], Some("roll.bak"));
    assert_eq!(fields[2], Some("instance_types[1]"));
}

#[test]
fn each_rule_has_its_sentence() {
    let long = "x".repeat(16 * 1024 + 1);
    for (changes, expected) in [
        (
            json!({"ami": "ami-XYZ"}),
            "`ami`: `ami-XYZ` is not an AMI id: `ami-` and 8 or 17 hexadecimal digits",
        ),
        (
            json!({"unit": "../a"}),
            "`unit`: `../a` holds `..`: a unit's folders begin with a letter, a digit or `_`",
        ),
        (
            json!({"unit": "a/./b"}),
            "`unit`: `a/./b` holds `.`: a unit's folders begin with a letter, a digit or `_`",
        ),
        (
            json!({"unit": "a//b"}),
            "`unit`: `a//b` holds an empty folder name: a unit's folders begin with a letter, a digit or `_`",
        ),
        (
            json!({"unit": "a/"}),
            "`unit`: `a/` holds an empty folder name: a unit's folders begin with a letter, a digit or `_`",
        ),
        (
            json!({"unit": "a/-x"}),
            "`unit`: `a/-x` holds `-x`: a unit's folders begin with a letter, a digit or `_`",
        ),
        (
            json!({"unit": "/a"}),
            "`unit`: `/a` begins with `/`: write it relative to the `terraform` folder",
        ),
        (
            json!({"unit": "a\\b"}),
            "`unit`: `a\\b` holds `\\`: a unit's path is made of letters, digits, `.`, `_`, `-` and `/`",
        ),
        (
            json!({"unit": "a\nb"}),
            "`unit`: `a\\nb` holds `\\n`: a unit's path is made of letters, digits, `.`, `_`, `-` and `/`",
        ),
        (
            json!({"unit": "а"}),
            "`unit`: `а` holds `а`: a unit's path is made of letters, digits, `.`, `_`, `-` and `/`",
        ),
        (
            json!({"unit": ""}),
            "`unit`: a unit's path has 1 to 200 characters, this one has 0",
        ),
        (
            json!({"instance_types": []}),
            "`instance_types`: expected 1 to 40 instance types, found 0",
        ),
        (
            json!({"instance_types": vec!["m7g.large"; 41]}),
            "`instance_types`: expected 1 to 40 instance types, found 41",
        ),
        (
            json!({"instance_types": "m7g.large"}),
            "`instance_types`: expected a list of texts, found the text `m7g.large`",
        ),
        (
            json!({"instance_types": ["m7g"]}),
            "`instance_types[0]`: `m7g` is not an instance type: they look like `m7g.large`",
        ),
        (
            json!({"min_size": -1}),
            "`min_size`: expected a whole number from 0 to 100000, found the number `-1`",
        ),
        (
            json!({"max_size": 0, "min_size": 0}),
            "`max_size`: expected a whole number from 1 to 100000, found the number `0`",
        ),
        (
            json!({"max_size": 4294967296_u64}),
            "`max_size`: expected a whole number from 1 to 100000, found the number `4294967296`",
        ),
        (
            json!({"min_size": 1.5}),
            "`min_size`: expected a whole number, found the number `1.5`",
        ),
        (
            json!({"min_size": "1"}),
            "`min_size`: expected a whole number, found the text `1`",
        ),
        (
            json!({"min_size": 3}),
            "`min_size`: 3 is more than `max_size`: 2",
        ),
        (
            json!({"roll": {"canary": 3}}),
            "`roll.canary`: 3 is more than `max_size`: 2",
        ),
        (
            json!({"roll": []}),
            "`roll`: expected an object, found a list",
        ),
        (
            json!({"roll": {"strategy": "slow"}}),
            "`roll.strategy`: expected `side_by_side` or `recreate`, found the text `slow`",
        ),
        (
            json!({"health": {"timeout": "0s"}}),
            "`health.timeout`: a release needs at least `1s` to become healthy",
        ),
        (
            json!({"health": {"timeout": 5}}),
            "`health.timeout`: expected a text, found the number `5`",
        ),
        (
            json!({"env": {"1A": "x"}}),
            "`1A` is not a name of an environment variable: letters, digits and `_`, no digit first",
        ),
        (
            json!({"env": {"": "x"}}),
            "`` is not a name of an environment variable: letters, digits and `_`, no digit first",
        ),
        (
            json!({"env": {"A": true}}),
            "`env.A`: expected a text or a whole number, found `true`",
        ),
        (
            json!({"env": {"A": 1.0}}),
            "`env.A`: expected a whole number, found the number `1.0`",
        ),
        (
            json!({"env": {"A": "a\0b"}}),
            "`env.A`: a text cannot hold a NUL character",
        ),
        (
            json!({"env": {"A": long}}),
            "`env`: environment and secrets have 16393 bytes: EC2 takes 16384 of user data, and they are written into it",
        ),
        (
            json!({"secrets": {"A": "hunter2"}}),
            "`secrets.A`: a secret is given by reference, `ssm:/path` or `secretsmanager:id`, each with an optional `:version`",
        ),
        (
            json!({"secrets": {"A": "ssm:a"}}),
            "`secrets.A`: `ssm:a` is not a reference to a secret: write `ssm:/path[:version]` or `secretsmanager:id[:version]`",
        ),
        (
            json!({"secrets": {"A": "ssm:/a:1:2"}}),
            "`secrets.A`: `ssm:/a:1:2` is not a reference to a secret: write `ssm:/path[:version]` or `secretsmanager:id[:version]`",
        ),
        (
            json!({"env": {"A": "x"}, "secrets": {"A": "ssm:/a"}}),
            "`secrets.A`: `env` has this name too, remove one of them",
        ),
        (
            json!({"env": {}, "user_data": ""}),
            "`user_data`: excludes `env`: the user data is given to the instance as it is, remove one of them",
        ),
        (
            json!({"user_data": long}),
            "`user_data`: has 16385 bytes, EC2 takes 16384: let the instance fetch the rest",
        ),
        (
            json!({"suspend": {}}),
            "missing field `reason` in `suspend`",
        ),
        (
            json!({"suspend": {"reason": " "}}),
            "`suspend.reason`: say why, for the people who will ask",
        ),
        (
            json!({"suspend": {"reason": "x", "until": "2026-11-30"}}),
            "`suspend.until`: `2026-11-30` is not a point in time: write it as `2026-11-30T08:00:00Z`, or with an offset such as `+01:00`",
        ),
        (
            json!({"suspend": {"reason": "x", "until": "2026-02-30T08:00:00Z"}}),
            "`suspend.until`: `2026-02-30T08:00:00Z` is not a point in time: write it as `2026-11-30T08:00:00Z`, or with an offset such as `+01:00`",
        ),
        (json!({"gate": {}}), "missing field `url` in `gate`"),
        (
            json!({"gate": {"url": "gate/"}}),
            "`gate.url`: `gate/` is not the address of a gate: write `http://host/path`",
        ),
        (
            json!({"gate": {"url": "http://:80/"}}),
            "`gate.url`: `http://:80/` names no host",
        ),
        (
            json!({"gate": {"url": "http://a b/"}}),
            "`gate.url`: `http://a b/` holds a space or another character that an address cannot hold",
        ),
        (
            json!({"gate": {"url": "http://ann:secret@a/"}}),
            "`gate.url`: the address of a gate stands in git for all to read: leave name and password out",
        ),
        (
            json!({"gate": {"url": "http://169.254.169.254/latest"}}),
            "`gate.url`: `http://169.254.169.254/latest` is a link-local address: a gate is a service of its own",
        ),
        (
            json!({"gate": {"url": "http://a/", "timeout": "2m"}}),
            "`gate.timeout`: a gate has 1s to 60s to answer",
        ),
        (
            json!({"gate": {"url": "http://a/", "retries": 11}}),
            "`gate.retries`: expected a whole number from 0 to 10, found the number `11`",
        ),
        (
            json!({"$schema": 1}),
            "`$schema`: expected a text, the schema's address",
        ),
        (
            json!({"image": {"name": "x"}}),
            "unknown field `name` in `image`, known are `version`, `commit`, `build`",
        ),
        (
            json!({"maxSize": 2}),
            "unknown field `maxSize`, did you mean `max_size`?",
        ),
    ] {
        assert_eq!(messages(with(changes.clone())), [expected], "{changes}");
    }
}

#[test]
fn numbers_are_taken_as_they_are_written() {
    let sized = |literal: &str| {
        let text = with(json!({"revision": "N"})).replace("\"N\"", literal);
        one(text).map(|manifest| manifest.revision).ok()
    };
    assert_eq!(sized("0"), Some(Some(0)));
    assert_eq!(sized("9007199254740991"), Some(Some(9_007_199_254_740_991)));
    for literal in ["-0", "1e2", "1.0", "1e400", "9007199254740992"] {
        assert_eq!(sized(literal), None, "{literal}");
    }
    assert_eq!(sized(&"9".repeat(100_000)), None);
}

#[test]
fn a_field_that_stands_twice_is_an_error_at_its_second_place() {
    let text = with(json!({})).replace("{\"unit\"", "{\n\"ami\":\"ami-0f3a9c2b\",\"unit\"");
    let problems = one(text).err().unwrap_or_default();
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["desired/a.json:2:38: field `ami` is given twice"]
    );
    assert_eq!(
        messages(with(json!({"env": {"A": 1}})).replace("\"A\":1", "\"A\":1,\"A\":1")),
        ["field `A` is given twice in `env`"]
    );
}

#[test]
fn broken_texts_are_refused_with_one_clear_sentence() {
    let mark = [b"\xEF\xBB\xBF", least().to_string().as_bytes()].concat();
    assert_eq!(
        messages(mark),
        ["the file begins with a byte order mark: save it as UTF-8 without one"]
    );
    assert_eq!(messages(b"[]"), ["expected an object, found a list"]);
    assert_eq!(messages(b""), ["the file is empty, expected an object"]);
    assert_eq!(
        messages(vec![b'['; 10_000]),
        ["lists and objects stand more than 64 levels deep"]
    );
    assert_eq!(
        messages(vec![b' '; 10 << 20]),
        ["the file has 10485760 bytes, at most 1048576 are read"]
    );
    assert_eq!(messages(b"{\xc3\x28}").len(), 1);
}

#[test]
fn a_file_full_of_mistakes_is_reported_in_bounds() {
    let fields: Vec<String> = (0..40_000).map(|n| format!("\"f{n}\":0")).collect();
    let problems = messages(format!("{{{}}}", fields.join(",")));
    assert_eq!(problems.len(), 51);
    assert_eq!(
        problems.last().map(String::as_str),
        Some("39955 more problems in this file are not shown")
    );
    assert!(problems.iter().map(String::len).sum::<usize>() < 51 * 400);
}

fn parsed(files: &[(&str, String)]) -> Parsed {
    let sources: Vec<Source<'_>> = files
        .iter()
        .map(|(path, text)| Source {
            path,
            bytes: text.as_bytes(),
        })
        .collect();
    parse(&sources)
}

fn lines(parsed: &Parsed, app: &str) -> Vec<String> {
    let app = AppName::parse(app).unwrap_or_else(|e| panic!("{e}"));
    match parsed.apps.get(&app) {
        Some(Err(problems)) => problems.iter().map(ToString::to_string).collect(),
        Some(Ok(_)) => Vec::new(),
        None => panic!("{app} is missing"),
    }
}

#[test]
fn one_bad_manifest_never_hides_another() {
    let parsed = parsed(&[
        ("desired/bad.json", "{".to_owned()),
        ("desired/prod/good.json", with(json!({}))),
        ("desired/schema.json", "{}".to_owned()),
        ("desired/README.md", "# hello".to_owned()),
        ("desired/Loud.json", with(json!({"unit": "live/b"}))),
        ("desired/../x.json", with(json!({"unit": "live/c"}))),
        ("live/x.json", with(json!({"unit": "live/d"}))),
    ]);
    let names: Vec<&str> = parsed.apps.keys().map(AppName::as_str).collect();
    assert_eq!(names, ["bad", "prod/good"]);
    assert_eq!(lines(&parsed, "bad").len(), 1);
    assert!(lines(&parsed, "prod/good").is_empty());
    let others: Vec<String> = parsed.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        others,
        [
            "desired/README.md:1:1: `desired/README.md` is not a manifest's path: they are `desired/<app>.json`",
            "desired/Loud.json:1:1: `Loud` is not an app name: folders and file name are lower-case letters, digits and inner dashes",
            "desired/../x.json:1:1: `../x` is not an app name: folders and file name are lower-case letters, digits and inner dashes",
            "live/x.json:1:1: `live/x.json` is not a manifest's path: they are `desired/<app>.json`",
        ]
    );
}

#[test]
fn two_apps_on_one_unit_are_both_refused() {
    let unit = |unit: &str| {
        format!(
            "{{\n\"unit\": \"{unit}\",{}",
            &with(json!({"unit": 0}))[10..]
        )
    };
    let parsed = parsed(&[
        ("desired/a.json", unit("live/a")),
        ("desired/b.json", unit("live/a")),
        ("desired/c.json", unit("live/c")),
        ("desired/d.json", unit("live/d")),
        ("desired/e.json", "{\"unit\": \"live/d\"}".to_owned()),
    ]);
    assert_eq!(
        lines(&parsed, "a"),
        [
            "desired/a.json:2:9: `unit`: `live/a` is taken by `desired/b.json` too, each app needs a unit of its own"
        ]
    );
    assert_eq!(
        lines(&parsed, "b"),
        [
            "desired/b.json:2:9: `unit`: `live/a` is taken by `desired/a.json` too, each app needs a unit of its own"
        ]
    );
    assert!(lines(&parsed, "c").is_empty());
    assert_eq!(
        lines(&parsed, "d"),
        [
            "desired/d.json:2:9: `unit`: `live/d` is taken by `desired/e.json` too, each app needs a unit of its own"
        ],
        "an incomplete manifest still holds its unit"
    );
}

#[test]
fn two_apps_of_one_name_in_aws_are_both_refused() {
    let parsed = parsed(&[
        ("desired/a/b.json", with(json!({"unit": "live/1"}))),
        ("desired/a-b.json", with(json!({"unit": "live/2"}))),
        ("desired/ab.json", with(json!({"unit": "live/3"}))),
    ]);
    assert_eq!(
        lines(&parsed, "a/b"),
        [
            "desired/a/b.json:1:1: the app's name in AWS is `a-b`, as is that of `desired/a-b.json`: rename one of them"
        ]
    );
    assert_eq!(lines(&parsed, "a-b").len(), 1);
    assert!(lines(&parsed, "ab").is_empty());
}
