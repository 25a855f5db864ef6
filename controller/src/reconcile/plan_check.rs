//! Holds a terraform plan against what its step expects.

use serde_json::Value;
use sha2::{Digest, Sha256};

use amid_core::model::AppName;
use amid_core::step::{Action, Apply, Change, GROUP_ATTRIBUTES};

use crate::desired::Accepted;
use crate::terragrunt;

/// Terraform's changes in the core's words: without the address of a module
/// around the releases, and without what changes nothing.
pub(super) fn changes(planned: &[terragrunt::Change]) -> Vec<Change> {
    let mut changes = Vec::new();
    for change in planned {
        let address = without_module(&change.address).to_owned();
        let mut add = |action| {
            changes.push(Change {
                address: address.clone(),
                action,
            });
        };
        if change.import {
            add(Action::Import);
        }
        match change.action {
            terragrunt::Action::Noop | terragrunt::Action::Read => {}
            terragrunt::Action::Create => add(Action::Create),
            terragrunt::Action::Update => add(Action::Update),
            terragrunt::Action::Delete => add(Action::Delete),
            terragrunt::Action::Replace => add(Action::Replace),
            terragrunt::Action::Import if change.import => {}
            terragrunt::Action::Import => add(Action::Import),
            terragrunt::Action::Move
            | terragrunt::Action::Forget
            | terragrunt::Action::Other(_) => add(Action::Other),
        }
    }
    changes
}

/// `module.app.aws_x.y["k"]` without `module.app.`: a user's module may embed
/// the releases.
fn without_module(address: &str) -> &str {
    let mut rest = address;
    while let Some(inner) = rest.strip_prefix("module.") {
        // A key may hold dots: look past its closing bracket.
        let name_end = inner.find(['.', '[']).unwrap_or(inner.len());
        let after = match inner[name_end..].strip_prefix('[') {
            Some(key) => key.split_once("].").map(|(_, after)| after),
            None => inner[name_end..].strip_prefix('.'),
        };
        match after {
            Some(after) => rest = after,
            None => return rest,
        }
    }
    rest
}

/// Whether any of `changes` updates a group: then its values have to be
/// looked at, because the stream of a plan has none.
pub(super) fn updates_a_group(changes: &[Change]) -> bool {
    changes.iter().any(|change| {
        change.action == Action::Update && change.address.starts_with("aws_autoscaling_group.")
    })
}

/// What `terraform show -json` says of groups beyond what a step may change,
/// in words.
pub(super) fn unexpected_values(shown: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for resource in shown["resource_changes"].as_array().into_iter().flatten() {
        let is_update = resource["change"]["actions"] == serde_json::json!(["update"]);
        let is_group = resource["type"] == "aws_autoscaling_group";
        if !is_update || !is_group {
            continue;
        }
        let address = without_module(resource["address"].as_str().unwrap_or_default());
        let (before, after) = (&resource["change"]["before"], &resource["change"]["after"]);
        let importing = !resource["change"]["importing"].is_null();
        let names = before
            .as_object()
            .into_iter()
            .chain(after.as_object())
            .flat_map(|object| object.keys());
        for name in names {
            // What AWS fills in is not known before, and not asked for either.
            let computed = resource["change"]["after_unknown"]
                .get(name)
                .is_some_and(|unknown| *unknown != false);
            let differs = !is_same(&before[name], &after[name]) && !computed;
            // Both follow from immutable settings: a difference was made by hand.
            let template =
                matches!(name.as_str(), "launch_template" | "mixed_instances_policy") && !importing;
            if differs && !importing && !template && !GROUP_ATTRIBUTES.contains(&name.as_str()) {
                let words = format!("update {address} `{name}`");
                if !wrong.contains(&words) {
                    wrong.push(words);
                }
            }
        }
    }
    wrong
}

