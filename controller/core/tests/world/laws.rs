//! What must hold in every world, after every step. Written without a look at
//! how `decide` does it, from the design's list of invariants.

use std::collections::BTreeSet;

use amid_core::decide::Plan;
use amid_core::history::{AppHistory, Event};
use amid_core::model::{CommitId, ReleaseKey};
use amid_core::observe::{Desired, Observed};
use amid_core::step::{Apply, ApplyKind, Step, effective};
use jiff::Timestamp;

use super::aws::Aws;

/// The watch over one world.
#[derive(Default)]
pub struct Laws {
    /// What was broken first.
    pub broken: Option<String>,
    /// Applies so far.
    pub applies: u32,
    /// What failed, as far as somebody still knows.
    failed: BTreeSet<(ReleaseKey, CommitId)>,
    /// The release that served when the roll began, and how many instances
    /// it wanted.
    began: Option<(ReleaseKey, u32)>,
    /// Desired capacities as the last look found them.
    seen: Vec<(ReleaseKey, u32)>,
}

impl Laws {
    pub fn broken(&mut self, law: String) {
        self.broken.get_or_insert(law);
    }

    fn hold(&mut self, law: bool, words: impl FnOnce() -> String) {
        if !law {
            self.broken(words());
        }
    }

    /// A group is gone and nobody of us did it.
    pub fn deleted_by_hand(&mut self) {
        self.began = None;
    }

    /// Only the state's memory knows now what failed.
    pub fn journal_lost(&mut self) {
        self.failed.clear();
    }

    pub fn plan(
        &mut self,
        plan: &Plan,
        desired: &Desired,
        observed: &Observed,
        history: &AppHistory,
        wanted: &ReleaseKey,
        now: Timestamp,
    ) {
        self.seen = observed
            .groups
            .iter()
            .map(|group| (group.key.clone(), group.desired))
            .collect();
        self.hold(
            !plan.steps.is_empty() || plan.state.is_some() || !plan.held.is_empty(),
            || "nothing is done and nobody is told why".to_owned(),
        );
        let applies = plan
            .steps
            .iter()
            .filter(|s| matches!(s, Step::Apply(_)))
            .count();
        self.hold(applies <= 1 && plan.steps.len() <= 2, || {
            "too many steps at once".to_owned()
        });
        let memory = &observed.memory;
        self.hold(
            memory.failed.len() <= 8
                && memory.served.len() <= 8
                && history.abandoned.len() <= 16
                && history.refused.len() <= 16
                && history.timers.len() <= 2,
            || "something grows without bound".to_owned(),
        );
        for event in &plan.record {
            if let Event::Abandoned(failed) = event
                && failed.failure.blames_release()
            {
                self.failed
                    .insert((failed.key.clone(), failed.commit.clone()));
            }
        }
        let Desired::Wanted { manifest, commit } = desired else {
            self.hold(plan.steps.is_empty(), || {
                "a step without a manifest".to_owned()
            });
            return;
        };
        let ended = |until: Option<Timestamp>| until.is_some_and(|until| until <= now);
        let by_manifest = manifest.suspend.as_ref().is_some_and(|s| !ended(s.until));
        let by_command = history
            .suspended
            .as_ref()
            .is_some_and(|(_, until)| !ended(*until));
        let rollback = memory.served.contains(wanted);
        for step in &plan.steps {
            let Step::Apply(apply) = step else {
                continue;
            };
            if (by_manifest || by_command) && !rollback {
                let to = memory.roll.as_ref().map(|roll| &roll.to);
                let recreating = memory.roll.as_ref().is_some_and(|roll| roll.recreate);
                let forward = match apply.kind {
                    ApplyKind::Add => !recreating,
                    ApplyKind::Grow => true,
                    ApplyKind::Drain => Some(&apply.key) != to && !recreating,
                    _ => false,
                };
                self.hold(!forward, || {
                    format!("{} while suspended", apply.kind.label())
                });
            }
            if apply.kind == ApplyKind::Add {
                let failed = self.failed.contains(&(apply.key.clone(), commit.clone()))
                    || memory.failure(&apply.key, commit).is_some();
                self.hold(!failed, || {
                    format!(
                        "{} failed at {} and is added again",
                        apply.key,
                        commit.short()
                    )
                });
            }
        }
    }

