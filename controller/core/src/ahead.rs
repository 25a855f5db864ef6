//! What a roll would be, from here to its end, if all went well.
//!
//! [`ahead`] plays the policy forward in a world that obeys: each step works,
//! what is made becomes healthy, what is drained empties. It shows a person
//! the whole way, and the commands of each step, before anything is done; it
//! decides nothing.

use std::fmt;

use jiff::Timestamp;

use crate::decide::{Plan, decide, requirements};
use crate::history::{AppHistory, Event, Timer};
use crate::manifest::{Manifest, Seconds};
use crate::model::{AppName, Group, Instance, ReleaseKey, Targets};
use crate::observe::{Desired, GateFact, Observed};
use crate::reason::Reason;
use crate::step::{Apply, Step, effective};

/// More than the longest roll has.
const LONGEST: usize = 32;

/// A part of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leg {
    /// Something is done.
    Step(Step),
    /// Something is waited for.
    Until(Until),
    /// Here it ends: all is as desired, or a person has to act.
    End(Reason),
}

/// What is waited for between two steps.
#[allow(missing_docs, reason = "`Display` below shows what each field means")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// A group has its instances, and they stay healthy.
    Healthy {
        name: String,
        required: u32,
        bake: Seconds,
    },
    /// A group is empty.
    Empty { name: String },
    /// The gate says yes.
    Gate { url: String },
    /// Something else.
    Other(Reason),
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy {
                name,
                required,
                bake,
            } => write!(
                f,
                "wait until `{name}` has {required} healthy instances, and then for {bake} more while they stay so"
            ),
            Self::Empty { name } => write!(f, "wait until `{name}` has no instance left"),
            Self::Gate { url } => write!(f, "wait until {url} answers with a 2xx status"),
            Self::Other(reason) => write!(f, "wait: {reason}"),
        }
    }
}

/// The way from what is to what git asks for.
pub fn ahead(
    app: &AppName,
    desired: &Desired,
    observed: &Observed,
    history: &AppHistory,
    now: Timestamp,
) -> Vec<Leg> {
    let Desired::Wanted { manifest, .. } = desired else {
        let plan = decide(app, desired, observed, history, now);
        return plan.reason().cloned().map(Leg::End).into_iter().collect();
    };
    let mut dream = Dream {
        app,
        manifest,
        desired,
        observed: observed.clone(),
        history: history.clone(),
        now,
        legs: Vec::new(),
    };
    while dream.legs.len() < LONGEST && dream.goes_on() {}
    dream.legs
}

struct Dream<'a> {
    app: &'a AppName,
    manifest: &'a Manifest,
    desired: &'a Desired,
    observed: Observed,
    history: AppHistory,
    now: Timestamp,
    legs: Vec<Leg>,
}