/// Whether two values mean the same to the provider: it writes what is not set
/// now as null, now as an empty text, list or block.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a_fields), Value::Object(b_fields)) => {
            let mut names = a_fields.keys().chain(b_fields.keys());
            names.all(|name| is_same(&a[name.as_str()], &b[name.as_str()]))
        }
        _ => a == b || (is_unset(a) && is_unset(b)),
    }
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_unset),
        Value::Object(fields) => fields.values().all(is_unset),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The name of a hold: the same plan of the same app has the same name, any
/// other has another.
pub(super) fn hold_id(app: &AppName, apply: &Apply, unexpected: &[String]) -> String {
    let mut digest = Sha256::new();
    digest.update(app.as_str());
    digest.update(apply.kind.label());
    digest.update(apply.key.as_str());
    for line in unexpected {
        digest.update([0]);
        digest.update(line);
    }
    let id = hex::encode(digest.finalize());
    format!("plan-{}", &id[..8])
}

/// A step with all that it depends on, as a hash: a held step is not planned
/// again before something of it changes.
pub(super) fn fingerprint(app: &AppName, apply: &Apply, accepted: &Accepted) -> String {
    let mut digest = Sha256::new();
    digest.update(app.as_str());
    digest.update(apply.kind.label());
    digest.update(format!(
        "{:?} {:?} {:?}",
        apply.releases, apply.memory, apply.may_remove
    ));
    digest.update(accepted.code.as_deref().unwrap_or_default());
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_module_around_the_releases_is_no_part_of_the_address() {
        for (address, rest) in [
            ("aws_x.y[\"a\"]", "aws_x.y[\"a\"]"),
            ("module.app.aws_x.y[\"a\"]", "aws_x.y[\"a\"]"),
            ("module.app.module.releases.aws_x.y", "aws_x.y"),
            ("module.app[\"eu.west\"].aws_x.y", "aws_x.y"),
            ("module.odd", "module.odd"),
        ] {
            assert_eq!(without_module(address), rest);
        }
    }

    #[test]
    fn what_aws_fills_in_is_no_change() {
        let shown = json!({"resource_changes": [{
            "address": "aws_autoscaling_group.release[\"a\"]",
            "type": "aws_autoscaling_group",
            "change": {
                "actions": ["update"],
                "before": {"min_size": 1, "capacity_reservation_specification": []},
                "after": {"min_size": 0},
                "after_unknown": {"capacity_reservation_specification": true},
            },
        }]});
        assert!(unexpected_values(&shown).is_empty());
    }

    #[test]
    fn the_providers_two_ways_to_write_nothing_are_the_same() {
        let shown = |before: Value, after: Value| {
            unexpected_values(&json!({"resource_changes": [{
                "address": "aws_autoscaling_group.release[\"a\"]",
                "type": "aws_autoscaling_group",
                "change": {"actions": ["update"], "before": {"x": before}, "after": {"x": after}},
            }]}))
        };
        assert!(shown(json!([{"a": null, "b": []}]), json!([{"a": "", "b": []}])).is_empty());
        assert!(shown(json!(null), json!([])).is_empty());
        assert_eq!(shown(json!([{"a": "none"}]), json!([{"a": ""}])).len(), 1);
        assert_eq!(shown(json!(null), json!(false)).len(), 1);
    }

    #[test]
    fn an_update_of_a_group_may_change_sizes_and_nothing_else() {
        let shown = |after: Value| {
            json!({"resource_changes": [{
                "address": "aws_autoscaling_group.release[\"a\"]",
                "type": "aws_autoscaling_group",
                "change": {
                    "actions": ["update"],
                    "before": {"min_size": 1, "max_size": 2, "health_check_type": "ELB"},
                    "after": after,
                },
            }]})
        };
        let sizes = json!({"min_size": 0, "max_size": 0, "health_check_type": "ELB"});
        assert!(unexpected_values(&shown(sizes)).is_empty());
        let more = json!({"min_size": 0, "max_size": 0, "health_check_type": "EC2"});
        assert_eq!(
            unexpected_values(&shown(more)),
            ["update aws_autoscaling_group.release[\"a\"] `health_check_type`"]
        );
    }
}