    /// Whoever asked the gate is not sent to ask it again.
    pub fn answered(&mut self, plan: &Plan) {
        self.hold(!plan.asks_gate, || {
            "the gate answered and is asked again".to_owned()
        });
    }

    /// While the gate is closed no roll begins and nothing that is wanted
    /// still is taken away.
    pub fn gate(
        &mut self,
        plan: &Plan,
        desired: &Desired,
        observed: &Observed,
        wanted: &ReleaseKey,
        open: bool,
    ) {
        let Desired::Wanted { manifest, .. } = desired else {
            return;
        };
        let memory = &observed.memory;
        if manifest.gate.is_none() || open || memory.served.contains(wanted) {
            return;
        }
        for step in &plan.steps {
            let Step::Apply(apply) = step else {
                continue;
            };
            let begins = apply.kind == ApplyKind::Add
                && apply.memory.roll.is_some()
                && apply.memory.roll != memory.roll;
            let coming = memory.roll.as_ref().map(|roll| &roll.to);
            let drains = apply.kind == ApplyKind::Drain && Some(&apply.key) != coming;
            self.hold(!begins && !drains, || {
                format!("{} through a closed gate", apply.kind.label())
            });
        }
    }

    /// The module or terraform would refuse.
    pub fn refused(&mut self, apply: &Apply, refusal: &str) {
        self.broken(format!("{} is refused: {refusal}", apply.kind.label()));
    }

    pub fn expected(&mut self, apply: &Apply, unexpected: &[String]) {
        self.hold(unexpected.is_empty(), || {
            format!(
                "{} of {} holds what is not expected: {unexpected:?}",
                apply.kind.label(),
                apply.key
            )
        });
        let undrained = apply.releases.values().filter(|made| !made.drain).count();
        let recreate = apply.memory.roll.as_ref().is_some_and(|roll| roll.recreate);
        self.hold(apply.releases.len() <= 2, || "three releases".to_owned());
        self.hold(undrained > 0 || recreate, || {
            "both releases are drained".to_owned()
        });
    }

    /// An apply was made, well or not.
    pub fn applied(&mut self, apply: &Apply, before: &Aws, after: &Aws, desired: &Desired) {
        self.applies += 1;
        let roll = apply.memory.roll.as_ref();
        if let Some(roll) = roll
            && self
                .began
                .as_ref()
                .is_none_or(|(from, _)| *from != roll.from)
        {
            let seen = self.seen.iter().find(|(key, _)| *key == roll.from);
            let capacity = seen.map_or(0, |(_, desired)| *desired);
            self.began = Some((roll.from.clone(), capacity));
        }
        let Desired::Wanted { manifest, .. } = desired else {
            return;
        };
        let recreate = roll.is_some_and(|roll| roll.recreate);
        for (key, asg) in &before.groups {
            let Some(now) = after.groups.get(key) else {
                self.hold(asg.machines.is_empty(), || {
                    format!("{key} is deleted with instances in it")
                });
                continue;
            };
            let drained = now.max == 0 && asg.max > 0;
            if !drained || asg.healthy() == 0 || recreate {
                continue;
            }
            let capacity = self.began.as_ref().map_or(0, |(_, capacity)| *capacity);
            let floor = capacity.min(manifest.min_size);
            let stays = before.groups.iter().filter(|(other, asg)| {
                *other != key
                    && apply.releases.get(*other).is_some_and(|made| {
                        let (min, max) = effective(made);
                        // Putting back what somebody changed may widen
                        // what stays, never shrink it.
                        let heals = apply.kind == ApplyKind::Heal && max >= asg.desired;
                        heals || (min, max) == (asg.min, asg.max)
                    })
            });
            let healthy: u32 = stays.map(|(_, asg)| asg.healthy()).sum();
            self.hold(healthy >= floor, || {
                format!(
                    "{key} is drained while {healthy} healthy instances stay and {floor} are needed"
                )
            });
        }
        if roll.is_none() {
            self.began = None;
        }
    }
}
