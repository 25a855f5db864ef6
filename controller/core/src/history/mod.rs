//! What happened to one app, as far as the next decision needs it.
//!
//! An [`AppHistory`] is a fold over journalled [`Event`]s plus health timers
//! that only live in memory. Losing all of it is safe: the timers start again
//! and what must not be forgotten stands in the unit's state
//! ([`crate::step::Memory`]).

pub mod deployments;
mod event;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::model::{CommitId, Group, ReleaseKey};
use crate::observe::Observed;
use crate::reason::{Failure, Reason};
use crate::step::{ApplyKind, Failed};
use deployments::Deployments;
pub use event::{Event, Outcome, Proposed};

/// Time between two looks that still counts as observed. A longer gap (the
/// controller was down, the machine slept) is not held against a release.
pub const LONGEST_GAP: SignedDuration = SignedDuration::from_secs(60);

/// A gap up to which a bake goes on where it stood, without the gap: AWS could
/// not be asked for a while. After a longer one nobody knows what the release
/// went through, and the bake starts again, as it does after a restart.
pub const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(15);

/// What the next decision has to know of an app's past.
#[derive(Clone, Debug, Default)]
pub struct AppHistory {
    /// The commit that was asked for last, until it ended.
    pub open: Option<CommitId>,
    /// The commit that was asked for last, ended or not.
    pub last_asked: Option<CommitId>,
    /// A step ended well: terraform knows what it made.
    pub applied: bool,
    /// A step began and its end was not written down: what terraform recorded
    /// of it is not known.
    pub unfinished: bool,
    /// Health timers of live releases.
    pub timers: BTreeMap<ReleaseKey, Timer>,
    /// Releases given up since the journal began, newest last.
    pub abandoned: Vec<Failed>,
    /// Reverts that the remote refused, by the commit that they answer.
    pub refused: BTreeMap<CommitId, (String, Option<String>)>,
    /// Reverts that wait in a pull request, by the commit that they answer.
    pub proposed: BTreeMap<CommitId, Proposed>,
    /// The step that is held for a person.
    pub held: Option<Held>,
    /// Approvals by hold.
    pub approvals: BTreeMap<String, Timestamp>,
    /// Suspended by command.
    pub suspended: Option<(String, Option<Timestamp>)>,
    /// When a step that failed may be tried again.
    pub retry: Option<Retry>,
    /// When a release that could not be launched, for no fault of its own,
    /// may be tried again.
    pub unavailable: Option<(Failed, Retry)>,
    /// The unit's code that was planned last and changed nothing.
    pub checked: Option<String>,
    /// The newest commits and what became of them, for people.
    pub deployments: Deployments,
    /// Groups that are being emptied.
    pub drains: BTreeMap<ReleaseKey, Drain>,
    /// The release that was found to be older than the unit's module.
    pub older_wiring: Option<ReleaseKey>,
}

/// A group that is being emptied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Since when.
    pub since: Timestamp,
    /// That it takes long stands in the journal already.
    pub told: bool,
}

/// A step that is held for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What `amid approve` names.
    pub id: String,
    /// The step, as a hash of all that it depends on.
    pub step: String,
    /// Why.
    pub reason: Reason,
}

/// A step that failed and is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// When.
    pub until: Timestamp,
    /// How often it failed in a row.
    pub attempt: u32,
    /// What went wrong the last time.
    pub error: String,
}

impl Retry {
    /// Whether it is not yet time. A time further ahead than any back-off was
    /// written by a clock that has been set back since: nobody waits for it.
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        self.until > now && self.until <= later(now, LONGEST_BACK_OFF)
    }
}

/// How long a release has been healthy, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Observed time in which it was not healthy. A release that is healthy
    /// for a moment now and then uses it up as well.
    pub waited: SignedDuration,
    /// When it was healthy for the first time.
    pub first_healthy: Option<Timestamp>,
    /// Since when it is healthy without a break. Time that nobody observed
    /// moves it forward: it does not count.
    pub healthy_since: Option<Timestamp>,
    /// How many healthy instances that took.
    pub required: u32,
    /// The last look.
    pub looked: Timestamp,
}

