//! The canonical text of a manifest's launch settings.
//!
//! It equals HCL's `jsonencode` of the given fields, byte by byte, because
//! the module computes the same key when somebody runs terragrunt by hand:
//! keys sorted, no white space, strings in Unicode NFC (as cty keeps them),
//! and `<`, `>`, `&`, U+2028 and U+2029 escaped as Go's encoder does. Golden
//! vectors in the module's tests hold both sides to it.

use std::borrow::Cow;

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use super::{EnvValue, Manifest};
use crate::model::Settings;

/// The text for `manifest`: only the fields that it gives.
pub(super) fn settings(manifest: &Manifest) -> Settings {
    let mut fields: Vec<(&str, Value)> = vec![
        ("ami", Value::from(manifest.ami.as_str())),
        (
            "instance_types",
            Value::from(manifest.instance_types.clone()),
        ),
    ];
    if let Some(env) = &manifest.env {
        let object = env.iter().map(|(name, value)| {
            let value = match value {
                EnvValue::Integer(number) => Value::from(*number),
                EnvValue::Text(text) => Value::from(text.as_str()),
            };
            (name.clone(), value)
        });
        fields.push(("env", Value::Object(object.collect())));
    }
    if let Some(revision) = manifest.revision {
        fields.push(("revision", Value::from(revision)));
    }
    if let Some(secrets) = &manifest.secrets {
        let object = secrets
            .iter()
            .map(|(name, reference)| (name.clone(), Value::from(reference.as_str())));
        fields.push(("secrets", Value::Object(object.collect())));
    }
    if let Some(user_data) = &manifest.user_data {
        fields.push(("user_data", Value::from(user_data.as_str())));
    }
    let object: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let mut text = String::new();
    write(&Value::Object(object), &mut text);
    Settings::from_canonical(text)
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(Cow<'_, str>, &Value)> = fields
                .iter()
                .map(|(name, value)| (normal(name), value))
                .collect();
            fields.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
            out.push('{');
            for (at, (name, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_text(&name, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::String(text) => write_text(text, out),
        Value::Number(_) | Value::Bool(_) | Value::Null => out.push_str(&value.to_string()),
    }
}

/// The text in Unicode NFC. ASCII is it already, and nearly every text is
/// ASCII.
fn normal(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in normal(text).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}
