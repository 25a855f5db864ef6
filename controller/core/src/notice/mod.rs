//! Which message is due, and to which commit which status belongs.
//!
//! [`Notices`] is a fold over what the journal says of an app and what each
//! snapshot shows of it. It tells edges, not states: a hold is told once it
//! has stood for a while, again after a long while, and once more when it is
//! over. A commit hears of each phase of its roll, and of its end. Whom a
//! message goes to and whether it arrives is not decided here.

mod message;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::decide::Phase;
use crate::history::{Event, Outcome, later};
use crate::model::{AmiId, CommitId};
pub use message::{CommitState, Kind, Message, Notice, Severity, Status};

/// A commit that is older than this when amid first sees it hears nothing:
/// nobody waits for a word on it, and at a first start that is all of them.
const FRESH: SignedDuration = SignedDuration::from_hours(24);
/// The most holds of one app that are kept in mind.
const MAX_HOLDS: usize = 16;

/// When messages are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a hold must stand before it is told, and be gone before that
    /// is told.
    pub settle: SignedDuration,
    /// After how long a hold that still stands is told again.
    pub repeat: SignedDuration,
}

/// One app as a snapshot shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The app; empty for the watched repository itself.
    pub app: &'a str,
    /// The team that its manifest names.
    pub owner: Option<&'a str>,
    /// Where it is.
    pub phase: Phase,
    /// What is done or waited for.
    pub state: Option<&'a str>,
    /// What stands still.
    pub held: Vec<Hold<'a>>,
}

/// One hold as a snapshot shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold<'a> {
    /// The reason's label.
    pub label: &'a str,
    /// Its sentence.
    pub text: &'a str,
    /// What frees it.
    pub frees: Option<&'a str>,
}

/// What was told, and what is kept in mind for the next message.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Notices {
    apps: BTreeMap<String, AppNotices>,
    /// Whether anything changed that a restart has to find again.
    #[serde(skip)]
    changed: bool,
}

/// The same of one app.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct AppNotices {
    owner: Option<String>,
    /// The commit that is on its way.
    open: Option<Open>,
    /// The commit that was asked for last.
    last: Option<CommitId>,
    /// Holds that stand, or have ended only just now, by label.
    holds: BTreeMap<String, Episode>,
    /// Holds that were told and are over, by label.
    past: BTreeMap<String, Past>,
}

/// A commit that is on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    commit: CommitId,
    ami: Option<AmiId>,
    author: Option<String>,
    subject: Option<String>,
    /// Whether it hears of its way.
    fresh: bool,
    /// Whether anything was done for it.
    acted: bool,
    /// Whether its release failed already.
    failed: bool,
    /// Where it was when it heard last.
    at: Option<String>,
}

/// A hold while it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Episode {
    since: Timestamp,
    told: Option<Timestamp>,
    again: u32,
    gone: Option<Timestamp>,
    text: String,
    frees: Option<String>,
    commit: Option<CommitId>,
    /// The same was told not long ago: its end is not told either.
    silent: bool,
    /// It was told for the commit before: its end is told in any case.
    #[serde(default)]
    carried: bool,
}

/// A hold that was told and is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Past {
    told: Timestamp,
    commit: Option<CommitId>,
}

