//! What the parts of the policy share: the world as one struct, and the few
//! questions that all of them ask of it.

use jiff::{SignedDuration, Timestamp};

use super::{Phase, Plan};
use crate::history::{AppHistory, Event, later};
use crate::manifest::{HealthKind, Manifest, OnFailure, Seconds, Strategy};
use crate::model::{
    AmiId, AppName, CommitId, Group, LaunchCause, Made, ReleaseKey, Releases, Settings, Targets,
};
use crate::observe::{ImageFact, Leftover, Observed, Stray};
use crate::reason::{Failure, Reason, SuspendedBy};
use crate::step::{Apply, ApplyKind, Expected, Failed, Guard, Memory, Revert, RevertWay, Step};

/// One app's world.
pub(super) struct View<'a> {
    pub(super) app: &'a AppName,
    pub(super) manifest: &'a Manifest,
    pub(super) commit: &'a CommitId,
    pub(super) observed: &'a Observed,
    pub(super) history: &'a AppHistory,
    pub(super) now: Timestamp,
    /// What git asks for.
    pub(super) settings: Settings,
    /// Its key; that of the live release with the same settings, if there is
    /// one.
    pub(super) want: ReleaseKey,
}

/// The key under which `settings` is live, or would be.
fn key_of(settings: &Settings, made: &Releases) -> ReleaseKey {
    made.iter()
        .find(|(_, made)| made.settings == *settings)
        .map_or_else(|| settings.key(), |(key, _)| key.clone())
}

impl<'a> View<'a> {
    pub(super) fn new(
        app: &'a AppName,
        manifest: &'a Manifest,
        commit: &'a CommitId,
        observed: &'a Observed,
        history: &'a AppHistory,
        now: Timestamp,
    ) -> Self {
        let settings = manifest.settings();
        let want = key_of(&settings, &observed.made);
        Self {
            app,
            manifest,
            commit,
            observed,
            history,
            now,
            settings,
            want,
        }
    }

    /// The branch lost the commit that the state remembers.
    pub(super) fn rewritten(&self) -> Option<Reason> {
        let accepted = self.observed.memory.accepted.clone()?;
        let found = self.observed.head.clone()?;
        self.observed
            .rewritten
            .then_some(Reason::Rewritten { accepted, found })
    }

