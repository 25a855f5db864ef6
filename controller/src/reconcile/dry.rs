//! What a pass would do now, and why: looks and decides, and does nothing.

use std::sync::Arc;

use serde_json::{Value, json};

use amid_core::ahead::{Leg, ahead};
use amid_core::decide::{decide, requirements};
use amid_core::model::AppName;
use amid_core::observe::{Desired, ImageFact, Observed};
use amid_core::step::{Apply, Step};

use super::engine::{Engine, Slot};
use super::perform::literal;
use super::{asked, look};
use crate::status::Sentence;

/// Looks at `app` and says what would be done.
///
/// # Errors
///
/// A sentence that says why nothing can be said.
pub async fn dry_run(engine: &Arc<Engine>, app: &AppName, commands: bool) -> Result<Value, String> {
    let accepted = engine.accepted().ok_or("the repository was not read yet")?;
    let desired = accepted.desired(app);
    let slot: Arc<Slot> = engine.slot(app);
    let mut observed =
        match look::observe(look::Aim::Tell, engine, &slot, &accepted, &desired).await {
            Ok(observed) => observed,
            Err(look::Blind::Held(reason)) => {
                let held = Sentence::of(&reason, app.as_str());
                return Ok(json!({ "app": app, "phase": "held", "steps": [], "held": [held] }));
            }
            Err(look::Blind::Failed(error)) => return Err(format!("{error:#}")),
        };
    let leaving = as_if_brought_back(engine, &desired, app, &mut observed)
        .await
        .map_err(|error| format!("{error:#}"))?;
    let now = engine.now();
    let mut history = slot.state().history.clone();
    let _ = history.look(&observed, &requirements(&desired, &observed), now);
    let mut plan = decide(app, &desired, &observed, &history, now);
    if let Some(gate) = asked(&desired, &plan) {
        observed.gate = engine.gates.ask(gate).await;
        plan = decide(app, &desired, &observed, &history, now);
    }
    let steps: Vec<Value> = plan.steps.iter().map(|step| shown(app, step)).collect();
    let sentences = |reasons: &[amid_core::reason::Reason]| -> Vec<Sentence> {
        reasons
            .iter()
            .map(|reason| Sentence::of(reason, app.as_str()))
            .collect()
    };
    let roll = commands.then(|| {
        let way = ahead(app, &desired, &observed, &history, now);
        way.iter()
            .map(|leg| match leg {
                Leg::Step(step) => {
                    let mut shown = shown(app, step);
                    if let Step::Apply(apply) = step {
                        shown["commands"] = json!(by_hand(engine, app, apply));
                    }
                    shown
                }
                Leg::Until(until) => json!({ "until": until.to_string() }),
                Leg::End(reason) => json!({ "end": Sentence::of(reason, app.as_str()) }),
            })
            .collect::<Vec<_>>()
    });
    let mut notes = sentences(&plan.notes);
    notes.extend(leaving);
    Ok(json!({
        "app": app,
        "roll": roll,
        "phase": plan.phase.label(),
        "steps": steps,
        "state": plan.state.as_ref().map(|reason| Sentence::of(reason, app.as_str())),
        "held": sentences(&plan.held),
        "notes": notes,
    }))
}

/// A pass brings an image back that clean-up has marked, before it looks at
/// it. This only reckons with that, and says so.
async fn as_if_brought_back(
    engine: &Engine,
    desired: &Desired,
    app: &AppName,
    observed: &mut Observed,
) -> anyhow::Result<Option<Sentence>> {
    let (Desired::Wanted { manifest, .. }, Some(place)) = (desired, engine.place(app)) else {
        return Ok(None);
    };
    if observed.image == ImageFact::NotAsked {
        return Ok(None);
    }
    let Some(said) = look::leaving(engine, place, manifest).await? else {
        return Ok(None);
    };
    observed.image = place
        .aws
        .image_once_enabled(&manifest.ami, &manifest.instance_types)
        .await?;
    Ok(Some(Sentence {
        label: "bring_back".to_owned(),
        text: format!("{}: {said}", manifest.ami),
        frees: None,
    }))
}

fn shown(app: &AppName, step: &Step) -> Value {
    match step {
        Step::Apply(apply) => {
            let changes: Vec<String> = apply
                .expected
                .must
                .iter()
                .map(ToString::to_string)
                .collect();
            json!({
                "step": apply.kind.label(),
                "release": apply.key,
                "why": apply.reason.to_string(),
                "changes": changes,
            })
        }
        Step::Revert(revert) => json!({
            "step": "revert",
            "why": revert.reason.to_string(),
            "changes": [format!("commit to desired/{app}.json")],
        }),
    }
}

/// The commands that do the same by hand, from the repository's root.
fn by_hand(engine: &Engine, app: &AppName, apply: &Apply) -> Vec<String> {
    let unit = engine
        .accepted()
        .and_then(|accepted| Some(accepted.apps.get(app)?.manifest()?.unit.clone()))
        .unwrap_or_default();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let releases = serde_json::to_string(&apply.releases).unwrap_or_default();
    let mut lines = vec![
        format!("export TF_VAR_releases={}", quoted(&literal(&releases))),
        format!(
            "export TF_VAR_may_remove={}",
            quoted(&literal(&json!(apply.may_remove).to_string()))
        ),
        format!("export TF_VAR_memory={}", quoted(&apply.memory.to_text())),
    ];
    let adopt = match &apply.adopt {
        Some((key, leftover)) => json!({ key.as_str(): {
            "template_id": leftover.template_id,
            "group_name": leftover.group_name,
        }}),
        None => json!({}),
    };
    // Always given: the shell keeps what the step before gave.
    lines.push(format!(
        "export TF_VAR_adopt={}",
        quoted(&literal(&adopt.to_string()))
    ));
    lines.push(format!(
        "(cd {} && terragrunt plan -out=step.tfplan && terragrunt apply step.tfplan)",
        quoted(&format!("{}/{unit}", engine.config.terragrunt.root))
    ));
    lines
}
