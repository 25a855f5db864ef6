//! Why a thing is done, waited for or not done, in one closed list.
//!
//! A [`Reason`] has a sentence for people (`Display`), a label for metrics
//! ([`Reason::label`]), and, where something stands still until a person acts,
//! the command that frees it ([`Reason::frees`]). Log line, page, dry run,
//! command line and tests all show the same sentence, so it is written once, in
//! `words`. Sentences have no full stop; values stand in them, never in
//! labels.

mod label;
mod words;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::manifest::Seconds;
use crate::model::{AmiId, CommitId, LaunchCause, ReleaseKey};
pub use label::FAILURE_LABELS;

/// Why a step is taken, what is waited for, or what stands in the way.
#[allow(missing_docs, reason = "`Display` below shows what each field means")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    // Nothing to do.
    /// The live release is what git asks for.
    AsDesired { ami: AmiId },

    // Steps.
    /// The app has no group yet.
    FirstRelease { ami: AmiId },
    /// Git asks for another release than the one that is live.
    NewRelease {
        from: ReleaseKey,
        to: ReleaseKey,
        ami: AmiId,
        changed: Vec<String>,
    },
    /// A group or template stands in AWS that terraform does not know.
    Adopting { name: String },
    /// The same, of a release that git asks for no more.
    AdoptingStray { name: String },
    /// The canary was healthy for the bake time.
    CanaryBaked { canary: u32, full: u32 },
    /// The old group grew while the new one was getting ready.
    OldGrew { have: u32, required: u32 },
    /// The new release was healthy for the bake time: the old one may go.
    Baked { healthy: u32, required: u32 },
    /// The old group is empty.
    Drained { name: String },
    /// The old one goes first, because the app's strategy says so.
    RecreateDrain { name: String },
    /// The new release is not wanted any more: git names another.
    Superseded { ami: Option<AmiId> },
    /// The new release failed: it is taken away again.
    GivingUp { failure: Failure },
    /// The old release comes back, because the new one failed.
    Restoring { name: String },
    /// Only sizes changed.
    Resize { from: (u32, u32), to: (u32, u32) },
    /// Somebody changed the group by hand.
    HealDrift { drift: Drift },
    /// The roll is over: the group may shrink again.
    Unpin { pin: u32 },
    /// What git asks for failed: git goes back.
    Reverting {
        from: AmiId,
        to: AmiId,
        failure: Failure,
    },

    // Waits.
    /// The new release is not healthy yet.
    WaitHealthy {
        healthy: u32,
        required: u32,
        left: Seconds,
        detail: Option<String>,
    },
    /// The new release is healthy and has to stay so.
    WaitBake { left: Seconds, canary: bool },
    /// The old group still has instances.
    WaitDrain { name: String, instances: u32 },
    /// The old group has instances for longer than the manifest allows.
    SlowDrain {
        name: String,
        instances: u32,
        taken: Seconds,
        drain: Seconds,
        detail: Option<String>,
    },
    /// The app's gate says that the next step has to wait.
    WaitGate { url: String, said: String },
    /// Everything is right but for instances that are not healthy now.
    WaitSteady { healthy: u32, required: u32 },
    /// Another roll has the turn.
    WaitTurn { rolling: u32 },
    /// A retry waits for its time.
    WaitRetry {
        until: Timestamp,
        attempt: u32,
        error: String,
    },
    /// The old release's instances are too few at this moment to take the
    /// other one away.
    WaitKeeper {
        name: String,
        healthy: u32,
        required: u32,
    },

    // Notes.
    /// The unit's module changed since the live release was made.
    OlderWiring { key: ReleaseKey },

    // Holds.
    /// The manifest has mistakes.
    ManifestInvalid { problems: u32, first: String },
    /// The manifest is gone, the app is not.
    ManifestDeleted { groups: u32 },
    /// Somebody suspended the app.
    Suspended {
        reason: String,
        until: Option<Timestamp>,
        by: SuspendedBy,
    },
    /// The image does not exist.
    ImageMissing { ami: AmiId },
    /// The image exists, but cannot be launched.
    ImageNotAvailable { ami: AmiId, state: String },
    /// The image's architecture is not the instance types'.
    ImageWrongArchitecture {
        ami: AmiId,
        architecture: String,
        instance_type: String,
        wants: String,
    },
    /// This release failed at this commit.
    ReleaseFailed { key: ReleaseKey, failure: Failure },
    /// The first release of the app failed: there is nothing to go back to.
    FirstReleaseFailed { failure: Failure },
    /// It was not the image's fault: it is tried again.
    Unavailable {
        cause: LaunchCause,
        message: String,
        until: Timestamp,
    },
    /// The app says that it has a load balancer, its group has none.
    NoTargetGroup { name: String },
    /// The group was changed by hand, and the manifest says to leave it.
    Drifted { drift: Drift },
    /// Instances run an image that git does not name.
    ForeignImage { instances: Vec<String>, ami: AmiId },
    /// A group carries the app's tag, but is not amid's.
    UnknownGroup { name: String },
    /// The branch was rewritten.
    Rewritten { accepted: CommitId, found: CommitId },
    /// The plan would do something else than the step.
    UnexpectedPlan { id: String, unexpected: Vec<String> },
    /// A terraform state could not be saved and lies in a file.
    ErroredState { path: String },
    /// Somebody else holds the state lock.
    StateLocked { who: String, id: String },
    /// The module refused the plan.
    Refused { message: String },
    /// The remote refused the revert commit.
    RevertRefused {
        message: String,
        branch: Option<String>,
    },
    /// The revert commit waits in a pull request.
    RevertProposed {
        branch: String,
        link: Option<String>,
        problem: Option<String>,
    },
    /// The release before it was never healthy either.
    NothingToRevertTo,
    /// The credentials are those of another account.
    WrongAccount { expected: String, found: String },
    /// No target of the config covers the app.
    NoTarget,
    /// The unit's folder is not in the repository.
    UnitMissing { unit: String },
    /// The look at the app failed: AWS or terraform's outputs.
    AwsUnreadable { error: String },
}

/// Who suspended an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspendedBy {
    /// The manifest.
    Manifest,
    /// The command line.
    Command,
}

/// Why a release was given up.
#[allow(missing_docs, reason = "`Display` below shows what each field means")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "snake_case")]
pub enum Failure {
    /// Not healthy within the manifest's timeout.
    NeverHealthy {
        healthy: u32,
        required: u32,
        timeout: Seconds,
        detail: Option<String>,
    },
    /// AWS could not launch it, for a reason that lies in the release.
    LaunchFailed { message: String },
    /// AWS could not launch it, for a reason that does not.
    Unavailable { cause: LaunchCause, message: String },
}

impl Failure {
    /// Whether the release is at fault, so that git is to go back.
    pub fn blames_release(&self) -> bool {
        !matches!(self, Self::Unavailable { .. })
    }
}

/// What somebody changed by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The group.
    pub group: String,
    /// What differs, such as `min 3 instead of 2`.
    pub what: Vec<String>,
}