    /// A group of a release that git asks for no more, if it can be taken in.
    pub(super) fn stray(&self) -> Option<&'a Stray> {
        let stray = self.observed.stray.as_ref()?;
        let group = self.observed.group(&stray.key)?;
        let made = &self.observed.made;
        // Beside two releases there is no room for a third; and one apply
        // takes in one group.
        let room = made.len() <= 1
            && !made.contains_key(&stray.key)
            && (made.contains_key(&self.want) || self.observed.group(&self.want).is_none());
        let whole = stray.leftover.group_name.as_ref() == Some(&group.name) && !group.deleting;
        (room && whole && stray.key != self.want).then_some(stray)
    }

    /// A group with the app's tag that terraform does not know and that is
    /// not what an interrupted apply left.
    pub(super) fn unknown_group(&self) -> Option<String> {
        let adoptable = |group: &Group| {
            let is_stray = self.stray().is_some_and(|stray| stray.key == group.key);
            let is_wanted = group.key == self.want
                && self
                    .observed
                    .leftover
                    .as_ref()
                    .is_some_and(|leftover| leftover.group_name.as_ref() == Some(&group.name));
            is_stray || is_wanted
        };
        self.observed
            .groups
            .iter()
            .find(|group| {
                !self.observed.made.contains_key(&group.key) && !group.deleting && !adoptable(group)
            })
            .map(|group| group.name.clone())
    }

    pub(super) fn healthy(&self, key: &ReleaseKey) -> u32 {
        self.observed.group(key).map_or(0, Group::healthy)
    }

    pub(super) fn instances(&self, key: &ReleaseKey) -> u32 {
        self.observed.group(key).map_or(0, |group| {
            u32::try_from(group.instances.len()).unwrap_or(u32::MAX)
        })
    }

    pub(super) fn is_recreate(&self) -> bool {
        self.manifest.roll.strategy == Strategy::Recreate
    }

    /// The live image of a release, as its settings name it.
    pub(super) fn ami_of(&self, key: &ReleaseKey) -> Option<AmiId> {
        self.observed.made.get(key)?.settings.ami()
    }

    /// Why nothing may roll forward, if somebody said so. A rollback still
    /// may: towards a release that served before.
    pub(super) fn suspended(&self) -> Option<Reason> {
        if self.observed.memory.served.contains(&self.want) {
            return None;
        }
        let ended = |until: &Option<Timestamp>| until.is_some_and(|until| until <= self.now);
        if let Some((reason, until)) = &self.history.suspended
            && !ended(until)
        {
            return Some(Reason::Suspended {
                reason: reason.clone(),
                until: *until,
                by: SuspendedBy::Command,
            });
        }
        let suspend = self.manifest.suspend.as_ref()?;
        (!ended(&suspend.until)).then(|| Reason::Suspended {
            reason: suspend.reason.clone(),
            until: suspend.until,
            by: SuspendedBy::Manifest,
        })
    }

    /// Why the wanted image cannot be launched, if AWS said so.
    pub(super) fn image_problem(&self) -> Option<Reason> {
        let ami = self.manifest.ami.clone();
        match &self.observed.image {
            ImageFact::NotAsked | ImageFact::Available { misfit: None, .. } => None,
            ImageFact::Available {
                architecture,
                misfit: Some((instance_type, wants)),
            } => Some(Reason::ImageWrongArchitecture {
                ami,
                architecture: architecture.clone(),
                instance_type: instance_type.clone(),
                wants: wants.clone(),
            }),
            ImageFact::NotAvailable { state } => Some(Reason::ImageNotAvailable {
                ami,
                state: state.clone(),
            }),
            ImageFact::Missing => Some(Reason::ImageMissing { ami }),
        }
    }

    /// Whether the wanted release failed before at this commit.
    pub(super) fn failed(&self) -> Option<Failed> {
        let remembered = self.observed.memory.failure(&self.want, self.commit);
        let journalled = self.history.abandoned(&self.want, self.commit);
        remembered
            .or(journalled.filter(|failed| failed.failure.blames_release()))
            .cloned()
    }

    /// Why `key`, which is on its way in at `required` instances, is to be
    /// given up.
    pub(super) fn failure(&self, key: &ReleaseKey, required: u32) -> Option<Failure> {
        let group = self.observed.group(key)?;
        let launched = self.instances(key);
        // A launch that fails now is known now: nobody waits for the timeout.
        if launched < required
            && let Some(latest) = group.failures.first()
        {
            let message = latest.message.clone();
            return Some(match latest.cause {
                LaunchCause::Release => Failure::LaunchFailed { message },
                cause => Failure::Unavailable { cause, message },
            });
        }
        let timer = self.history.timers.get(key)?;
        (timer.waited > self.manifest.health.timeout.as_duration()).then(|| Failure::NeverHealthy {
            healthy: group.healthy(),
            required,
            timeout: self.manifest.health.timeout,
            detail: detail(group),
        })
    }

    /// Whether `key` has been healthy at `required` for the bake time; else
    /// what is waited for, and until when.
    pub(super) fn baked(
        &self,
        key: &ReleaseKey,
        required: u32,
        canary: bool,
    ) -> Result<u32, (Reason, Timestamp)> {
        let healthy = self.healthy(key);
        let timer = self.history.timers.get(key);
        let bake = self.manifest.roll.bake.as_duration();
        let since = timer.and_then(|timer| timer.healthy_since);
        match since.filter(|_| healthy >= required && healthy > 0) {
            Some(since) => {
                let ends = later(since, bake);
                if ends <= self.now {
                    return Ok(healthy);
                }
                let left = whole_seconds(ends.duration_since(self.now));
                Err((Reason::WaitBake { left, canary }, ends))
            }
            None => {
                let waited = timer.map_or(SignedDuration::ZERO, |timer| timer.waited);
                let left = self
                    .manifest
                    .health
                    .timeout
                    .as_duration()
                    .saturating_sub(waited);
                let reason = Reason::WaitHealthy {
                    healthy,
                    required,
                    left: whole_seconds(left),
                    detail: self.observed.group(key).and_then(detail),
                };
                Err((reason, later(self.now, left)))
            }
        }
    }

    /// A group of an app with a load balancer that is attached to none.
    pub(super) fn without_targets(&self, key: &ReleaseKey) -> Option<Reason> {
        let group = self.observed.group(key)?;
        let lacks =
            self.manifest.health.kind == HealthKind::LoadBalancer && group.target_groups.is_empty();
        lacks.then(|| Reason::NoTargetGroup {
            name: group.name.clone(),
        })
    }

    /// The entry of a release at the manifest's sizes.
    pub(super) fn sized(&self, settings: Settings, desired: u32, pin: u32) -> Made {
        Made {
            settings,
            min_size: self.manifest.min_size,
            max_size: self.manifest.max_size,
            desired,
            pin,
            drain: false,
            wiring: None,
        }
    }

    /// One apply that makes `releases` and `memory` so.
    pub(super) fn apply(&self, draft: Draft) -> Step {
        let Draft {
            kind,
            key,
            reason,
            releases,
            memory,
            guard,
        } = draft;
        let new =
            |key: &ReleaseKey| releases.contains_key(key) && !self.observed.made.contains_key(key);
        let leftover = self.observed.leftover.clone();
        let adopt: Option<(ReleaseKey, Leftover)> = match self.stray() {
            Some(stray) if new(&stray.key) => Some((stray.key.clone(), stray.leftover.clone())),
            _ => leftover
                .filter(|_| new(&self.want))
                .map(|leftover| (self.want.clone(), leftover)),
        };
        let may_remove = self
            .observed
            .made
            .keys()
            .filter(|made| !releases.contains_key(*made))
            .map(|made| self.app.group_name(made))
            .collect();
        let expected = Expected::between(self.observed, &releases, &memory, adopt.as_ref());
        Step::Apply(Box::new(Apply {
            kind,
            key,
            reason,
            releases,
            may_remove,
            memory,
            adopt,
            expected,
            guard,
        }))
    }

    /// The revert commit for a failure, or why it is not written.
    pub(super) fn revert(&self, live: &ReleaseKey, failure: &Failure) -> Result<Step, Reason> {
        let from_ami = self.manifest.ami.clone();
        if let Some(proposed) = self.history.proposed.get(self.commit) {
            return Err(Reason::RevertProposed {
                branch: proposed.branch.clone(),
                link: proposed.link.clone(),
                problem: proposed.problem.clone(),
            });
        }
        if let Some((message, branch)) = self.history.refused.get(self.commit) {
            return Err(Reason::RevertRefused {
                message: message.clone(),
                branch: branch.clone(),
            });
        }
        // A first release that never was healthy is nothing to go back to.
        let proven = self.observed.memory.served.contains(live) || self.healthy(live) > 0;
        let Some(made) = self.observed.made.get(live).filter(|_| proven) else {
            return Err(Reason::NothingToRevertTo);
        };
        let Some(to_ami) = made.settings.ami() else {
            return Err(Reason::NothingToRevertTo);
        };
        Ok(Step::Revert(Box::new(Revert {
            reason: Reason::Reverting {
                from: from_ami.clone(),
                to: to_ami.clone(),
                failure: failure.clone(),
            },
            failure: failure.clone(),
            answers: self.commit.clone(),
            way: match self.manifest.on_failure {
                OnFailure::PullRequest => RevertWay::PullRequest,
                OnFailure::Revert | OnFailure::Hold => RevertWay::Push,
            },
            to: made.settings.clone(),
            from_ami,
            to_ami,
        })))
    }

    /// The memory, ready to be changed. An apply that is made anyway takes
    /// the accepted commit along.
    pub(super) fn memory(&self) -> Memory {
        let mut memory = self.observed.memory.clone();
        if let Some(head) = &self.observed.head {
            memory.accepted = Some(head.clone());
        }
        memory
    }

    /// The wait until the group of `key` is empty. One that takes longer than
    /// the manifest allows is told; nothing is ever killed for it.
    pub(super) fn wait_drain(&self, phase: Phase, key: &ReleaseKey, instances: u32) -> Plan {
        let name = self.app.group_name(key);
        let drain = self.manifest.roll.drain;
        let begun = self.history.drains.get(key);
        let taken = begun.map_or(SignedDuration::ZERO, |drain| {
            self.now.duration_since(drain.since)
        });
        if taken <= drain.as_duration() {
            let ends = begun.map(|begun| later(begun.since, drain.as_duration()));
            return Plan::wait(phase, Reason::WaitDrain { name, instances }, ends);
        }
        let reason = Reason::SlowDrain {
            name,
            instances,
            taken: whole_seconds(taken),
            drain,
            detail: self.observed.group(key).and_then(lingering),
        };
        let mut plan = Plan::wait(phase, reason, None);
        if begun.is_some_and(|begun| !begun.told) {
            plan.record.push(Event::DrainSlow {
                key: key.clone(),
                instances,
            });
        }
        plan
    }
}

