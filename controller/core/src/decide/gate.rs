//! The gate of an app: an address that has to say yes before a roll begins
//! and before anything that serves is taken away.
//!
//! A give-up, a rollback to a release that served, and a first release are
//! not asked for: what is ill must not be able to keep itself alive.

use jiff::SignedDuration;

use super::view::View;
use super::{Phase, Plan};
use crate::history::later;
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
    let served = &view.observed.memory.served;
    match &apply.reason {
        // The old release of a recreation is empty by then.
        Reason::NewRelease { .. } if apply.memory.roll == view.observed.memory.roll => false,
        Reason::NewRelease { to, .. } => !served.contains(to),
        Reason::RecreateDrain { .. } => !served.contains(&view.want),
        Reason::Baked { .. } => !served.contains(&view.want),
        Reason::Resize { to, .. } => view
            .observed
            .group(&apply.key)
            .is_some_and(|group| group.desired > to.1),
        _ => false,
    }
}
