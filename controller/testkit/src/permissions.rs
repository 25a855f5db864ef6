//! Which calls the policies of amid's own machine allow.
//!
//! The terraform module `controller` makes those policies from a list of operations. A scene holds what amid
//! and its terragrunt asked against the same list, so that a call that nobody permitted fails here and not on
//! somebody's account. Which resources a call may touch is the module's own tests' matter.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::proxy::Seen;

/// The key id that amid and its children sign with on a stage; everybody else there signs with another.
pub const AMIDS_KEY: &str = "amid";

const OPERATIONS: &str = include_str!("../../../terraform/modules/controller/operations.json");
/// Fields of the file that are no lists of operations.
const NO_LISTS: [&str; 3] = ["$comment", "permissions", "implied"];

/// The operations that the policies allow, as `service:Operation`.
pub fn permitted() -> Result<BTreeSet<String>> {
    let file: BTreeMap<String, Value> =
        serde_json::from_str(OPERATIONS).context("Failed to read operations.json")?;
    let mut permitted = BTreeSet::new();
    for (kind, list) in file {
        if NO_LISTS.contains(&kind.as_str()) {
            continue;
        }
        let list: Vec<String> = serde_json::from_value(list)
            .with_context(|| format!("`{kind}` in operations.json is no list of operations"))?;
        permitted.extend(list);
    }
    Ok(permitted)
}

/// What amid asked without being permitted to, each operation once.
pub fn not_permitted(requests: &[Seen], permitted: &BTreeSet<String>) -> BTreeSet<String> {
    requests
        .iter()
        .filter(|seen| seen.key == AMIDS_KEY)
        .map(|seen| format!("{}:{}", seen.service, seen.action))
        .filter(|operation| !permitted.contains(operation))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(key: &str, service: &str, action: &str) -> Seen {
        Seen {
            at: jiff::Timestamp::UNIX_EPOCH,
            key: key.to_owned(),
            service: service.to_owned(),
            action: action.to_owned(),
            status: Some(200),
        }
    }

    #[test]
    fn a_call_that_is_not_in_the_list_is_found_and_others_peoples_calls_are_not_looked_at() {
        let permitted = permitted().unwrap();
        let requests = [
            seen(AMIDS_KEY, "autoscaling", "DescribeAutoScalingGroups"),
            seen(AMIDS_KEY, "ec2", "TerminateInstances"),
            seen(AMIDS_KEY, "ec2", "TerminateInstances"),
            seen("demo", "ec2", "RunInstances"),
        ];
        let found: Vec<_> = not_permitted(&requests, &permitted).into_iter().collect();
        assert_eq!(found, ["ec2:TerminateInstances"]);
    }
}
