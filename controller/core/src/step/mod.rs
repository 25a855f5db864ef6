//! What can be done to an app, as values.
//!
//! A [`Step`] says everything that the performer needs: the variables of one
//! small terragrunt apply and exactly which changes its plan may hold, or the
//! revert commit to write. Steps are compared in tests and performed by dull
//! code.

mod expected;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::manifest::Gate;
pub use crate::memory::{Failed, Memory, Roll};
use crate::model::{AmiId, CommitId, ReleaseKey, Releases, Settings};
use crate::observe::{GateFact, Leftover, Observed};
use crate::reason::{Failure, Reason};
pub use expected::{
    Action, Change, Expected, GROUP_ATTRIBUTES, GUARD, MEMORY, addresses, effective,
};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// One plan and apply of the app's unit.
    Apply(Box<Apply>),
    /// A commit that sets the manifest back to the live release.
    Revert(Box<Revert>),
}

impl Step {
    /// Why.
    pub fn reason(&self) -> &Reason {
        match self {
            Self::Apply(apply) => &apply.reason,
            Self::Revert(revert) => &revert.reason,
        }
    }
}

/// One plan and apply of the app's unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply {
    /// Which arrow of the roll this is.
    pub kind: ApplyKind,
    /// The release that the arrow is about.
    pub key: ReleaseKey,
    /// Why.
    pub reason: Reason,
    /// The value of the variable `releases`.
    pub releases: Releases,
    /// Groups that this apply may leave out.
    pub may_remove: Vec<String>,
    /// What the state is to remember.
    pub memory: Memory,
    /// What is to be taken into the state.
    pub adopt: Option<(ReleaseKey, Leftover)>,
    /// What its plan may hold, and nothing else.
    pub expected: Expected,
    /// What must still be so between plan and apply.
    pub guard: Guard,
}

/// The arrows of a roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyKind {
    /// A release is made.
    Add,
    /// What an interrupted apply left of a release is taken in.
    Adopt,
    /// The new release grows to full size.
    Grow,
    /// A group's sizes go to zero.
    Drain,
    /// A drained group gets its sizes back.
    Restore,
    /// An empty group is deleted.
    Remove,
    /// Sizes or pins change in place.
    Resize,
    /// A change by hand is undone.
    Heal,
    /// Nothing is expected: the unit's code changed.
    Check,
}

impl ApplyKind {
    /// For metrics and journal.
    pub fn label(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Adopt => "adopt",
            Self::Grow => "grow",
            Self::Drain => "drain",
            Self::Restore => "restore",
            Self::Remove => "remove",
            Self::Resize => "resize",
            Self::Heal => "heal",
            Self::Check => "check",
        }
    }

    /// Every arrow, for metrics.
    pub const ALL: &[Self] = &[
        Self::Add,
        Self::Adopt,
        Self::Grow,
        Self::Drain,
        Self::Restore,
        Self::Remove,
        Self::Resize,
        Self::Heal,
        Self::Check,
    ];
}

/// What must hold, looked at again right before the apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// These releases have at least so many healthy instances.
    pub healthy: BTreeMap<ReleaseKey, u32>,
    /// These releases have no instance at all.
    pub empty: BTreeSet<ReleaseKey>,
    /// This gate says that the step may go on.
    pub gate: Option<Gate>,
}

impl Guard {
    /// Whether there is nothing to look at again.
    pub fn is_empty(&self) -> bool {
        self.healthy.is_empty() && self.empty.is_empty() && self.gate.is_none()
    }

    /// Whether it holds in `observed`.
    pub fn holds(&self, observed: &Observed) -> bool {
        let healthy = self.healthy.iter().all(|(key, required)| {
            observed
                .group(key)
                .is_some_and(|group| group.healthy() >= *required)
        });
        let empty = self.empty.iter().all(|key| {
            observed
                .group(key)
                .is_none_or(|group| group.instances.is_empty())
        });
        let gate = self.gate.is_none() || observed.gate == GateFact::Open;
        healthy && empty && gate
    }
}

/// How a revert commit gets to the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevertWay {
    /// It is pushed.
    Push,
    /// It is put up as a pull request, which a person merges.
    PullRequest,
}

/// A commit that sets the manifest back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// Why.
    pub reason: Reason,
    /// What failed.
    pub failure: Failure,
    /// The commit that asked for it.
    pub answers: CommitId,
    /// How it gets to the branch.
    pub way: RevertWay,
    /// The launch settings to go back to.
    pub to: Settings,
    /// The image that failed.
    pub from_ami: AmiId,
    /// The image that is live.
    pub to_ami: AmiId,
}
