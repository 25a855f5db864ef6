//! Why a thing is done, waited for or not done, in one closed list.
//!
//! A [`Reason`] has a sentence for people (`Display`), a label for metrics
//! ([`Reason::label`]), and, where something stands still until a person acts,
//! the command that frees it ([`Reason::frees`]). Log line, page, dry run,
//! command line and tests all show the same sentence, so it is written once,
//! here. Sentences have no full stop; values stand in them, never in labels.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::manifest::Seconds;
use crate::model::{AmiId, CommitId, LaunchCause, ReleaseKey};

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

    /// For metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NeverHealthy { .. } => "never_healthy",
            Self::LaunchFailed { .. } => "launch_failed",
            Self::Unavailable { cause, .. } => cause_label(*cause),
        }
    }
}

/// Every label of a failure.
pub const FAILURE_LABELS: &[&str] = &[
    "never_healthy",
    "launch_failed",
    "capacity",
    "quota",
    "throttled",
    "permission",
    "release",
];

fn cause_label(cause: LaunchCause) -> &'static str {
    match cause {
        LaunchCause::Capacity => "capacity",
        LaunchCause::Quota => "quota",
        LaunchCause::Throttled => "throttled",
        LaunchCause::Permission => "permission",
        LaunchCause::Release => "release",
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

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` was changed by hand: {}",
            self.group,
            self.what.join(", ")
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverHealthy {
                healthy,
                required,
                timeout,
                detail,
            } => {
                write!(
                    f,
                    "only {healthy} of {required} instances became healthy in {timeout}"
                )?;
                with_detail(f, detail.as_deref())
            }
            Self::LaunchFailed { message } => {
                write!(f, "its instances could not be launched: {message}")
            }
            Self::Unavailable { cause, message } => {
                let what = match cause {
                    LaunchCause::Capacity => "AWS has no capacity for it",
                    LaunchCause::Quota => "an account limit is reached",
                    LaunchCause::Throttled => "AWS throttles its launches",
                    LaunchCause::Permission => "a permission is missing",
                    LaunchCause::Release => "AWS refuses its launches",
                };
                write!(f, "{what}: {message}")
            }
        }
    }
}

fn with_detail(f: &mut fmt::Formatter<'_>, detail: Option<&str>) -> fmt::Result {
    match detail {
        Some(detail) => write!(f, ": {detail}"),
        None => Ok(()),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsDesired { ami } => write!(f, "runs {ami}, as git asks"),
            Self::FirstRelease { ami } => write!(f, "first release: {ami}"),
            Self::NewRelease {
                from,
                to,
                ami,
                changed,
            } => {
                write!(
                    f,
                    "git asks for {ami} ({} changed): {from} → {to}",
                    list(changed)
                )
            }
            Self::Adopting { name } => {
                write!(
                    f,
                    "`{name}` was made but not recorded by an interrupted apply: taking it in"
                )
            }
            Self::CanaryBaked { canary, full } => {
                write!(
                    f,
                    "the canary of {canary} stayed healthy: growing to {full}"
                )
            }
            Self::OldGrew { have, required } => {
                write!(
                    f,
                    "the old group grew to {required}: growing the new one from {have}"
                )
            }
            Self::Baked { healthy, required } => {
                write!(
                    f,
                    "{healthy} of {required} new instances stayed healthy: draining the old group"
                )
            }
            Self::Drained { name } => write!(f, "`{name}` is empty: removing it"),
            Self::RecreateDrain { name } => {
                write!(
                    f,
                    "strategy `recreate`: draining `{name}` before the new release is made"
                )
            }
            Self::Superseded { ami: Some(ami) } => {
                write!(f, "git no longer asks for {ami}: taking it away")
            }
            Self::Superseded { ami: None } => {
                f.write_str("git no longer asks for this release: taking it away")
            }
            Self::GivingUp { failure } => write!(f, "giving up the new release: {failure}"),
            Self::Restoring { name } => write!(f, "bringing `{name}` back"),
            Self::Resize { from, to } => write!(
                f,
                "size {}–{} becomes {}–{}, in place",
                from.0, from.1, to.0, to.1
            ),
            Self::HealDrift { drift } => write!(f, "{drift}: putting it back"),
            Self::Unpin { pin } => write!(
                f,
                "the roll is over: the group may shrink below {pin} again"
            ),
            Self::Reverting { from, to, failure } => {
                write!(f, "reverting git from {from} to {to}: {failure}")
            }

            Self::WaitHealthy {
                healthy,
                required,
                left,
                detail,
            } => {
                write!(
                    f,
                    "{healthy} of {required} instances are healthy, {left} left"
                )?;
                with_detail(f, detail.as_deref())
            }
            Self::WaitBake { left, canary: true } => {
                write!(f, "the canary is healthy, baking for {left} more")
            }
            Self::WaitBake {
                left,
                canary: false,
            } => write!(f, "all healthy, baking for {left} more"),
            Self::WaitDrain { name, instances } => {
                write!(f, "`{name}` is draining, instances left: {instances}")
            }
            Self::WaitSteady { healthy, required } => {
                write!(
                    f,
                    "the release is as desired, healthy instances: {healthy} of {required}"
                )
            }
            Self::WaitTurn { rolling } => {
                write!(
                    f,
                    "waiting for a turn: {rolling} apps are rolling, as many as `max_concurrent_rolls` allows"
                )
            }
            Self::WaitRetry {
                until,
                attempt,
                error,
            } => {
                write!(f, "attempt {attempt} failed, next at {until:.0}: {error}")
            }
            Self::WaitKeeper {
                name,
                healthy,
                required,
            } => {
                write!(
                    f,
                    "`{name}` has {healthy} of {required} healthy instances: nothing is taken away now"
                )
            }

            Self::ManifestInvalid { problems: 1, first } => {
                write!(f, "the manifest has a mistake: {first}")
            }
            Self::ManifestInvalid { problems, first } => {
                write!(
                    f,
                    "the manifest has {problems} mistakes, the first: {first}"
                )
            }
            Self::ManifestDeleted { groups } => write!(
                f,
                "the manifest is gone from git, groups that still run: {groups}; nothing is destroyed"
            ),
            Self::Suspended { reason, until, by } => {
                let by = match by {
                    SuspendedBy::Manifest => "in git",
                    SuspendedBy::Command => "by command",
                };
                match until {
                    Some(until) => write!(f, "suspended {by} until {until:.0}: {reason}"),
                    None => write!(f, "suspended {by}: {reason}"),
                }
            }
            Self::ImageMissing { ami } => {
                write!(f, "{ami} does not exist in this account and region")
            }
            Self::ImageNotAvailable { ami, state } => {
                write!(f, "{ami} cannot be launched, its state is `{state}`")
            }
            Self::ImageWrongArchitecture {
                ami,
                architecture,
                instance_type,
                wants,
            } => write!(
                f,
                "{ami} is built for {architecture}, `{instance_type}` needs {wants}"
            ),
            Self::ReleaseFailed { key, failure } => {
                write!(
                    f,
                    "release {key} failed at this commit and is not tried again: {failure}"
                )
            }
            Self::FirstReleaseFailed { failure } => {
                write!(
                    f,
                    "the first release failed and is kept for a look: {failure}"
                )
            }
            Self::Unavailable {
                cause,
                message,
                until,
            } => {
                let failure = Failure::Unavailable {
                    cause: *cause,
                    message: message.clone(),
                };
                write!(f, "{failure}; next try at {until:.0}")
            }
            Self::NoTargetGroup { name } => write!(
                f,
                "`{name}` has no target group: give its unit one, or say `\"health\": {{\"type\": \"none\"}}`"
            ),
            Self::Drifted { drift } => write!(f, "{drift}"),
            Self::ForeignImage { instances, ami } => {
                write!(
                    f,
                    "instances run {ami}, which git does not name: {}",
                    instances.join(", ")
                )
            }
            Self::UnknownGroup { name } => {
                write!(
                    f,
                    "`{name}` carries this app's tag but belongs to no release that terraform knows"
                )
            }
            Self::Rewritten { accepted, found } => write!(
                f,
                "the branch was rewritten: {} is not an ancestor of {}",
                accepted.short(),
                found.short()
            ),
            Self::UnexpectedPlan { id, unexpected } => {
                write!(
                    f,
                    "plan {id} would do more than this step: {}",
                    list(unexpected)
                )
            }
            Self::ErroredState { path } => {
                write!(f, "terraform could not save its state; it lies in {path}")
            }
            Self::StateLocked { who, id } => write!(f, "the state is locked by {who}, lock {id}"),
            Self::Refused { message } => write!(f, "the unit refuses this plan: {message}"),
            Self::RevertRefused { message, branch } => {
                write!(f, "the remote refused the revert commit: {message}")?;
                match branch {
                    Some(branch) => write!(f, "; it is on branch `{branch}`"),
                    None => Ok(()),
                }
            }
            Self::NothingToRevertTo => {
                f.write_str("no release that was ever healthy is left to go back to")
            }
            Self::WrongAccount { expected, found } => {
                write!(
                    f,
                    "the credentials are for account {found}, the config says {expected}"
                )
            }
            Self::NoTarget => f.write_str("no entry of `targets` in the config covers this app"),
            Self::UnitMissing { unit } => {
                write!(f, "the unit `{unit}` has no terragrunt.hcl at this commit")
            }
            Self::AwsUnreadable { error } => write!(f, "the app cannot be looked at: {error}"),
        }
    }
}

