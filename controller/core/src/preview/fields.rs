//! Which fields of two manifests differ.

use serde_json::{Map, Value};

use crate::manifest::Manifest;

/// The most names that are listed.
const MAX_NAMES: usize = 20;

/// Which fields differ.
pub(super) struct Changed {
    names: Vec<String>,
    /// Whether `min_size` or `max_size` does.
    pub(super) sizes: bool,
}

impl Changed {
    pub(super) fn between(before: &Manifest, after: &Manifest) -> Self {
        let fields = |manifest| match serde_json::to_value(manifest) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let mut names = Vec::new();
        compare("", &fields(before), &fields(after), &mut names);
        let sizes = (before.min_size, before.max_size) != (after.min_size, after.max_size);
        Self { names, sizes }
    }

    /// Their names as paths, such as `env.LOG_LEVEL`.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.names.iter().take(MAX_NAMES).cloned().collect();
        let more = self.names.len() - names.len();
        if more > 0 {
            names.push(format!("{more} more"));
        }
        names
    }
}

fn compare(
    at: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    out: &mut Vec<String>,
) {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let path = if at.is_empty() {
            name.clone()
        } else {
            format!("{at}.{name}")
        };
        match (before.get(name), after.get(name)) {
            (before, after) if before == after => {}
            (Some(Value::Object(before)), Some(Value::Object(after))) => {
                compare(&path, before, after, out);
            }
            _ => out.push(path),
        }
    }
}