/// What the first instance that is left says of itself.
fn lingering(group: &Group) -> Option<String> {
    let first = group.instances.first()?;
    Some(detail(group).unwrap_or_else(|| format!("{} is {}", first.id, first.lifecycle)))
}

/// What an apply is made of.
pub(super) struct Draft {
    pub(super) kind: ApplyKind,
    pub(super) key: ReleaseKey,
    pub(super) reason: Reason,
    pub(super) releases: Releases,
    pub(super) memory: Memory,
    pub(super) guard: Guard,
}

pub(super) fn whole_seconds(duration: SignedDuration) -> Seconds {
    // Rounded up: "0s left" is never shown while something is waited for.
    let millis = u64::try_from(duration.as_millis().max(0)).unwrap_or(u64::MAX);
    Seconds(millis.div_ceil(1000))
}

/// What the first instance that is not healthy says of itself.
pub(super) fn detail(group: &Group) -> Option<String> {
    group
        .instances
        .iter()
        .find(|instance| !instance.is_healthy())
        .map(|instance| {
            let id = &instance.id;
            if !instance.in_service {
                return format!("{id} is {}", instance.lifecycle);
            }
            match &instance.targets {
                Targets::Not {
                    state,
                    reason: Some(reason),
                } => format!("{id} is {state} ({reason})"),
                Targets::Not {
                    state,
                    reason: None,
                } => format!("{id} is {state}"),
                Targets::Missing => format!("{id} is not registered in its target group"),
                Targets::Healthy | Targets::NotAsked => format!("{id} is {}", instance.lifecycle),
            }
        })
}
