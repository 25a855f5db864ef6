//! One pass over one app: look, decide, act, write down.
//!
//! A pass takes what git asks for as it stands at its beginning, looks at AWS
//! and at terraform's outputs, lets [`amid_core::decide`] decide, and performs
//! what came out. It keeps nothing that the next pass could not find again.
//! When git changes its mind meanwhile, a plan is dropped and no apply is
//! begun; an apply that runs is let finish.

mod age;
mod dry;
mod engine;
mod evidence;
mod export;
mod image_dates;
mod look;
mod measure;
mod orphan;
mod outcome;
mod perform;
mod plan_check;
mod revert;
mod show;
mod snapshot;

use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;

use amid_core::decide::{Phase, Plan, decide, requirements};
use amid_core::history::Event;
use amid_core::manifest::Gate;
use amid_core::observe::Desired;
use amid_core::reason::Reason;
use amid_core::step::Step;

use crate::desired::Accepted;
use crate::fault;
use crate::reconcile::perform::Performed;

pub use age::look_at_ages;
pub use dry::dry_run;
pub use engine::{Engine, Place, Slot, SlotState, journal_entry};
pub(crate) use export::export;
pub use image_dates::ImageDates;
pub use look::{is_plainly_steady, is_right_account};
pub use measure::{count_aws, count_runs, span};
pub use outcome::{ask, reject, withdrawn};

/// What a pass came to.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Where the app is.
    pub phase: Phase,
    /// Something was done: look again at once.
    pub acted: bool,
    /// When time alone may change the plan.
    pub wake: Option<Timestamp>,
}

/// One pass over the app of `slot`.
///
/// # Errors
///
/// When the world could not be looked at; nothing was done then.
pub async fn pass(engine: &Arc<Engine>, slot: &Arc<Slot>) -> anyhow::Result<Passed> {
    let Some(accepted) = engine.accepted() else {
        return Ok(Passed {
            phase: slot.state().phase,
            acted: false,
            wake: None,
        });
    };
    let desired = accepted.desired(&slot.app);
    if let Some(passed) = engine.adopt_orphan(slot, &accepted, &desired).await? {
        return Ok(passed);
    }
    let mut observed = match look::observe(look::Aim::Act, engine, slot, &accepted, &desired).await
    {
        Ok(observed) => observed,
        Err(look::Blind::Held(reason)) => return Ok(engine.held(slot, *reason)),
        Err(look::Blind::Failed(error)) => return Err(error),
    };
    fault::point("looked");
    let now = engine.now();
    let mut plan = {
        let mut state = slot.state();
        let required = requirements(&desired, &observed);
        for event in state.history.look(&observed, &required, now) {
            engine.note(slot, &mut state, event, now);
        }
        decide(&slot.app, &desired, &observed, &state.history, now)
    };
    if let Some(gate) = asked(&desired, &plan) {
        observed.gate = engine.gates.ask(gate).await;
        plan = decide(&slot.app, &desired, &observed, &slot.state().history, now);
    }
    fault::point("decided");
    engine.turn(slot, &observed, &plan);
    for event in &plan.record {
        if let Event::Abandoned(failed) = event {
            evidence::keep(engine, slot, &observed, failed).await;
        }
        engine.journal(slot, event.clone())?;
    }
    fault::point("recorded");
    outcome::settle(engine, slot, &accepted, &desired, &plan)?;
    if plan.phase == Phase::Steady && plan.steps.is_empty() {
        // Terraform's outputs were read: nothing is left of a cut-off step.
        slot.state().history.unfinished = false;
    }
    let plan = hold_back(slot, plan, &accepted, now);
    engine.show(slot, &desired, &observed, &plan, now);

    let mut passed = Passed {
        phase: plan.phase,
        acted: false,
        wake: plan.wake,
    };
    for step in &plan.steps {
        if engine.is_stopping() {
            return Ok(passed);
        }
        let performed = match step {
            Step::Apply(apply) => perform::apply(engine, slot, &accepted, &desired, apply).await,
            Step::Revert(revert) => revert::push(engine, slot, &accepted, revert).await,
        };
        match performed.with_context(|| format!("Failed to perform a step of {}", slot.app))? {
            Performed::Done => passed.acted = true,
            Performed::NotNow => {}
            Performed::Held(reason) => {
                let held = engine.held(slot, reason);
                passed.phase = held.phase;
                return Ok(passed);
            }
            Performed::Later(until) => {
                passed.wake = Some(until);
                return Ok(passed);
            }
        }
    }
    Ok(passed)
}

/// The gate that has to be asked before `plan` is final.
fn asked<'a>(desired: &'a Desired, plan: &Plan) -> Option<&'a Gate> {
    match desired {
        Desired::Wanted { manifest, .. } if plan.asks_gate => manifest.gate.as_ref(),
        _ => None,
    }
}

/// Takes out the steps that may not be tried now: a retry waits for its time,
/// or the step is held for a person.
fn hold_back(slot: &Slot, mut plan: Plan, accepted: &Accepted, now: Timestamp) -> Plan {
    let state = slot.state();
    if let Some(retry) = state
        .history
        .retry
        .as_ref()
        .filter(|retry| retry.is_ahead(now))
        && !plan.steps.is_empty()
    {
        plan.steps.clear();
        plan.wake = Some(retry.until);
        plan.state = Some(Reason::WaitRetry {
            until: retry.until,
            attempt: retry.attempt,
            error: retry.error.clone(),
        });
        return plan;
    }
    if let Some(held) = &state.history.held
        && !state.history.is_approved(&held.id, now)
    {
        let before = plan.steps.len();
        plan.steps.retain(|step| match step {
            Step::Apply(apply) => plan_check::fingerprint(&slot.app, apply, accepted) != held.step,
            Step::Revert(_) => true,
        });
        if plan.steps.len() < before {
            plan.held.insert(0, held.reason.clone());
            plan.phase = Phase::Held;
        }
    }
    plan
}

/// Whether git asks the same of the app as when the pass began.
fn still_wanted(engine: &Engine, slot: &Slot, desired: &Desired) -> bool {
    engine
        .accepted()
        .is_some_and(|accepted| accepted.desired(&slot.app) == *desired)
}
