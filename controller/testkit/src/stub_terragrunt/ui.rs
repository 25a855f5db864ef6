//! Terraform's JSON lines.

use std::io::{self, Write};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::plan::Change;

/// The version that the stub says it has.
pub(super) const TERRAFORM_VERSION: &str = "1.11.4";

/// Prints one line. A reader that is gone ends the run on the spot, as SIGPIPE ends terraform: nothing is
/// saved and the lock stays.
fn line(level: &str, kind: &str, message: &str, mut fields: Value) -> Result<()> {
    fields["@level"] = json!(level);
    fields["@message"] = json!(message);
    fields["@module"] = json!("terraform.ui");
    fields["@timestamp"] = json!(Timestamp::now().to_string());
    fields["type"] = json!(kind);
    raw(format!("{fields}\n").as_bytes())
}

/// Prints bytes as they are.
pub(super) fn raw(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .context("Nobody reads the output any more")
}

pub(super) fn version() -> Result<()> {
    let fields = json!({ "terraform": TERRAFORM_VERSION, "ui": "1.2" });
    line(
        "info",
        "version",
        &format!("Terraform {TERRAFORM_VERSION}"),
        fields,
    )
}

pub(super) fn planned(change: &Change) -> Result<()> {
    let mut value = json!({ "resource": resource(&change.address), "action": change.action });
    if let Some(reason) = &change.reason {
        value["reason"] = json!(reason);
    }
    if let Some(id) = &change.importing {
        value["importing"] = json!({ "id": id });
    }
    let message = format!("{}: Plan to {}", change.address, change.action);
    line(
        "info",
        "planned_change",
        &message,
        json!({ "change": value }),
    )
}

pub(super) fn drift(address: &str) -> Result<()> {
    let change = json!({ "resource": resource(address), "action": "update" });
    line(
        "info",
        "resource_drift",
        &format!("{address}: Drift detected (update)"),
        json!({ "change": change }),
    )
}

/// The line that closes a plan or an apply.
pub(super) fn summary(operation: &str, changes: &[Change]) -> Result<()> {
    let count = |action: &str| {
        changes
            .iter()
            .filter(|change| change.action == action)
            .count()
    };
    let imported = changes
        .iter()
        .filter(|change| change.importing.is_some())
        .count();
    let fields = json!({ "changes": {
        "add": count("create"),
        "change": count("update"),
        "import": imported,
        "remove": count("delete"),
        "operation": operation,
    }});
    let message = format!(
        "{operation}: {} to add, {} to change, {} to destroy",
        count("create"),
        count("update"),
        count("delete")
    );
    line("info", "change_summary", &message, fields)
}

pub(super) fn outputs(outputs: &Value) -> Result<()> {
    let count = outputs.as_object().map_or(0, serde_json::Map::len);
    line(
        "info",
        "outputs",
        &format!("Outputs: {count}"),
        json!({ "outputs": outputs }),
    )
}

pub(super) fn started(change: &Change) -> Result<()> {
    let hook = json!({ "resource": resource(&change.address), "action": change.action });
    line(
        "info",
        "apply_start",
        &format!("{}: Doing {}", change.address, change.action),
        json!({ "hook": hook }),
    )
}

pub(super) fn completed(change: &Change) -> Result<()> {
    let hook = json!({ "resource": resource(&change.address), "action": change.action, "elapsed_seconds": 0 });
    let message = format!("{}: Complete after 0s", change.address);
    line("info", "apply_complete", &message, json!({ "hook": hook }))
}

pub(super) fn errored(change: &Change) -> Result<()> {
    let hook = json!({ "resource": resource(&change.address), "action": change.action, "elapsed_seconds": 0 });
    line(
        "info",
        "apply_errored",
        &format!("{}: Errored", change.address),
        json!({ "hook": hook }),
    )
}

pub(super) fn error(summary: &str, detail: &str, address: Option<&str>) -> Result<()> {
    let mut diagnostic = json!({ "severity": "error", "summary": summary, "detail": detail });
    if let Some(address) = address {
        diagnostic["address"] = json!(address);
    }
    line(
        "error",
        "diagnostic",
        &format!("Error: {summary}"),
        json!({ "diagnostic": diagnostic }),
    )
}

/// A remark, as terraform prints one when it is interrupted.
pub(super) fn remark(message: &str) -> Result<()> {
    line("info", "log", message, json!({}))
}

/// An address taken apart: `type.name["key"]`.
pub(super) fn resource(address: &str) -> Value {
    let (base, key) = match address.split_once('[') {
        Some((base, key)) => (base, key.strip_suffix(']').unwrap_or(key).trim_matches('"')),
        None => (address, ""),
    };
    let (kind, name) = base.split_once('.').unwrap_or((base, ""));
    let key = if key.is_empty() {
        Value::Null
    } else {
        json!(key)
    };
    json!({
        "addr": address,
        "module": "",
        "resource": base,
        "implied_provider": if kind == "terraform_data" { "terraform" } else { "aws" },
        "resource_type": kind,
        "resource_name": name,
        "resource_key": key,
    })
}
