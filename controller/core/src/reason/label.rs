//! What metrics and searches call a reason, and what frees it where it is a
//! hold.

use super::{Failure, Reason, SuspendedBy};
use crate::model::LaunchCause;

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

impl Failure {
    /// For metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NeverHealthy { .. } => "never_healthy",
            Self::LaunchFailed { .. } => "launch_failed",
            Self::Unavailable { cause, .. } => cause_label(*cause),
        }
    }
}

fn cause_label(cause: LaunchCause) -> &'static str {
    match cause {
        LaunchCause::Capacity => "capacity",
        LaunchCause::Quota => "quota",
        LaunchCause::Throttled => "throttled",
        LaunchCause::Permission => "permission",
        LaunchCause::Release => "release",
    }
}

impl Reason {
    /// Every label, for metrics.
    pub const LABELS: &[&str] = &[
        "as_desired",
        "first_release",
        "new_release",
        "adopting",
        "adopting_stray",
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
        "slow_drain",
        "wait_gate",
        "older_wiring",
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
        "revert_proposed",
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
            Self::AdoptingStray { .. } => "adopting_stray",
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
            Self::SlowDrain { .. } => "slow_drain",
            Self::WaitGate { .. } => "wait_gate",
            Self::OlderWiring { .. } => "older_wiring",
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
            Self::RevertProposed { .. } => "revert_proposed",
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
            Self::Rewritten { accepted, found } => format!(
                "`amid approve rewritten-{}`, or push a branch that contains {}",
                found.short(),
                accepted.short()
            ),
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
            Self::RevertProposed { link: Some(_), .. } => "merge the pull request".to_owned(),
            Self::RevertProposed { branch, .. } => {
                format!("open a pull request from `{branch}` and merge it")
            }
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
