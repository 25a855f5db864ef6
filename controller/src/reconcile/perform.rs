//! Performs one apply: export, plan, check, look again, apply, write down.
//!
//! Dull on purpose: what to do was decided. Everything that goes wrong is
//! turned into one of four endings, sorted by what happens next.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use amid_core::history::{Event, back_off, later};
use amid_core::observe::{Desired, GateFact, Observed};
use amid_core::reason::Reason;
use amid_core::step::{Apply, ApplyKind};

use super::engine::{Engine, Slot};
use super::export::export;
use super::{look, plan_check, still_wanted};
use crate::desired::Accepted;
use crate::fault;
use crate::terragrunt::{Kind, PlanOptions, Planned, Priority, RunError, Unit, Unlocked, Vars};

/// Time between two looks at a state lock that somebody holds.
const LOCKED: SignedDuration = SignedDuration::from_secs(10);

/// How a step ended.
#[derive(Debug)]
pub(super) enum Performed {
    /// It is done.
    Done,
    /// The world moved on: look and decide again.
    NotNow,
    /// It waits for a person.
    Held(Reason),
    /// It failed and is tried again then.
    Later(Timestamp),
}

/// Performs one apply.
pub(super) async fn apply(
    engine: &Arc<Engine>,
    slot: &Arc<Slot>,
    accepted: &Arc<Accepted>,
    desired: &Desired,
    apply: &Apply,
) -> anyhow::Result<Performed> {
    let Desired::Wanted { manifest, .. } = desired else {
        return Ok(Performed::NotNow);
    };
    if !export(engine, slot, accepted, &manifest.unit).await? {
        return Ok(Performed::Held(Reason::UnitMissing {
            unit: manifest.unit.clone(),
        }));
    }
    fault::point("exported");
    let unit = engine.unit(&slot.app, &manifest.unit);
    engine.journal(
        slot,
        Event::Began {
            step: apply.kind,
            key: apply.key.clone(),
            reason: apply.reason.clone(),
        },
    )?;
    fault::point("began");
    let began = Instant::now();
    let run = Run {
        engine,
        slot,
        accepted,
        desired,
        apply,
        unit,
    };
    let result = run.plan_and_apply().await;
    slot.state().running = None;
    run.written_down(result, began).await
}

/// JSON as terraform reads it in `TF_VAR_…` of a variable that is no string:
/// as HCL, where `${` and `%{` would begin a template.
pub(super) fn literal(json: &str) -> String {
    json.replace("${", "$${").replace("%{", "%%{")
}

/// Counts an apply while it runs: a stop waits for it.
struct Counted<'a>(&'a Engine);

impl<'a> Counted<'a> {
    fn new(engine: &'a Engine) -> Self {
        engine.applies.fetch_add(1, Ordering::SeqCst);
        Self(engine)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.applies.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Run<'a> {
    engine: &'a Arc<Engine>,
    slot: &'a Arc<Slot>,
    accepted: &'a Arc<Accepted>,
    desired: &'a Desired,
    apply: &'a Apply,
    unit: Unit,
}

impl Run<'_> {
    async fn plan_and_apply(&self) -> Result<Performed, RunError> {
        let Some(planned) = self.plan().await? else {
            return Ok(Performed::NotNow);
        };
        fault::point("planned");
        if let Some(reason) = self.check(&planned).await? {
            return Ok(Performed::Held(reason));
        }
        fault::point("checked");
        if planned.is_empty() {
            return Ok(Performed::Done);
        }
        // What was true when the step was decided has to be true still.
        if !self.apply.guard.is_empty() {
            let gate = match &self.apply.guard.gate {
                Some(gate) => self.engine.gates.ask(gate).await,
                None => GateFact::NotAsked,
            };
            let seen = look::observe(
                look::Aim::Act,
                self.engine,
                self.slot,
                self.accepted,
                self.desired,
            )
            .await;
            match seen.map(|observed| Observed { gate, ..observed }) {
                Ok(observed) if self.apply.guard.holds(&observed) => {}
                Ok(_) => return Ok(Performed::NotNow),
                Err(look::Blind::Held(reason)) => return Ok(Performed::Held(*reason)),
                Err(look::Blind::Failed(error)) => return Err(RunError::Other(error)),
            }
        }
        fault::point("looked-again");
        if self.engine.is_stopping() || !still_wanted(self.engine, self.slot, self.desired) {
            return Ok(Performed::NotNow);
        }
        self.running("apply");
        fault::point("before-apply");
        let counted = Counted::new(self.engine);
        let applied = self.engine.runner.apply(&self.unit, planned).await;
        drop(counted);
        let applied = applied?;
        fault::point("applied");
        if let Some(healed) = &applied.healed {
            tracing::info!(app = %self.slot.app, "{healed}");
        }
        let made = look::made(&applied.outputs, self.engine.now())?;
        self.slot.state().made = Some(made);
        Ok(Performed::Done)
    }

