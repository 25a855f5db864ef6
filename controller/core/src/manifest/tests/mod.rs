//! Tests of the parser, by subject, and what they share.

mod edit;
mod json;
mod keys;
mod parse;
mod random;
mod schema;

use serde_json::{Value, json};

use super::{Manifest, Problem, Source, parse_one};

/// A manifest that gives every field there is.
const FULL: &str = r#"{
  "$schema": "../schema.json",
  "$comment": ["anything", { "at": "all", "at": null }],
  "owner": "team-payments",
  "unit": "live/prod/payments/app",
  "ami": "ami-0f3a9c2b7d1e48a60",
  "image": { "version": "1.42.0", "commit": "9f3c2e1", "build": "77", "$comment": 1 },
  "revision": 3,
  "instance_types": ["m7g.large", "u-6tb1.56xlarge", "m7i.metal-24xl"],
  "min_size": 4, "max_size": 20,
  "env": { "LOG_LEVEL": "info", "_n": -9223372036854775808, "$comment": "why" },
  "secrets": {
    "DB_URL": "ssm:/prod/payments/db_url:7",
    "KEY": "secretsmanager:prod/key",
    "ARN": "secretsmanager:arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-b1C2:v1"
  },
  "health": { "type": "none", "timeout": "20m" },
  "roll": { "strategy": "recreate", "canary": 1, "bake": "0s", "drain": "1h30m" },
  "on_failure": "hold",
  "on_drift": "report",
  "gate": { "url": "https://gate.example:8443/set?app=a", "timeout": "1m", "retries": 0 },
  "suspend": { "reason": "Black Friday", "until": "2026-11-30T08:00:00+01:00" }
}
"#;

/// A manifest that gives only what must be given.
fn least() -> Value {
    json!({
        "unit": "live/a", "ami": "ami-0f3a9c2b", "instance_types": ["m7g.large"],
        "min_size": 1, "max_size": 2
    })
}

fn one(text: impl AsRef<[u8]>) -> Result<Manifest, Vec<Problem>> {
    parse_one(&Source {
        path: "desired/a.json",
        bytes: text.as_ref(),
    })
}

fn messages(text: impl AsRef<[u8]>) -> Vec<String> {
    let problems = one(text).err().unwrap_or_default();
    problems
        .into_iter()
        .map(|problem| problem.message)
        .collect()
}

/// Takes out what may stand everywhere and says nothing.
fn without_comments(value: &mut Value) {
    if let Value::Object(object) = value {
        object.retain(|name, _| name != "$schema" && name != "$comment");
        object.values_mut().for_each(without_comments);
    }
}