impl Notices {
    /// Takes in what happened to an app.
    pub fn happened(&mut self, app: &str, event: &Event, now: Timestamp) -> Vec<Notice> {
        self.changed = true;
        let this = self.apps.entry(app.to_owned()).or_default();
        let status = |commit: &CommitId, state, text: String| {
            Notice::Status(Status {
                app: app.to_owned(),
                commit: commit.clone(),
                state,
                text,
            })
        };
        match event {
            Event::Asked {
                commit,
                ami,
                committed,
                author,
                subject,
                ..
            } => {
                let fresh = committed.is_some_and(|at| now.duration_since(at) < FRESH);
                this.last = Some(commit.clone());
                this.open = Some(Open {
                    commit: commit.clone(),
                    ami: ami.clone(),
                    author: author.clone(),
                    subject: subject.clone(),
                    fresh,
                    acted: false,
                    failed: false,
                    at: None,
                });
                let seen = || status(commit, CommitState::Pending, words::seen(ami.as_ref()));
                fresh.then(seen).into_iter().collect()
            }
            Event::Began { .. } => {
                if let Some(open) = &mut this.open {
                    open.acted = true;
                }
                Vec::new()
            }
            Event::Abandoned(failed) if failed.failure.blames_release() => {
                let open = this.open.as_mut();
                let Some(open) = open.filter(|open| open.commit == failed.commit) else {
                    return Vec::new();
                };
                open.failed = true;
                let text = words::failed(&failed.failure.to_string());
                let told = open
                    .fresh
                    .then(|| status(&open.commit, CommitState::Failed, text));
                told.into_iter().collect()
            }
            Event::Ended {
                commit,
                outcome,
                why,
            } => {
                let Some(open) = this.open.take_if(|open| open.commit == *commit) else {
                    return Vec::new();
                };
                let (state, text) = words::ended(*outcome, open.ami.as_ref(), why.as_deref());
                let mut notices = Vec::new();
                if open.fresh {
                    notices.push(status(commit, state, text));
                }
                notices.extend(this.outcome(app, &open, *outcome, why.as_deref()));
                notices
            }
            _ => Vec::new(),
        }
    }

    /// Takes in what a snapshot shows of everything.
    pub fn look(&mut self, seen: &[Seen<'_>], policy: Policy, now: Timestamp) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut unseen: Vec<String> = self.apps.keys().cloned().collect();
        for one in seen {
            unseen.retain(|app| app != one.app);
            let this = self.apps.entry(one.app.to_owned()).or_default();
            this.owner = one.owner.map(str::to_owned);
            notices.extend(this.way(one));
            self.changed |= this.begin(&one.held, policy, now);
            notices.extend(this.holds(one.app, policy, now));
        }
        for app in unseen {
            let Some(this) = self.apps.get_mut(&app) else {
                continue;
            };
            self.changed |= this.begin(&[], policy, now);
            notices.extend(this.holds(&app, policy, now));
            if this.holds.is_empty() {
                self.apps.remove(&app);
                self.changed = true;
            }
        }
        self.changed |= !notices.is_empty();
        notices
    }

    /// Whether anything changed since this was asked last that a restart has
    /// to find again.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// When time alone makes a message due.
    pub fn wake(&self, policy: Policy) -> Option<Timestamp> {
        let due = |episode: &Episode| match (episode.gone, episode.told) {
            (Some(gone), _) => later(gone, policy.settle),
            (None, None) => later(episode.since, policy.settle),
            (None, Some(told)) => later(told, policy.repeat),
        };
        let holds = self.apps.values().flat_map(|app| app.holds.values());
        holds.map(due).min()
    }
}

impl AppNotices {
    fn message(&self, app: &str, kind: Kind, reason: &str, text: String) -> Message {
        let open = self.open.as_ref();
        Message {
            kind,
            severity: words::severity(kind, reason),
            app: app.to_owned(),
            owner: self.owner.clone(),
            reason: reason.to_owned(),
            text,
            frees: None,
            commit: open.map(|open| open.commit.clone()),
            author: open.and_then(|open| open.author.clone()),
            subject: open.and_then(|open| open.subject.clone()),
            image: open.and_then(|open| open.ami.clone()),
            again: 0,
        }
    }

    /// A commit came to its end: people hear of it where something was done.
    fn outcome(
        &self,
        app: &str,
        open: &Open,
        outcome: Outcome,
        why: Option<&str>,
    ) -> Option<Notice> {
        let kind = match outcome {
            Outcome::Applied if open.acted => Kind::Deployed,
            Outcome::FailedReverted | Outcome::FailedNotReverted => Kind::Failed,
            // A refused manifest is told as a hold.
            Outcome::Applied | Outcome::Superseded | Outcome::Rejected => return None,
        };
        let (_, text) = words::ended(outcome, open.ami.as_ref(), why);
        let mut message = self.message(app, kind, outcome.label(), text);
        message.commit = Some(open.commit.clone());
        message.author.clone_from(&open.author);
        message.subject.clone_from(&open.subject);
        message.image.clone_from(&open.ami);
        Some(Notice::Message(message))
    }