    /// Plans; nothing, when git or a stop came first.
    async fn plan(&self) -> Result<Option<Planned>, RunError> {
        self.running("plan");
        let give_up = matches!(
            self.apply.kind,
            ApplyKind::Adopt | ApplyKind::Drain | ApplyKind::Remove | ApplyKind::Restore
        );
        let options = PlanOptions {
            refresh: true,
            priority: if give_up {
                Priority::GiveUp
            } else {
                Priority::Roll
            },
        };
        let vars = self.vars()?;
        let plan = self.engine.runner.plan(&self.unit, &vars, options);
        tokio::select! {
            planned = plan => planned.map(Some),
            () = self.no_longer_wanted() => Ok(None),
        }
    }

    /// Completes when git asks for something else, or the process is to stop.
    async fn no_longer_wanted(&self) {
        let mut accepted = self.engine.accepted.subscribe();
        let mut stopping = self.engine.stopping.subscribe();
        loop {
            if self.engine.is_stopping() || !still_wanted(self.engine, self.slot, self.desired) {
                return;
            }
            tokio::select! {
                changed = accepted.changed() => if changed.is_err() { return },
                changed = stopping.changed() => if changed.is_err() { return },
            }
        }
    }

    fn vars(&self) -> anyhow::Result<Vars> {
        let adopt = match &self.apply.adopt {
            Some((key, leftover)) => json!({ key.as_str(): {
                "template_id": leftover.template_id,
                "group_name": leftover.group_name,
            }}),
            None => json!({}),
        };
        Ok(Vars {
            releases: literal(
                &serde_json::to_string(&self.apply.releases)
                    .context("Failed to write the releases as JSON")?,
            ),
            may_remove: literal(&json!(self.apply.may_remove).to_string()),
            memory: self.apply.memory.to_text(),
            adopt: literal(&adopt.to_string()),
        })
    }

    /// Holds the plan against the step. Gives the hold, if there is one.
    async fn check(&self, planned: &Planned) -> Result<Option<Reason>, RunError> {
        let changes = plan_check::changes(&planned.changes);
        let mut unexpected = self.apply.expected.unexpected(&changes);
        if planned.overflowed {
            unexpected.push("more changes than amid reads".to_owned());
        }
        if plan_check::updates_a_group(&changes) {
            let shown = self.engine.runner.show(&self.unit, planned).await?;
            unexpected.extend(plan_check::unexpected_values(&shown));
        }
        if unexpected.is_empty() {
            return Ok(None);
        }
        let id = plan_check::hold_id(&self.slot.app, self.apply, &unexpected);
        let now = self.engine.now();
        if self.slot.state().history.is_approved(&id, now) {
            tracing::info!(app = %self.slot.app, hold = id, "{} goes on as approved", self.slot.app);
            return Ok(None);
        }
        let reason = Reason::UnexpectedPlan {
            id: id.clone(),
            unexpected,
        };
        let step = plan_check::fingerprint(&self.slot.app, self.apply, self.accepted);
        self.engine.journal(
            self.slot,
            Event::Held {
                id,
                step,
                reason: reason.clone(),
            },
        )?;
        Ok(Some(reason))
    }

