//! What messages and commit statuses say.

use super::{CommitState, Kind, Message, Severity};
use crate::decide::Phase;
use crate::history::Outcome;
use crate::model::AmiId;

/// Labels of holds that never end without a person.
const FOR_A_PERSON: &[&str] = &[
    "errored_state",
    "first_release_failed",
    "nothing_to_revert_to",
    "refused",
    "release_failed",
    "revert_proposed",
    "revert_refused",
    "rewritten",
    "state_locked",
    "unexpected_plan",
    "unknown_group",
    "wrong_account",
];

impl Message {
    /// The message in one sentence.
    pub fn sentence(&self) -> String {
        let Self { app, text, .. } = self;
        match (self.kind, app.as_str()) {
            (_, "") => format!("the watched repository: {text}"),
            // It goes on, only slowly.
            (Kind::Held, app) if self.reason == "slow_drain" => format!("{app}: {text}"),
            (Kind::Held, app) => format!("{app} is held: {text}"),
            (Kind::Recovered | Kind::Deployed | Kind::Failed, app) => format!("{app}: {text}"),
        }
    }
}

pub(super) fn severity(kind: Kind, reason: &str) -> Severity {
    match kind {
        Kind::Deployed | Kind::Recovered => Severity::Info,
        Kind::Failed => Severity::Error,
        // Somebody wanted it so.
        Kind::Held if reason == "suspended" => Severity::Info,
        Kind::Held if FOR_A_PERSON.contains(&reason) => Severity::Error,
        Kind::Held => Severity::Warning,
    }
}

pub(super) fn seen(ami: Option<&AmiId>) -> String {
    match ami {
        Some(ami) => format!("seen, asks for {ami}"),
        None => "seen".to_owned(),
    }
}

pub(super) fn phase(phase: Phase, state: Option<&str>) -> String {
    let phase = match phase {
        Phase::Adding => "making the new group",
        Phase::Starting => "the new group starts",
        Phase::Baking => "the new group bakes",
        Phase::Draining => "the old group drains",
        Phase::Removing => "the old group is removed",
        Phase::GivingUp => "the new group is taken away",
        Phase::Held => "held",
        Phase::Steady => "as git asks",
    };
    match state {
        Some(state) => format!("{phase}: {state}"),
        None => phase.to_owned(),
    }
}

pub(super) fn held(text: &str) -> String {
    format!("held: {text}")
}

pub(super) fn over(text: &str) -> String {
    format!("no longer: {text}")
}

pub(super) fn failed(why: &str) -> String {
    format!("failed: {why}")
}

pub(super) fn ended(
    outcome: Outcome,
    ami: Option<&AmiId>,
    why: Option<&str>,
) -> (CommitState, String) {
    let because = |what: &str| match why {
        Some(why) => format!("{what}: {why}"),
        None => what.to_owned(),
    };
    match outcome {
        Outcome::Applied => {
            let text = match ami {
                Some(ami) => format!("deployed: {ami} is live"),
                None => "deployed".to_owned(),
            };
            (CommitState::Deployed, text)
        }
        Outcome::Superseded => (
            CommitState::Superseded,
            because("a newer commit came first"),
        ),
        Outcome::Rejected => (CommitState::Failed, because("the manifest has mistakes")),
        Outcome::FailedReverted => (CommitState::Failed, because("failed, and git went back")),
        Outcome::FailedNotReverted => (
            CommitState::Failed,
            because("failed, and git still asks for it"),
        ),
    }
}
