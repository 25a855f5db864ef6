//! What became of each commit that asked something of an app.
//!
//! A fold over the same events as [`crate::history`], for people: nothing
//! decides by it. Only the newest entries are kept, and they are shared, so
//! that a snapshot of a thousand apps copies no list.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::event::{Event, Outcome};
use crate::model::{AmiId, CommitId, ReleaseKey};
use crate::step::ApplyKind;

/// Commits that are remembered of one app.
pub const REMEMBERED: usize = 20;

/// One commit on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The commit.
    pub commit: CommitId,
    /// The release that it asks for, where its manifest is valid.
    pub key: Option<ReleaseKey>,
    /// The image that it names.
    pub ami: Option<AmiId>,
    /// When it was made, as git says.
    pub committed: Option<Timestamp>,
    /// Who made it.
    pub author: Option<String>,
    /// Its first line.
    pub subject: Option<String>,
    /// When it was seen.
    pub asked: Timestamp,
    /// When its roll began; a commit that changes no release has none.
    pub began: Option<Timestamp>,
    /// When its release was healthy for the first time.
    pub healthy: Option<Timestamp>,
    /// When it came to its end.
    pub ended: Option<Timestamp>,
    /// How.
    pub outcome: Option<Outcome>,
    /// Why, as the engine said it.
    pub why: Option<String>,
    /// The revert commit that answers it.
    pub reverted_by: Option<CommitId>,
}

impl Deployment {
    /// From the moment that it was seen to its end.
    pub fn took(&self) -> Option<SignedDuration> {
        let took = self.ended?.duration_since(self.asked);
        (!took.is_negative()).then_some(took)
    }
}

/// The newest commits of one app, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployments(Arc<Vec<Deployment>>);

impl Deployments {
    /// The newest first.
    pub fn newest_first(&self) -> impl ExactSizeIterator<Item = &Deployment> {
        self.0.iter().rev()
    }

    /// The newest commit that asked for a release.
    pub fn of_release(&self, key: &str) -> Option<&Deployment> {
        self.newest_first()
            .find(|one| one.key.as_ref().is_some_and(|of| of.as_str() == key))
    }

    /// Takes in what the journal says.
    pub fn record(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::Asked {
                commit,
                key,
                ami,
                committed,
                author,
                subject,
            } => self.asked(Deployment {
                commit: commit.clone(),
                key: key.clone(),
                ami: ami.clone(),
                committed: *committed,
                author: author.clone(),
                subject: subject.clone(),
                asked: at,
                began: None,
                healthy: None,
                ended: None,
                outcome: None,
                why: None,
                reverted_by: None,
            }),
            Event::Began {
                step: ApplyKind::Add,
                key,
                ..
            } => self.change(
                |one| one.ended.is_none() && one.key.as_ref() == Some(key),
                |one| {
                    one.began.get_or_insert(at);
                },
            ),
            Event::Healthy { key, .. } => self.change(
                |one| one.ended.is_none() && one.key.as_ref() == Some(key),
                |one| {
                    one.healthy.get_or_insert(at);
                },
            ),
            Event::Abandoned(failed) => self.change(
                |one| one.commit == failed.commit,
                |one| one.why = Some(failed.failure.to_string()),
            ),
            Event::Reverted { commit, answers } => self.change(
                |one| one.commit == *answers,
                |one| one.reverted_by = Some(commit.clone()),
            ),
            Event::Ended {
                commit,
                outcome,
                why,
            } => self.change(
                |one| one.commit == *commit,
                |one| {
                    one.ended = Some(at);
                    one.outcome = Some(*outcome);
                    if why.is_some() {
                        one.why.clone_from(why);
                    }
                },
            ),
            _ => {}
        }
    }

    fn asked(&mut self, new: Deployment) {
        let list = Arc::make_mut(&mut self.0);
        // A start after a crash may write the same down once more.
        if list.last().is_some_and(|last| last.commit == new.commit) {
            return;
        }
        list.push(new);
        let surplus = list.len().saturating_sub(REMEMBERED);
        list.drain(..surplus);
    }

    /// Changes the newest entry of which `which` is true.
    fn change(
        &mut self,
        which: impl Fn(&Deployment) -> bool,
        change: impl FnOnce(&mut Deployment),
    ) {
        if let Some(at) = self.0.iter().rposition(which)
            && let Some(one) = Arc::make_mut(&mut self.0).get_mut(at)
        {
            change(one);
        }
    }
}