    fn running(&self, what: &str) {
        self.slot.state().running = Some(format!("{what} {}", self.apply.kind.label()));
    }

    /// Writes the ending down and says what happens next.
    async fn written_down(
        &self,
        result: Result<Performed, RunError>,
        began: Instant,
    ) -> anyhow::Result<Performed> {
        let finished = |error: Option<String>| Event::Finished {
            step: self.apply.kind,
            key: self.apply.key.clone(),
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            error,
        };
        let error = match result {
            Ok(Performed::Done) => {
                self.engine.journal(self.slot, finished(None))?;
                if let Some(code) = &self.accepted.code {
                    self.engine
                        .journal(self.slot, Event::Checked { code: code.clone() })?;
                }
                self.slot.state().attempts = 0;
                fault::point("finished");
                return Ok(Performed::Done);
            }
            Ok(other) => {
                let why = match &other {
                    Performed::Held(reason) => format!("held: {}", reason.label()),
                    _ => "the world moved on".to_owned(),
                };
                self.engine.journal(self.slot, finished(Some(why)))?;
                return Ok(other);
            }
            Err(error) => error,
        };
        // What the state has now is not known: it is read again.
        self.slot.state().made = None;
        self.engine
            .journal(self.slot, finished(Some(error.to_string())))?;
        self.after_error(error).await
    }

    /// Sorts an error by what happens next.
    async fn after_error(&self, error: RunError) -> anyhow::Result<Performed> {
        let words = error.to_string();
        let held = match &error {
            RunError::StateLocked(lock) => {
                match self.engine.runner.break_own_lock(&self.unit, lock).await {
                    Ok(Unlocked::Broken) => return Ok(Performed::NotNow),
                    Ok(Unlocked::Kept(why)) => {
                        tracing::info!(app = %self.slot.app, lock = lock.id, "{}: the state lock is left alone: {why}", self.slot.app);
                    }
                    Err(error) => {
                        tracing::warn!(app = %self.slot.app, lock = lock.id, "{}: failed to break the state lock: {error}", self.slot.app);
                    }
                }
                Some(Reason::StateLocked {
                    who: lock.who.clone(),
                    id: lock.id.clone(),
                })
            }
            RunError::ErroredState(path) => Some(Reason::ErroredState {
                path: path.display().to_string(),
            }),
            error if error.kind() == Kind::Refused => Some(Reason::Refused {
                message: words.clone(),
            }),
            // Made but not recorded: the next look finds it and takes it in.
            RunError::AlreadyExists(_) | RunError::StalePlan => None,
            _ => None,
        };
        let now = self.engine.now();
        let attempt = {
            let mut state = self.slot.state();
            state.attempts = state.attempts.saturating_add(1);
            state.attempts
        };
        let until = match &error {
            RunError::AlreadyExists(_) | RunError::StalePlan | RunError::Busy { .. }
                if attempt <= 2 =>
            {
                now
            }
            // A lock goes when its owner does, and our own dead child's is
            // broken once that is proved: waiting longer each time helps nobody.
            RunError::StateLocked(_) => later(now, LOCKED),
            _ => later(now, back_off(attempt)),
        };
        tracing::warn!(app = %self.slot.app, attempt, "{}: {} failed: {words}", self.slot.app, self.apply.kind.label());
        self.engine.journal(
            self.slot,
            Event::Retry {
                until,
                attempt,
                error: words,
            },
        )?;
        Ok(match held {
            Some(reason) => Performed::Held(reason),
            None => Performed::Later(until),
        })
    }
}
