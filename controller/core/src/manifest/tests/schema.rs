//! The schema, the types and the decoder know the same fields.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::schema;
use super::{FULL, least, messages, without_comments};

/// The paths of all fields below `schema`, with their objects' own.
fn schema_fields(schema: &Value, at: &Value, path: &str, found: &mut BTreeSet<String>) {
    let at = match at.get("$ref").and_then(Value::as_str) {
        Some(reference) => schema
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or(&Value::Null),
        None => at,
    };
    let Some(Value::Object(properties)) = at.get("properties") else {
        return;
    };
    for (name, field) in properties {
        if name.starts_with('$') {
            continue;
        }
        let path = format!("{path}.{name}");
        schema_fields(schema, field, &path, found);
        found.insert(path);
    }
}

/// The paths of the fields that the decoder knows, as its messages list them.
fn decoder_fields(path: &str, found: &mut BTreeSet<String>) {
    let steps: Vec<&str> = path.split('.').filter(|step| !step.is_empty()).collect();
    let inner = json!({"a field that nobody knows": 1});
    let text = steps
        .iter()
        .rev()
        .fold(inner, |inner, step| json!({ *step: inner }))
        .to_string();
    let listed = messages(text)
        .into_iter()
        .find_map(|message| Some(message.split_once(", known are ")?.1.to_owned()));
    for name in listed.iter().flat_map(|names| names.split(", ")) {
        let path = format!("{path}.{}", name.trim_matches('`'));
        let opaque = matches!(path.as_str(), ".env" | ".secrets");
        if !opaque {
            decoder_fields(&path, found);
        }
        found.insert(path);
    }
}

#[test]
fn the_decoder_knows_the_fields_of_the_schema_and_no_others() {
    let schema = schema();
    let (mut in_schema, mut in_decoder) = (BTreeSet::new(), BTreeSet::new());
    schema_fields(&schema, &schema, "", &mut in_schema);
    decoder_fields("", &mut in_decoder);
    assert_eq!(in_schema, in_decoder);
    assert!(in_schema.contains(".roll.bake"), "{in_schema:?}");

    let mut full: Value = serde_json::from_str(FULL).unwrap_or_default();
    without_comments(&mut full);
    for path in in_schema.iter().filter(|path| *path != ".user_data") {
        let pointer = path.replace('.', "/");
        assert!(full.pointer(&pointer).is_some(), "FULL lacks {path}");
    }
}

#[test]
fn the_committed_schema_is_the_types_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../desired/schema.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == format!("{:#}\n", schema()),
        "`desired/schema.json` is out of date: run `cargo run --example schema > desired/schema.json`"
    );
}

#[test]
fn the_schema_allows_comments_and_no_null() {
    let text = schema().to_string();
    assert!(!text.contains("\"null\""), "{text}");
    for pointer in ["", "/$defs/Roll", "/properties/env", "/properties/secrets"] {
        for name in ["$schema", "$comment"] {
            let property = format!("{pointer}/properties/{name}");
            assert!(schema().pointer(&property).is_some(), "{property}");
        }
    }
}

#[test]
fn the_limits_in_the_schema_are_the_parsers() {
    let schema = schema();
    let limit = |pointer: &str| {
        let limit = schema.pointer(pointer).and_then(Value::as_u64);
        limit.unwrap_or_else(|| panic!("{pointer}"))
    };
    let text = |length: u64| "x".repeat(usize::try_from(length).unwrap_or(0));
    let types = |count: u64| (0..count).map(|n| format!("m{n}.large")).collect::<Value>();
    let (revision, size) = (
        limit("/properties/revision/maximum"),
        limit("/properties/max_size/maximum"),
    );
    assert_eq!(size, limit("/properties/min_size/maximum"));
    assert_eq!(size, limit("/$defs/Roll/properties/canary/maximum"));
    let (unit, user_data) = (
        limit("/properties/unit/maxLength"),
        limit("/properties/user_data/maxLength"),
    );
    let count = limit("/properties/instance_types/maxItems");
    for (name, last, beyond) in [
        ("revision", json!(revision), json!(revision + 1)),
        ("max_size", json!(size), json!(size + 1)),
        ("unit", json!(text(unit)), json!(text(unit + 1))),
        (
            "user_data",
            json!(text(user_data)),
            json!(text(user_data + 1)),
        ),
        ("instance_types", types(count), types(count + 1)),
    ] {
        let with = |value: &Value| {
            let mut manifest = least();
            manifest[name] = value.clone();
            messages(manifest.to_string())
        };
        assert_eq!(with(&last), [""; 0], "{name}");
        assert_eq!(with(&beyond).len(), 1, "{name}");
    }
}