impl AppHistory {
    /// Takes in what the journal says.
    pub fn record(&mut self, event: &Event, at: Timestamp) {
        self.deployments.record(event, at);
        if matches!(event, Event::Finished { .. }) {
            self.unfinished = false;
        }
        match event {
            Event::Asked { commit, .. } => {
                self.open = Some(commit.clone());
                self.last_asked = Some(commit.clone());
                self.retry = None;
                self.unavailable = None;
            }
            Event::Ended { commit, .. } => {
                if self.open.as_ref() == Some(commit) {
                    self.open = None;
                }
            }
            Event::Healthy { key, .. } => {
                if self
                    .unavailable
                    .as_ref()
                    .is_some_and(|(failed, _)| failed.key == *key)
                {
                    self.unavailable = None;
                }
            }
            Event::Began { .. } => self.unfinished = true,
            Event::Finished {
                error: None,
                step,
                key,
                ..
            } => {
                self.applied = true;
                self.retry = None;
                self.held = None;
                if matches!(step, ApplyKind::Add | ApplyKind::Grow | ApplyKind::Restore) {
                    // Another size asks for health anew.
                    self.timers.remove(key);
                }
                match step {
                    ApplyKind::Drain => {
                        let drain = Drain {
                            since: at,
                            told: false,
                        };
                        self.drains.insert(key.clone(), drain);
                    }
                    ApplyKind::Remove => {
                        self.drains.remove(key);
                    }
                    _ => {}
                }
                if *step == ApplyKind::Add {
                    // It is being tried again.
                    self.abandoned
                        .retain(|failed| failed.key != *key || failed.failure.blames_release());
                }
            }
            Event::Finished { error: Some(_), .. } => {}
            Event::DrainSlow { key, .. } => {
                self.drains
                    .entry(key.clone())
                    .or_insert(Drain {
                        since: at,
                        told: true,
                    })
                    .told = true;
            }
            Event::Wiring { key, older } => {
                self.older_wiring = older.then(|| key.clone());
            }
            Event::Abandoned(failed) => {
                self.abandoned.push(failed.clone());
                let surplus = self.abandoned.len().saturating_sub(16);
                self.abandoned.drain(..surplus);
                if let Failure::Unavailable { message, .. } = &failed.failure {
                    let before = self
                        .unavailable
                        .as_ref()
                        .map_or(0, |(_, retry)| retry.attempt);
                    let attempt = before.saturating_add(1);
                    let retry = Retry {
                        until: later(failed.at, back_off(attempt)),
                        attempt,
                        error: message.clone(),
                    };
                    self.unavailable = Some((failed.clone(), retry));
                }
            }
            Event::Reverted { .. } => {}
            Event::RevertRefused {
                answers,
                message,
                branch,
            } => {
                keep(
                    &mut self.refused,
                    answers,
                    (message.clone(), branch.clone()),
                );
            }
            Event::RevertProposed { answers, proposed } => {
                keep(&mut self.proposed, answers, proposed.clone());
            }
            Event::Held { id, step, reason } => {
                self.held = Some(Held {
                    id: id.clone(),
                    step: step.clone(),
                    reason: reason.clone(),
                });
            }
            Event::Approved { id, until, .. } => {
                self.approvals.retain(|_, until| *until > at);
                self.approvals.insert(id.clone(), *until);
                self.retry = None;
            }
            Event::Suspended { reason, until, .. } => {
                self.suspended = Some((reason.clone(), *until))
            }
            Event::Resumed { .. } => self.suspended = None,
            Event::Retry {
                until,
                attempt,
                error,
            } => {
                self.retry = Some(Retry {
                    until: *until,
                    attempt: *attempt,
                    error: error.clone(),
                });
            }
            Event::Checked { code } => self.checked = Some(code.clone()),
        }
    }

