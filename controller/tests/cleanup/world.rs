//! A world with an image that nothing needs, and a clean-up that hardly waits.

use std::path::Path;

use amid_testkit::small::{Options, Small};
use serde_json::{Value, json};

/// Its one app.
pub const APP: &str = "demo/todo";
/// Nothing needs it.
pub const OLD: &str = "ami-0000000000000000c";

/// Clean-up without patience; a disabled image waits this long.
pub fn cleanup(disabled: &str) -> Value {
    json!({
        "interval": "1s",
        "requests_per_second": 5,
        "policy": {
            "mode": "on",
            "claims": [{"name": "*"}],
            "default": {"keep_newest": 0, "min_age": "0s", "not_launched_for": "0s"},
            "waits": {"stale": "1s", "deprecated": "1s", "disabled": disabled},
            "revert_window": {"changes": 0, "age": "0s"},
            "breakers": {
                "first_runs": 0, "max_percent": 100, "max_family_percent": 100,
                "settle": "0s", "fewer_references_percent": 100
            }
        }
    })
}

/// A settled world with [`OLD`] in it, whose clean-up has no patience.
pub fn small(disabled: &str) -> Small {
    let mut options = Options::of(Path::new(env!("CARGO_BIN_EXE_amid")));
    options
        .config
        .insert("cleanup".to_owned(), cleanup(disabled));
    let small = Small::new(options).unwrap();
    let long_ago = "2026-01-01T00:00:00Z".parse().unwrap();
    small
        .standin
        .change(|cloud| {
            for image in cloud.images.values_mut() {
                image.details.tags.insert("team".to_owned(), "a".to_owned());
            }
            cloud.add_image_with_snapshot(OLD, "todo-0", long_ago, &[("team", "a")]);
            Ok(())
        })
        .unwrap();
    small
}
