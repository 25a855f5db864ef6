//! The gate of an app: an address that has to say yes before a roll begins
//! and before anything that serves is taken away.
//!
//! A give-up, a first release, and the way from an ill release back to one
//! that served are not asked for: what is ill must not be able to keep itself
//! alive. The way back from a healthy one is: a revert of every member of a
//! replica set must not take all of them away at once.

use jiff::SignedDuration;

use super::view::View;
use super::{Phase, Plan};
use crate::history::later;
use crate::model::ReleaseKey;
use crate::observe::GateFact;
use crate::reason::Reason;
use crate::step::{Apply, Step};

/// Time between two questions while no roll runs.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// Takes steps out of `plan` that the gate does not let through.
pub(super) fn heed(view: &View<'_>, mut plan: Plan) -> Plan {
    let Some(gate) = &view.manifest.gate else {
        return plan;
    };
    let waits = |step: &Step| matches!(step, Step::Apply(apply) if asks(view, apply));
    if !plan.steps.iter().any(waits) {
        return plan;
    }
    let said = match &view.observed.gate {
        GateFact::Open => {
            for step in &mut plan.steps {
                if let Step::Apply(apply) = step {
                    apply.guard.gate = Some(gate.clone());
                }
            }
            return plan;
        }
        GateFact::NotAsked => {
            plan.asks_gate = true;
            "it was not asked yet".to_owned()
        }
        GateFact::Closed { said } => said.clone(),
    };
    plan.steps.retain(|step| !waits(step));
    plan.state = Some(Reason::WaitGate {
        url: gate.url.clone(),
        said,
    });
    // Before a roll nothing is under way; within one, its last phase goes on.
    plan.phase = match &view.observed.memory.roll {
        None => Phase::Steady,
        Some(_) => Phase::Baking,
    };
    plan.wake = Some(later(view.now, AGAIN));
    plan
}

fn asks(view: &View<'_>, apply: &Apply) -> bool {
    let is_way_out = |to: &ReleaseKey| view.observed.memory.served.contains(to) && !is_well(view);
    match &apply.reason {
        // The old release of a recreation is empty by then.
        Reason::NewRelease { .. } if apply.memory.roll == view.observed.memory.roll => false,
        Reason::NewRelease { to, .. } => !is_way_out(to),
        Reason::RecreateDrain { .. } | Reason::Baked { .. } => !is_way_out(&view.want),
        Reason::Resize { to, .. } => view
            .observed
            .group(&apply.key)
            .is_some_and(|group| group.desired > to.1),
        _ => false,
    }
}

/// Whether a release that is to be replaced serves as it should.
fn is_well(view: &View<'_>) -> bool {
    let mut replaced = view
        .observed
        .made
        .iter()
        .filter(|(key, _)| **key != view.want);
    replaced.any(|(key, made)| view.healthy(key) >= made.min_size.max(1))
}