impl Dream<'_> {
    fn goes_on(&mut self) -> bool {
        let required = requirements(self.desired, &self.observed);
        for event in self.history.look(&self.observed, &required, self.now) {
            self.history.record(&event, self.now);
        }
        let plan = decide(
            self.app,
            self.desired,
            &self.observed,
            &self.history,
            self.now,
        );
        for event in &plan.record {
            self.history.record(event, self.now);
        }
        let mut applied = false;
        for step in &plan.steps {
            self.legs.push(Leg::Step(step.clone()));
            if let Step::Apply(apply) = step {
                self.apply(apply);
                applied = true;
            }
        }
        if !plan.steps.is_empty() {
            // After a revert git asks for something else, and the rest of the
            // way is another one.
            return applied && plan.steps.len() == 1;
        }
        self.wait(&plan)
    }

    /// Makes true what `plan` waits for. Returns whether the way goes on.
    fn wait(&mut self, plan: &Plan) -> bool {
        if let (Some(Reason::WaitGate { url, .. }), false) =
            (&plan.state, self.observed.gate == GateFact::Open)
        {
            self.observed.gate = GateFact::Open;
            let url = url.clone();
            self.legs.push(Leg::Until(Until::Gate { url }));
            return true;
        }
        if let Some(held) = plan.held.first() {
            self.legs.push(Leg::End(held.clone()));
            return false;
        }
        let until = match &plan.state {
            Some(
                Reason::WaitHealthy { .. } | Reason::WaitBake { .. } | Reason::WaitSteady { .. },
            ) => self.becomes_healthy(),
            Some(Reason::WaitDrain { name, .. } | Reason::SlowDrain { name, .. }) => {
                for group in self
                    .observed
                    .groups
                    .iter_mut()
                    .filter(|group| group.max == 0)
                {
                    group.instances.clear();
                }
                Some(Until::Empty { name: name.clone() })
            }
            Some(reason @ (Reason::WaitTurn { .. } | Reason::WaitKeeper { .. })) => {
                self.observed.turn_taken = None;
                self.observed.groups.iter_mut().for_each(heal);
                Some(Until::Other(reason.clone()))
            }
            _ => None,
        };
        let repeats =
            |until: &Until| matches!(self.legs.last(), Some(Leg::Until(last)) if last == until);
        match until.filter(|until| !repeats(until)) {
            Some(until) => {
                self.legs.push(Leg::Until(until));
                true
            }
            None => {
                self.legs.extend(plan.state.clone().map(Leg::End));
                false
            }
        }
    }

    /// The release that counts becomes healthy, and has baked.
    fn becomes_healthy(&mut self) -> Option<Until> {
        self.observed.groups.iter_mut().for_each(heal);
        let bake = self.manifest.roll.bake;
        let since = crate::history::later(self.now, -bake.as_duration());
        let (key, required) = requirements(self.desired, &self.observed)
            .into_iter()
            .next()?;
        let timer = Timer {
            waited: jiff::SignedDuration::ZERO,
            first_healthy: Some(since),
            healthy_since: Some(since),
            required,
            looked: self.now,
        };
        self.history.timers.insert(key.clone(), timer);
        let bake = match self.observed.memory.roll {
            Some(_) => bake,
            None => Seconds(0),
        };
        Some(Until::Healthy {
            name: self.app.group_name(&key),
            required,
            bake,
        })
    }

    /// What an apply makes of the world.
    fn apply(&mut self, apply: &Apply) {
        let observed = &mut self.observed;
        observed
            .groups
            .retain(|group| apply.releases.contains_key(&group.key));
        for (key, made) in &apply.releases {
            let (min, max) = effective(made);
            let known = observed.groups.iter_mut().find(|group| group.key == *key);
            match known {
                Some(group) => {
                    (group.min, group.max) = (min, max);
                    group.desired = group.desired.clamp(min, max.max(min));
                    group.template_version = group.template_version.take().map(|_| "1".to_owned());
                }
                None => {
                    let desired = made.desired.clamp(min, max.max(min));
                    let name = self.app.group_name(key);
                    observed
                        .groups
                        .push(new_group(key, name, (min, max), desired));
                }
            }
        }
        observed.made.clone_from(&apply.releases);
        observed.memory.clone_from(&apply.memory);
        observed.has_state = true;
        observed.leftover = None;
        observed.stray = None;
        let finished = Event::Finished {
            step: apply.kind,
            key: apply.key.clone(),
            millis: 0,
            error: None,
        };
        self.history.record(&finished, self.now);
        self.history.checked.clone_from(&observed.code);
    }
}

fn new_group(key: &ReleaseKey, name: String, bounds: (u32, u32), desired: u32) -> Group {
    Group {
        key: key.clone(),
        name,
        min: bounds.0,
        max: bounds.1,
        desired,
        instances: Vec::new(),
        // What its unit gives it is seen once it is there.
        target_groups: vec![String::new()],
        template_version: None,
        deleting: false,
        failures: Vec::new(),
    }
}

/// A group has what it wants, and all of it is healthy.
fn heal(group: &mut Group) {
    group.failures.clear();
    if group.max == 0 {
        return;
    }
    group.instances = (0..group.desired)
        .map(|n| Instance {
            id: format!("i-{n}"),
            in_service: true,
            lifecycle: "InService".to_owned(),
            targets: Targets::Healthy,
            ami: None,
        })
        .collect();
}
