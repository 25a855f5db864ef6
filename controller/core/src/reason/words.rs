//! The sentences of reasons, as people read them everywhere.

use std::fmt;

use super::{Drift, Failure, Reason, SuspendedBy};
use crate::model::LaunchCause;

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
            Self::AdoptingStray { name } => {
                write!(
                    f,
                    "`{name}` was made but not recorded by an interrupted apply, and git asks for it no more: taking it in to take it away"
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
            Self::SlowDrain {
                name,
                instances,
                taken,
                drain,
                detail,
            } => {
                write!(
                    f,
                    "`{name}` has been draining for {taken}, `roll.drain` allows {drain}; instances left: {instances}"
                )?;
                with_detail(f, detail.as_deref())
            }
            Self::WaitGate { url, said } => {
                write!(f, "waiting for the gate {url}: {said}")
            }
            Self::OlderWiring { key } => write!(
                f,
                "the module changed since release {key} was made; bump `revision` to roll it out"
            ),
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
            Self::RevertProposed {
                branch,
                link,
                problem,
            } => match (link, problem) {
                (Some(link), _) => write!(f, "the revert waits to be merged: {link}"),
                (None, Some(problem)) => write!(
                    f,
                    "the revert is on branch `{branch}`, a pull request could not be opened: {problem}"
                ),
                (None, None) => write!(f, "the revert is on branch `{branch}`"),
            },
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
