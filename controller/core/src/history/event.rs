//! What the journal keeps of an app, as values.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{AmiId, CommitId, ReleaseKey};
use crate::reason::Reason;
use crate::step::{ApplyKind, Failed};

/// Something that happened to an app, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A commit changed what git asks for.
    Asked {
        /// The commit.
        commit: CommitId,
        /// The release that it asks for, if its manifest is valid.
        key: Option<ReleaseKey>,
        /// The image that it names.
        ami: Option<AmiId>,
        /// When the commit was made, as git says.
        committed: Option<Timestamp>,
        /// Who made it.
        author: Option<String>,
        /// Its first line.
        subject: Option<String>,
    },
    /// What a commit asked for came to its end.
    Ended {
        /// The commit.
        commit: CommitId,
        /// How.
        outcome: Outcome,
        /// Why, as a sentence.
        why: Option<String>,
    },
    /// A step begins; what follows may be cut off by a crash.
    Began {
        /// Which arrow.
        step: ApplyKind,
        /// The release that it is about.
        key: ReleaseKey,
        /// Why.
        reason: Reason,
    },
    /// A step came to its end.
    Finished {
        /// Which arrow.
        step: ApplyKind,
        /// The release that it is about.
        key: ReleaseKey,
        /// Milliseconds from begin to end.
        millis: u64,
        /// What went wrong, if anything did.
        error: Option<String>,
    },
    /// A release was healthy for the first time.
    Healthy {
        /// The release.
        key: ReleaseKey,
        /// Healthy instances.
        healthy: u32,
    },
    /// A group takes longer to empty than the manifest's `roll.drain`.
    DrainSlow {
        /// The release.
        key: ReleaseKey,
        /// Instances that are left.
        instances: u32,
    },
    /// Whether the module has changed since the live release was made.
    Wiring {
        /// The release.
        key: ReleaseKey,
        /// The release is older than the module.
        older: bool,
    },
    /// A release is given up.
    Abandoned(Failed),
    /// The revert commit was pushed.
    Reverted {
        /// The revert commit.
        commit: CommitId,
        /// The commit that it answers.
        answers: CommitId,
    },
    /// The remote refused the revert commit.
    RevertRefused {
        /// The commit that it answers.
        answers: CommitId,
        /// What the remote said.
        message: String,
        /// Where the commit is instead.
        branch: Option<String>,
    },
    /// The revert commit waits in a pull request.
    RevertProposed {
        /// The commit that it answers.
        answers: CommitId,
        /// How a person finds it.
        #[serde(flatten)]
        proposed: Proposed,
    },
    /// A step is held for a person.
    Held {
        /// What `amid approve` names.
        id: String,
        /// The step that is held, as a hash of all that it depends on.
        step: String,
        /// Why.
        reason: Reason,
    },
    /// A person approved a hold.
    Approved {
        /// The hold.
        id: String,
        /// The user who asked.
        user: String,
        /// When the approval ends.
        until: Timestamp,
    },
    /// A person suspended the app.
    Suspended {
        /// Why.
        reason: String,
        /// When it ends by itself.
        until: Option<Timestamp>,
        /// The user who asked.
        user: String,
    },
    /// A person resumed the app.
    Resumed {
        /// The user who asked.
        user: String,
    },
    /// A step failed for a reason that a retry may cure.
    Retry {
        /// When it is tried again.
        until: Timestamp,
        /// How often it failed in a row.
        attempt: u32,
        /// What went wrong.
        error: String,
    },
    /// The unit's code was planned and changes nothing.
    Checked {
        /// The code, as one hash.
        code: String,
    },
}

/// A revert commit that waits for a person to merge it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// The branch that holds it.
    pub branch: String,
    /// The pull request, if one could be opened.
    pub link: Option<String>,
    /// Why none could be opened.
    pub problem: Option<String>,
}

/// How a commit ended for an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What it asks for is live.
    Applied,
    /// A newer commit came first.
    Superseded,
    /// Its manifest has mistakes.
    Rejected,
    /// Its release failed and git went back.
    FailedReverted,
    /// Its release failed and git did not go back.
    FailedNotReverted,
}

impl Outcome {
    /// For metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Superseded => "superseded",
            Self::Rejected => "rejected",
            Self::FailedReverted => "failed_reverted",
            Self::FailedNotReverted => "failed_not_reverted",
        }
    }

    /// Every outcome, for metrics.
    pub const ALL: &[Self] = &[
        Self::Applied,
        Self::Superseded,
        Self::Rejected,
        Self::FailedReverted,
        Self::FailedNotReverted,
    ];
}
