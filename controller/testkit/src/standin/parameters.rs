//! The services that speak JSON: SSM parameters, and rules of the Recycle Bin.

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::cloud::{ACCOUNT, Cloud};

/// `DescribeParameters` and `GetParameters`, in JSON.
pub(super) fn parameters(cloud: &Cloud, action: &str, body: &Bytes) -> Result<Value> {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let known = &cloud.estate.parameters;
    if action == "GetParameters" {
        let names: Vec<&str> = asked["Names"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        ensure!(
            !names.is_empty() && names.len() <= 10,
            "ValidationException: Names takes 1 to 10 names"
        );
        let plain = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
        let (good, bad): (Vec<&str>, Vec<&str>) = names
            .into_iter()
            .partition(|name| known.contains_key(&plain(name)));
        let good: Vec<Value> = good
            .into_iter()
            .map(|asked| {
                let name = plain(asked);
                let mut one = json!({"Name": name, "Type": "String", "Value": known.get(&name), "Version": 1,
                                     "LastModifiedDate": modified(known.get(&name))});
                if let Some(selector) = asked.strip_prefix(&*name).filter(|s| !s.is_empty()) {
                    one["Selector"] = json!(selector);
                }
                one
            })
            .collect();
        return Ok(json!({ "Parameters": good, "InvalidParameters": bad }));
    }
    let start: usize = asked["NextToken"]
        .as_str()
        .and_then(|token| token.parse().ok())
        .unwrap_or(0);
    let size = asked["MaxResults"].as_u64().unwrap_or(10).clamp(1, 50) as usize;
    let all: Vec<Value> = known
        .iter()
        .skip(start)
        .take(size)
        .map(|(name, value)| {
            json!({"Name": name, "Type": "String", "DataType": "text", "Version": 1,
                   "LastModifiedDate": modified(Some(value)),
                   "ARN": format!("arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{name}")})
        })
        .collect();
    let mut answer = json!({ "Parameters": all });
    if start + size < known.len() {
        answer["NextToken"] = json!((start + size).to_string());
    }
    Ok(answer)
}

/// When a parameter was changed last: another value came at another time, by which it is told from what it
/// was before though the version is the same.
fn modified(value: Option<&String>) -> u64 {
    let bytes = value.into_iter().flat_map(|value| value.bytes());
    bytes.fold(1_700_000_000, |at, byte| {
        (at * 31 + u64::from(byte)) % 1_000_000_000 + 1_000_000_000
    })
}

/// `ListRules` of the Recycle Bin, in JSON.
pub(super) fn recycle_rules(cloud: &Cloud, body: &Bytes) -> Value {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let kind = asked["ResourceType"].as_str().unwrap_or_default();
    let rules: Vec<Value> = cloud
        .estate
        .recycle_rules
        .iter()
        .filter(|(_, of)| *of == kind)
        .map(|(id, _)| {
            json!({"Identifier": id, "RetentionPeriod": {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"}})
        })
        .collect();
    json!({ "Rules": rules })
}
