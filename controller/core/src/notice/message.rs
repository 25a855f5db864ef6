//! What is told: to people, and on commits.

use serde::{Deserialize, Serialize};

use crate::model::{AmiId, CommitId};

/// Something that is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// To people.
    Message(Message),
    /// On a commit.
    Status(Status),
}

/// A message to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// What it is about.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// The app; empty for the watched repository itself.
    pub app: String,
    /// The team that its manifest names.
    pub owner: Option<String>,
    /// The reason's label, or the outcome's.
    pub reason: String,
    /// One sentence.
    pub text: String,
    /// What frees it, where it is a hold.
    pub frees: Option<String>,
    /// The commit that it is about.
    pub commit: Option<CommitId>,
    /// Who made the commit.
    pub author: Option<String>,
    /// The commit's first line.
    pub subject: Option<String>,
    /// The image that it is about.
    pub image: Option<AmiId>,
    /// How often this was told before.
    pub again: u32,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something stands still.
    Held,
    /// What stood still goes on.
    Recovered,
    /// What git asks for is live.
    Deployed,
    /// A release failed.
    Failed,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// It may end by itself.
    Warning,
    /// A person has to look.
    Error,
}

/// How far a commit got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The app that it is about: a commit may ask something of several.
    pub app: String,
    /// The commit.
    pub commit: CommitId,
    /// How far.
    pub state: CommitState,
    /// One sentence.
    pub text: String,
}

/// How far a commit got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitState {
    /// It is on its way, or waits.
    Pending,
    /// What it asks for is live.
    Deployed,
    /// It was refused, or its release failed.
    Failed,
    /// A newer commit came first.
    Superseded,
}
