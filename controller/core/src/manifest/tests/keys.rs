//! The release key is the same from Rust and from HCL.
//!
//! The module's tests read the same file, so that neither side can drift
//! alone.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Manifest;
use super::one;

/// One manifest with the canonical text and the key that it must have.
#[derive(Deserialize)]
struct Vector {
    name: String,
    manifest: Value,
    text: String,
    key: String,
}

#[test]
fn the_key_is_the_one_that_terraform_computes() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../terraform/modules/releases/tests/release_keys.json"
    );
    let file = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let vectors: Vec<Vector> = serde_json::from_str(&file).unwrap_or_else(|e| panic!("{e}"));
    assert!(vectors.len() >= 5, "{path} has {} vectors", vectors.len());
    for vector in vectors {
        // The vectors leave out what the key does not depend on.
        let mut value = json!({ "unit": "live/a", "min_size": 1, "max_size": 2 });
        if let (Value::Object(value), Value::Object(given)) = (&mut value, vector.manifest) {
            value.extend(given);
        }
        let name = vector.name;
        let manifest = one(value.to_string()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let settings = manifest.settings();
        assert_eq!(settings.as_str(), vector.text, "{name}");
        assert_eq!(settings.key().as_str(), vector.key, "{name}");
    }
}

#[test]
fn the_text_of_awkward_settings_is_what_terraform_writes() {
    let manifest: Manifest = serde_json::from_value(json!({
        "unit": "live/a", "min_size": 1, "max_size": 2, "owner": "not a launch setting",
        "secrets": {}, "revision": 0, "instance_types": ["m7g.large", "c7g.large"],
        "env": {
            "b": "<a&b>\u{2028}", "a": -7, "_": "e\u{301}\u{212b}",
            "B": "\u{1}\u{8}\u{c}\n\r\t\u{7f}\"\\/", "A": "${x} %{y}"
        },
        "ami": "ami-0f3a9c2b"
    }))
    .unwrap_or_else(|e| panic!("{e}"));
    let settings = manifest.settings();
    // What `terraform console` (1.11.4) gives for `jsonencode` of these
    // fields, and for `substr(sha256(…), 0, 10)` of that.
    let text = concat!(
        r#"{"ami":"ami-0f3a9c2b","env":{"A":"${x} %{y}","#,
        r#""B":"\u0001\b\f\n\r\t"#,
        "\u{7f}",
        r#"\"\\/","_":"éÅ","a":-7,"b":"\u003ca\u0026b\u003e\u2028"},"#,
        r#""instance_types":["m7g.large","c7g.large"],"revision":0,"secrets":{}}"#,
    );
    assert_eq!(settings.as_str(), text);
    assert_eq!(settings.key().as_str(), "5a72cc78d3");
}