fn list(items: &[String]) -> String {
    const SHOWN: usize = 6;
    match items.len() {
        0 => "nothing".to_owned(),
        n if n <= SHOWN => items.join(", "),
        n => format!("{} and {} more", items[..SHOWN].join(", "), n - SHOWN),
    }
}

impl Reason {
    /// Every label, for metrics.
    pub const LABELS: &[&str] = &[
        "as_desired",
        "first_release",
        "new_release",
        "adopting",
        "canary_baked",
        "old_grew",
        "baked",
        "drained",
        "recreate_drain",
        "superseded",
        "giving_up",
        "restoring",
        "resize",
        "heal_drift",
        "unpin",
        "reverting",
        "wait_healthy",
        "wait_bake",
        "wait_drain",
        "wait_steady",
        "wait_turn",
        "wait_retry",
        "wait_keeper",
        "manifest_invalid",
        "manifest_deleted",
        "suspended",
        "image_missing",
        "image_not_available",
        "image_wrong_architecture",
        "release_failed",
        "first_release_failed",
        "unavailable",
        "no_target_group",
        "drifted",
        "foreign_image",
        "unknown_group",
        "rewritten",
        "unexpected_plan",
        "errored_state",
        "state_locked",
        "refused",
        "revert_refused",
        "nothing_to_revert_to",
        "wrong_account",
        "no_target",
        "unit_missing",
        "aws_unreadable",
    ];

