//! The JSON Schema of a manifest, for editors.
//!
//! It is made from the Rust types, so that it cannot promise a field that the
//! parser does not know. Where it is laxer than the parser (two fields that
//! exclude each other, a size above another), the parser has the last word.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Map, Value, json};

use super::Manifest;

/// The schema, draft 2020-12.
///
/// `desired/schema.json` is this text; a test holds it to that.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .for_deserialize()
        .with_transform(RecursiveTransform(without_null))
        .with_transform(RecursiveTransform(with_comments))
        .into_generator();
    let Value::Object(types) = generator.into_root_schema_for::<Manifest>().to_value() else {
        return Value::Null;
    };
    // What the file is stands first.
    let mut schema = Map::new();
    for name in ["$schema", "title", "description"] {
        if let Some(value) = types.get(name) {
            schema.insert(name.to_owned(), value.clone());
        }
    }
    schema.insert("title".to_owned(), Value::from("amid manifest"));
    schema.extend(types.into_iter().filter(|(name, _)| name != "title"));
    Value::Object(schema)
}

/// A field without a value is left out: `null` is an error to the parser.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(mut choices)) = object.shift_remove("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
        match choices.as_slice() {
            [Value::Object(only)] => object.extend(only.clone()),
            _ => {
                object.insert("anyOf".to_owned(), Value::Array(choices));
            }
        }
    }
}

/// `$schema` and `$comment` may stand in every object.
fn with_comments(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if object.get("type") != Some(&Value::from("object")) {
        return;
    }
    if object
        .get("additionalProperties")
        .is_some_and(Value::is_object)
    {
        // A map of environment variables.
        let names = json!({ "pattern": r"^([A-Za-z_][A-Za-z0-9_]*|\$schema|\$comment)$" });
        object.insert("propertyNames".to_owned(), names);
    }
    let properties = object
        .entry("properties")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(properties) = properties {
        properties.insert(
            "$schema".to_owned(),
            json!({ "type": "string", "description": "The schema's address, for editors." }),
        );
        properties.insert(
            "$comment".to_owned(),
            json!({ "description": "Anything, for people. It changes nothing." }),
        );
    }
}
