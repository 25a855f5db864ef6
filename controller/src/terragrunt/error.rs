//! Why a run did not do what was asked, sorted by what to do next.

use std::path::PathBuf;

use super::output::{Diagnostic, Kind, LockInfo};

/// The ending of a run that is not a success.
#[derive(Debug)]
pub enum RunError {
    /// Terraform or terragrunt said what is wrong; [`RunError::kind`] sorts it.
    Diagnostics(Vec<Diagnostic>),
    /// Someone holds the state lock: wait, or prove that it is our own dead
    /// child's with [`super::Terragrunt::break_own_lock`].
    StateLocked(LockInfo),
    /// A state that could not be saved lies at this path: a person must act.
    ErroredState(PathBuf),
    /// The state moved on since the plan was made: plan again.
    StalePlan,
    /// Something of this name exists but is not in state: adopt it. Holds the
    /// resource addresses, or the sentences where no address was given.
    AlreadyExists(Vec<String>),
    /// The cached unit is broken and wiping it did not help.
    BrokenCache(String),
    /// A program is missing or cannot be started.
    ToolMissing(String),
    /// The run took longer than its limit and was ended.
    Timeout,
    /// The run was killed, or ended without telling how: nothing is known of
    /// what it did, so look again before acting.
    Killed(String),
    /// The run printed more than is read, and was ended if that was harmless.
    OutputTooLarge,
    /// An earlier apply of this unit still runs (it outlived a controller):
    /// wait for it with [`super::Terragrunt::orphan`].
    Busy {
        /// A process of that run.
        pid: u32,
    },
    /// Anything else, in a sentence.
    Other(anyhow::Error),
}

impl RunError {
    /// What sort of trouble this is; the first error of several decides.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Diagnostics(all) => all
                .iter()
                .filter(|one| one.is_error())
                .map(|one| one.kind)
                .find(|kind| *kind != Kind::Other)
                .unwrap_or(Kind::Other),
            Self::StateLocked(_) => Kind::Locked,
            Self::ErroredState(_) => Kind::StateNotSaved,
            Self::StalePlan => Kind::StalePlan,
            Self::AlreadyExists(_) => Kind::AlreadyExists,
            Self::BrokenCache(_) => Kind::BrokenCache,
            Self::ToolMissing(_)
            | Self::Timeout
            | Self::Killed(_)
            | Self::OutputTooLarge
            | Self::Busy { .. }
            | Self::Other(_) => Kind::Other,
        }
    }
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Diagnostics(all) => {
                let errors: Vec<_> = all.iter().filter(|one| one.is_error()).collect();
                match errors.as_slice() {
                    [] => write!(f, "The run failed without a word"),
                    [one] => write!(f, "{one}"),
                    [first, rest @ ..] => write!(f, "{first} (and {} more)", rest.len()),
                }
            }
            Self::StateLocked(lock) => write!(
                f,
                "The state is locked by {} since {} ({})",
                lock.who, lock.created, lock.operation
            ),
            Self::ErroredState(path) => write!(
                f,
                "A state that could not be saved is kept in `{}`: push it with `terraform state push`, then run `amid approve` for this unit",
                path.display()
            ),
            Self::StalePlan => write!(f, "The state changed after the plan was made"),
            Self::AlreadyExists(what) => write!(
                f,
                "Something of this name exists but is not in the state: {}",
                what.join(", ")
            ),
            Self::BrokenCache(what) => {
                write!(
                    f,
                    "The cached unit is broken, also after it was wiped: {what}"
                )
            }
            Self::ToolMissing(what) => f.write_str(what),
            Self::Timeout => write!(f, "The run took longer than its time limit"),
            Self::Killed(how) => write!(f, "The run ended without a result: {how}"),
            Self::OutputTooLarge => write!(f, "The run printed more than amid reads"),
            Self::Busy { pid } => {
                write!(
                    f,
                    "An earlier apply of this unit still runs as process {pid}"
                )
            }
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for RunError {}

impl From<anyhow::Error> for RunError {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}
