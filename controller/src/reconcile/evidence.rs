//! Keeps what a failed release said of itself before it goes: activities,
//! target health, the end of a console.

use serde_json::{Value, json};

use amid_core::model::{Group, Targets};
use amid_core::observe::Observed;
use amid_core::step::Failed;

use super::engine::{Engine, Slot};
use crate::fault;

/// Collects and writes it. Evidence that cannot be had stops nothing.
pub(super) async fn keep(engine: &Engine, slot: &Slot, observed: &Observed, failed: &Failed) {
    let group = observed.group(&failed.key);
    let mut evidence = json!({
        "app": slot.app,
        "release": failed.key,
        "commit": failed.commit,
        "failure": failed.failure,
        "why": failed.failure.to_string(),
        "at": failed.at,
        "instances": group.map(instances).unwrap_or_default(),
    });
    if let (Some(place), Some(group)) = (engine.place(&slot.app), group) {
        match place.aws.activities(&group.name).await {
            Ok(activities) => evidence["activities"] = json!(activities),
            Err(error) => {
                tracing::warn!(app = %slot.app, "Failed to keep the activities: {error:#}")
            }
        }
        if let Some(sick) = group
            .instances
            .iter()
            .find(|instance| !instance.is_healthy())
        {
            match place.aws.console_tail(&sick.id).await {
                Ok(Some(tail)) => {
                    evidence["console"] = json!({ "instance": sick.id, "tail": tail })
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(app = %slot.app, "Failed to keep the console: {error:#}")
                }
            }
        }
    }
    let kept =
        engine
            .store
            .keep_evidence(slot.app.as_str(), failed.at, failed.key.as_str(), &evidence);
    match kept {
        Ok(path) => {
            tracing::info!(app = %slot.app, "Kept the evidence of the failed release: {}", path.display())
        }
        Err(error) => tracing::warn!(app = %slot.app, "Failed to keep the evidence: {error:#}"),
    }
    fault::point("evidence");
}

fn instances(group: &Group) -> Vec<Value> {
    group
        .instances
        .iter()
        .map(|instance| {
            let (state, reason) = match &instance.targets {
                Targets::Healthy => ("healthy", None),
                Targets::Missing => ("not registered", None),
                Targets::NotAsked => ("not asked", None),
                Targets::Not { state, reason } => (state.as_str(), reason.as_deref()),
            };
            json!({
                "id": instance.id,
                "lifecycle": instance.lifecycle,
                "target_health": state,
                "target_reason": reason,
                "ami": instance.ami,
            })
        })
        .collect()
}
