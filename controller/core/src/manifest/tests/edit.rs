//! An edit changes what it names and leaves the rest as it was written.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

use super::super::json as reader;
use super::super::set_fields;
use super::random::mutated;

fn edited(text: &str, edits: &[(&str, Option<Value>)]) -> String {
    match set_fields(text.as_bytes(), edits) {
        Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
        Err(message) => panic!("{message}"),
    }
}

const TEXT: &str = r#"{
    "$comment": "why",
    "ami":   "ami-00000001",
    "image": {
        "version": "1"
    },
    "min_size": 1, "max_size": 2,
    "env": { "A": "b" }
}
"#;

#[test]
fn a_value_is_replaced_where_it_stands() {
    assert_eq!(
        edited(TEXT, &[("ami", Some(json!("ami-00000002")))]),
        TEXT.replace("00000001", "00000002")
    );
    assert_eq!(
        edited(TEXT, &[("image.version", Some(json!("2")))]),
        TEXT.replace(r#""version": "1""#, r#""version": "2""#)
    );
    assert_eq!(
        edited(TEXT, &[("env", Some(json!({"A": 1, "B": ["x", 2]})))]),
        TEXT.replace(r#"{ "A": "b" }"#, r#"{ "A": 1, "B": ["x", 2] }"#)
    );
}

#[test]
fn a_field_is_added_after_the_last_one_and_indented_as_they_are() {
    assert_eq!(
        edited(
            TEXT,
            &[
                ("revision", Some(json!(1))),
                ("image.commit", Some(json!("c")))
            ]
        ),
        TEXT.replace(
            r#""version": "1""#,
            "\"version\": \"1\",\n        \"commit\": \"c\""
        )
        .replace(r#""b" }"#, "\"b\" },\n    \"revision\": 1")
    );
    assert_eq!(
        edited(TEXT, &[("roll.bake", Some(json!("1m")))]),
        TEXT.replace(
            r#""b" }"#,
            "\"b\" },\n    \"roll\": {\n        \"bake\": \"1m\"\n    }"
        )
    );
    assert_eq!(
        edited("{\"a\": 1}", &[("b", Some(json!(2)))]),
        "{\"a\": 1, \"b\": 2}"
    );
    assert_eq!(edited("{}", &[("b", Some(json!(2)))]), "{ \"b\": 2 }");
    assert_eq!(
        edited("{\r\n\t\"a\": 1\r\n}", &[("b.c", Some(json!(2)))]),
        "{\r\n\t\"a\": 1,\r\n\t\"b\": {\r\n\t\t\"c\": 2\r\n\t}\r\n}"
    );
}

#[test]
fn a_field_is_removed_with_its_comma() {
    let text = "{\n  \"a\": 1,\n  \"b\": 2, \"c\": 3,\n  \"d\": {\"e\": 4}\n}\n";
    for (path, without) in [
        ("a", "{\n  \"b\": 2, \"c\": 3,\n  \"d\": {\"e\": 4}\n}\n"),
        ("b", "{\n  \"a\": 1,\n  \"c\": 3,\n  \"d\": {\"e\": 4}\n}\n"),
        ("d", "{\n  \"a\": 1,\n  \"b\": 2, \"c\": 3\n}\n"),
        (
            "d.e",
            "{\n  \"a\": 1,\n  \"b\": 2, \"c\": 3,\n  \"d\": {}\n}\n",
        ),
        ("x.y", text),
    ] {
        assert_eq!(edited(text, &[(path, None)]), without, "{path}");
    }
}

#[test]
fn what_has_the_value_already_stays_as_it_is_written() {
    let text = r#"{"a":"\u0041",  "o" : {"x":1,"y":[ 2]}}"#;
    let edits = [
        ("a", Some(json!("A"))),
        ("o", Some(json!({"y": [2], "x": 1}))),
        ("gone", None),
    ];
    assert_eq!(edited(text, &edits), text);
}

#[test]
fn what_cannot_be_edited_is_said() {
    for (text, path, message) in [
        ("[1]", "a", "expected an object, found a list"),
        (
            "{\"a\": 1}",
            "a.b",
            "`a`: expected an object, found the number `1`",
        ),
        ("{\"a\": 1, \"a\": 2}", "a", "field `a` is given twice"),
        ("{\"a\": 1,}", "a", "nothing follows this comma: remove it"),
    ] {
        assert_eq!(
            set_fields(text.as_bytes(), &[(path, Some(json!(3)))]),
            Err(message.to_owned())
        );
    }
}

/// A value of at most `depth` levels.
fn value(random: &mut StdRng, depth: u32) -> Value {
    match random.random_range(0..if depth == 0 { 4 } else { 6 }) {
        0 => Value::from(random.random::<i64>()),
        1 => Value::from(random.random::<bool>()),
        2 => Value::Null,
        3 => {
            let length = random.random_range(0..5);
            let text: String = (0..length).map(|_| random.random::<char>()).collect();
            Value::from(text)
        }
        4 => (0..random.random_range(0..3))
            .map(|_| value(random, depth - 1))
            .collect(),
        _ => Value::Object(object(random, depth - 1)),
    }
}

const NAMES: [&str; 5] = ["a", "b", "c", "ami", "env"];

fn object(random: &mut StdRng, depth: u32) -> Map<String, Value> {
    (0..random.random_range(0..4))
        .map(|_| {
            let name = NAMES[random.random_range(0..NAMES.len())];
            (name.to_owned(), value(random, depth))
        })
        .collect()
}

/// Does to a value what an edit does to a text; false where it cannot.
fn edit_value(object: &mut Map<String, Value>, names: &[&str], new: Option<&Value>) -> bool {
    match (names, new) {
        ([name], Some(new)) => {
            object.insert((*name).to_owned(), new.clone());
            true
        }
        ([name], None) => {
            object.shift_remove(*name);
            true
        }
        ([name, deeper @ ..], new) => {
            if new.is_none() && !object.contains_key(*name) {
                return true;
            }
            let inner = object
                .entry((*name).to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            match inner {
                Value::Object(inner) => edit_value(inner, deeper, new),
                _ => false,
            }
        }
        ([], _) => false,
    }
}

/// Writes a value with white space wherever it may stand.
fn sprawl(text: &str, random: &mut StdRng) -> String {
    let mut in_text = false;
    let mut escaped = false;
    let mut out = String::new();
    for c in text.chars() {
        let structural = !in_text && "{}[],:".contains(c);
        let space = |random: &mut StdRng| [" ", "\n", "\r\n\t", ""][random.random_range(0..4)];
        if structural {
            out.push_str(space(random));
        }
        out.push(c);
        if structural {
            out.push_str(space(random));
        }
        if c == '"' && !escaped {
            in_text = !in_text;
        }
        escaped = in_text && c == '\\' && !escaped;
    }
    out
}

#[test]
fn an_edited_text_reads_as_the_edited_value() {
    let mut random = StdRng::seed_from_u64(2);
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut expected = object(&mut random, 3);
        let compact = Value::Object(expected.clone()).to_string();
        let text = sprawl(&compact, &mut random);
        let names: Vec<&str> = (0..random.random_range(1..4))
            .map(|_| NAMES[random.random_range(0..NAMES.len())])
            .collect();
        let new = random.random::<bool>().then(|| value(&mut random, 2));
        let possible = edit_value(&mut expected, &names, new.as_ref());
        match set_fields(text.as_bytes(), &[(&names.join("."), new.clone())]) {
            Ok(bytes) => {
                let read: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                assert!(possible, "{text} {names:?}");
                assert_eq!(read, Value::Object(expected), "{text} {names:?} {new:?}");
            }
            Err(message) => {
                assert!(!possible, "{message}: {text} {names:?}");
                refused += 1;
            }
        }
    }
    assert!((100..15_000).contains(&refused), "{refused}");
    for _ in 0..5_000 {
        let bytes = mutated(&mut random);
        let edits = [("ami", Some(Value::from("x"))), ("roll.bake", None)];
        if let Ok(bytes) = set_fields(&bytes, &edits) {
            assert!(reader::read(&bytes).is_ok());
        }
    }
}