    /// Brings the health timers up to this look. `required` says how many
    /// healthy instances make a release healthy now; a release that it does
    /// not name has no timer. Returns the releases that became healthy for
    /// the first time.
    pub fn look(
        &mut self,
        observed: &Observed,
        required: &BTreeMap<ReleaseKey, u32>,
        now: Timestamp,
    ) -> Vec<Event> {
        self.timers.retain(|key, _| required.contains_key(key));
        self.look_at_drains(observed, now);
        let mut events = Vec::new();
        for (key, required) in required {
            let healthy = observed.group(key).map_or(0, Group::healthy);
            // Zero is never healthy: an empty group proves nothing.
            let enough = healthy >= *required && healthy > 0;
            let timer = self.timers.entry(key.clone()).or_insert(Timer {
                waited: SignedDuration::ZERO,
                first_healthy: None,
                healthy_since: None,
                required: *required,
                looked: now,
            });
            let gap = now.duration_since(timer.looked);
            let backwards = gap.is_negative();
            if !enough && !backwards {
                timer.waited = timer.waited.saturating_add(gap.min(LONGEST_GAP));
            }
            if !enough || gap > LONGEST_PAUSE || *required > timer.required {
                timer.healthy_since = None;
            } else if backwards || gap > LONGEST_GAP {
                timer.healthy_since = timer.healthy_since.map(|since| later(since, gap));
            }
            if enough {
                timer.healthy_since.get_or_insert(now);
                if timer.first_healthy.is_none() {
                    timer.first_healthy = Some(now);
                    events.push(Event::Healthy {
                        key: key.clone(),
                        healthy,
                    });
                }
            }
            timer.required = *required;
            timer.looked = now;
        }
        events
    }

    /// A drain whose beginning the journal does not know begins with the first
    /// look at it.
    fn look_at_drains(&mut self, observed: &Observed, now: Timestamp) {
        let empties = |key: &ReleaseKey| {
            observed.made.get(key).is_some_and(|made| made.drain)
                && observed
                    .group(key)
                    .is_some_and(|group| !group.instances.is_empty())
        };
        if observed.made.is_empty() {
            // A manifest with mistakes: terraform was not asked.
            return;
        }
        self.drains.retain(|key, _| empties(key));
        for key in observed.made.keys().filter(|key| empties(key)) {
            self.drains.entry(key.clone()).or_insert(Drain {
                since: now,
                told: false,
            });
        }
    }

    /// The newest reason for which `key` was given up when `commit` asked for
    /// it.
    pub fn abandoned(&self, key: &ReleaseKey, commit: &CommitId) -> Option<&Failed> {
        self.abandoned
            .iter()
            .rev()
            .find(|failed| failed.key == *key && failed.commit == *commit)
    }

    /// Whether a person's approval of `id` still stands.
    pub fn is_approved(&self, id: &str, now: Timestamp) -> bool {
        self.approvals.get(id).is_some_and(|until| *until > now)
    }
}

/// Keeps what became of a revert, and few others.
fn keep<T>(kept: &mut BTreeMap<CommitId, T>, answers: &CommitId, value: T) {
    kept.insert(answers.clone(), value);
    // Never the newest: its revert would be written again and again.
    while kept.len() > 16
        && let Some(older) = kept.keys().find(|key| *key != answers).cloned()
    {
        kept.remove(&older);
    }
}

/// `at` plus `by`; the end of time where that does not exist.
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The longest wait after a failure.
pub const LONGEST_BACK_OFF: SignedDuration = SignedDuration::from_mins(15);

/// How long to wait after the `attempt`th failure in a row: 15 s, doubled
/// each time, at most [`LONGEST_BACK_OFF`].
pub fn back_off(attempt: u32) -> SignedDuration {
    let doublings = attempt.saturating_sub(1).min(6);
    SignedDuration::from_secs(15 << doublings).min(LONGEST_BACK_OFF)
}