    /// The label for metrics: one word out of [`Reason::LABELS`].
    pub fn label(&self) -> &'static str {
        match self {
            Self::AsDesired { .. } => "as_desired",
            Self::FirstRelease { .. } => "first_release",
            Self::NewRelease { .. } => "new_release",
            Self::Adopting { .. } => "adopting",
            Self::CanaryBaked { .. } => "canary_baked",
            Self::OldGrew { .. } => "old_grew",
            Self::Baked { .. } => "baked",
            Self::Drained { .. } => "drained",
            Self::RecreateDrain { .. } => "recreate_drain",
            Self::Superseded { .. } => "superseded",
            Self::GivingUp { .. } => "giving_up",
            Self::Restoring { .. } => "restoring",
            Self::Resize { .. } => "resize",
            Self::HealDrift { .. } => "heal_drift",
            Self::Unpin { .. } => "unpin",
            Self::Reverting { .. } => "reverting",
            Self::WaitHealthy { .. } => "wait_healthy",
            Self::WaitBake { .. } => "wait_bake",
            Self::WaitDrain { .. } => "wait_drain",
            Self::WaitSteady { .. } => "wait_steady",
            Self::WaitTurn { .. } => "wait_turn",
            Self::WaitRetry { .. } => "wait_retry",
            Self::WaitKeeper { .. } => "wait_keeper",
            Self::ManifestInvalid { .. } => "manifest_invalid",
            Self::ManifestDeleted { .. } => "manifest_deleted",
            Self::Suspended { .. } => "suspended",
            Self::ImageMissing { .. } => "image_missing",
            Self::ImageNotAvailable { .. } => "image_not_available",
            Self::ImageWrongArchitecture { .. } => "image_wrong_architecture",
            Self::ReleaseFailed { .. } => "release_failed",
            Self::FirstReleaseFailed { .. } => "first_release_failed",
            Self::Unavailable { .. } => "unavailable",
            Self::NoTargetGroup { .. } => "no_target_group",
            Self::Drifted { .. } => "drifted",
            Self::ForeignImage { .. } => "foreign_image",
            Self::UnknownGroup { .. } => "unknown_group",
            Self::Rewritten { .. } => "rewritten",
            Self::UnexpectedPlan { .. } => "unexpected_plan",
            Self::ErroredState { .. } => "errored_state",
            Self::StateLocked { .. } => "state_locked",
            Self::Refused { .. } => "refused",
            Self::RevertRefused { .. } => "revert_refused",
            Self::NothingToRevertTo => "nothing_to_revert_to",
            Self::WrongAccount { .. } => "wrong_account",
            Self::NoTarget => "no_target",
            Self::UnitMissing { .. } => "unit_missing",
            Self::AwsUnreadable { .. } => "aws_unreadable",
        }
    }

    /// What frees a hold: a command or an act, in words. `app` is the app
    /// that is held; `None` where nothing has to be done.
    pub fn frees(&self, app: &str) -> Option<String> {
        let text = match self {
            Self::ManifestInvalid { .. } => {
                format!("correct desired/{app}.json, `amid validate` shows every mistake")
            }
            Self::ManifestDeleted { .. } => {
                format!(
                    "put desired/{app}.json back, or destroy its unit by hand with `terragrunt destroy`"
                )
            }
            Self::Suspended {
                by: SuspendedBy::Manifest,
                ..
            } => format!("remove `suspend` from desired/{app}.json"),
            Self::Suspended {
                by: SuspendedBy::Command,
                ..
            } => format!("amid resume {app}"),
            Self::ImageMissing { .. }
            | Self::ImageNotAvailable { .. }
            | Self::ImageWrongArchitecture { .. } => {
                format!("name another image in desired/{app}.json, or `git revert` the commit")
            }
            Self::ReleaseFailed { .. } => {
                format!("`git revert` the commit, or try it again with `amid restart {app}`")
            }
            Self::FirstReleaseFailed { .. } => {
                format!("merge another image into desired/{app}.json")
            }
            Self::NoTargetGroup { .. } => {
                format!("correct the unit of {app}, then `amid reconcile {app}`")
            }
            Self::Drifted { .. } => {
                format!("undo the change, or set `\"on_drift\": \"heal\"` in desired/{app}.json")
            }
            Self::ForeignImage { .. } => {
                "terminate those instances, their group replaces them".to_owned()
            }
            Self::UnknownGroup { .. } => {
                "remove the tag `amid:app` from it, or delete it".to_owned()
            }
            Self::Rewritten { .. } => {
                "amid approve HOLD, or push a branch that contains the accepted commit".to_owned()
            }
            Self::UnexpectedPlan { id, .. } => format!("amid approve {id}"),
            Self::ErroredState { .. } => format!(
                "push it with `terragrunt run -- state push`, check with `terragrunt plan`, then `amid approve errored-state:{app}`"
            ),
            Self::StateLocked { id, .. } => {
                format!(
                    "wait for its owner, or `terragrunt run -- force-unlock {id}` when it is dead"
                )
            }
            Self::Refused { .. } => {
                format!("amid status {app} shows the groups; then `amid reconcile {app}`")
            }
            Self::RevertRefused { .. } => "merge the revert by hand".to_owned(),
            Self::NothingToRevertTo => format!("merge a good image into desired/{app}.json"),
            Self::WrongAccount { .. } | Self::NoTarget => {
                "correct `targets` in the config".to_owned()
            }
            Self::UnitMissing { .. } => {
                format!("add the unit, or correct `unit` in desired/{app}.json")
            }
            _ => return None,
        };
        Some(text)
    }

    /// Whether the app stands still until a person or the world changes
    /// something.
    pub fn is_hold(&self) -> bool {
        self.frees("").is_some()
            || matches!(self, Self::Unavailable { .. } | Self::AwsUnreadable { .. })
    }
}