    /// The commit hears where its roll is, when that changed.
    fn way(&mut self, seen: &Seen<'_>) -> Option<Notice> {
        let open = self.open.as_mut()?;
        if !open.fresh || open.failed {
            return None;
        }
        let hold = seen.held.first();
        let at = match (seen.phase, hold) {
            (Phase::Held, Some(hold)) => format!("held {}", hold.label),
            (Phase::Steady | Phase::Held, _) => return None,
            (phase, _) => phase.label().to_owned(),
        };
        if open.at.as_ref() == Some(&at) {
            return None;
        }
        open.at = Some(at);
        let text = match (seen.phase, hold) {
            (Phase::Held, Some(hold)) => words::held(hold.text),
            _ => words::phase(seen.phase, seen.state),
        };
        Some(Notice::Status(Status {
            app: seen.app.to_owned(),
            commit: open.commit.clone(),
            state: CommitState::Pending,
            text,
        }))
    }

    fn holds(&mut self, app: &str, policy: Policy, now: Timestamp) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut over = Vec::new();
        let mut holds = std::mem::take(&mut self.holds);
        for (label, episode) in &mut holds {
            if let Some(gone) = episode.gone {
                if later(gone, policy.settle) <= now {
                    over.push(label.clone());
                }
                continue;
            }
            let due = match episode.told {
                None => later(episode.since, policy.settle) <= now,
                Some(told) => later(told, policy.repeat) <= now,
            };
            if due {
                if episode.told.is_some() {
                    episode.again = episode.again.saturating_add(1);
                }
                (episode.told, episode.silent) = (Some(now), false);
                let mut message = self.message(app, Kind::Held, label, episode.text.clone());
                message.frees.clone_from(&episode.frees);
                message.again = episode.again;
                notices.push(Notice::Message(message));
            }
        }
        for label in over {
            let Some(episode) = holds.remove(&label) else {
                continue;
            };
            if episode.told.is_none() && !episode.carried {
                continue;
            }
            if episode.carried || !episode.silent {
                let text = words::over(&episode.text);
                notices.push(Notice::Message(self.message(
                    app,
                    Kind::Recovered,
                    &label,
                    text,
                )));
            }
            if let Some(told) = episode.told {
                let commit = episode.commit;
                self.past.insert(label, Past { told, commit });
            }
        }
        self.past
            .retain(|_, past| later(past.told, policy.repeat) > now);
        self.holds = holds;
        notices
    }

    /// Notes which holds began, go on, and are gone; returns whether one
    /// began or went.
    fn begin(&mut self, held: &[Hold<'_>], policy: Policy, now: Timestamp) -> bool {
        let mut changed = false;
        for hold in held {
            let mut carried = false;
            if let Some(episode) = self.holds.get_mut(hold.label) {
                episode.gone = None;
                hold.text.clone_into(&mut episode.text);
                episode.frees = hold.frees.map(str::to_owned);
                if episode.commit == self.last {
                    continue;
                }
                // The same for another commit is another matter, or the last
                // look was before that commit came: what was told has an end.
                carried = episode.carried || (episode.told.is_some() && !episode.silent);
                self.holds.remove(hold.label);
            }
            if self.holds.len() >= MAX_HOLDS {
                continue;
            }
            let past = self
                .past
                .get(hold.label)
                .filter(|past| past.commit == self.last && later(past.told, policy.repeat) > now);
            let episode = Episode {
                since: now,
                told: past.map(|past| past.told),
                again: 0,
                gone: None,
                text: hold.text.to_owned(),
                frees: hold.frees.map(str::to_owned),
                commit: self.last.clone(),
                silent: past.is_some(),
                carried,
            };
            self.holds.insert(hold.label.to_owned(), episode);
            changed = true;
        }
        for (label, episode) in &mut self.holds {
            if !held.iter().any(|hold| hold.label == label) && episode.gone.is_none() {
                episode.gone = Some(now);
                changed = true;
            }
        }
        changed
    }
}
