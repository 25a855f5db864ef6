//! What can go wrong with the remote, sorted by what a person does about it.

use std::fmt;

use anyhow::anyhow;
use git2::{ErrorClass, ErrorCode};

use super::address::without_user;
use super::{Limits, Remote};

/// Why the branch could not be fetched. Each is a sentence that says what to do.
#[derive(Debug)]
pub enum FetchError {
    /// No connection, or one that broke.
    Unreachable {
        /// The address, without any user.
        url: String,
        /// What the transport said.
        why: String,
    },
    /// The remote, or we, did not accept the other's identity.
    Auth {
        /// The address, without any user.
        url: String,
        /// What the transport said.
        why: String,
    },
    /// The repository has branches, but not this one.
    BranchMissing {
        /// The branch of the configuration.
        branch: String,
        /// Some that there are.
        others: Vec<String>,
    },
    /// The repository has no branch at all.
    Empty {
        /// The branch of the configuration.
        branch: String,
    },
    /// More bytes than one fetch may take.
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// More time than one fetch may take.
    Timeout {
        /// The limits in force.
        limits: Limits,
    },
    /// Anything else.
    Other(anyhow::Error),
}

impl FetchError {
    /// A short name from a closed set, for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Auth { .. } => "auth",
            Self::BranchMissing { .. } => "branch_missing",
            Self::Empty { .. } => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::Timeout { .. } => "timeout",
            Self::Other(_) => "other",
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { url, why } => write!(
                f,
                "The repository `{url}` cannot be reached, check `repository.url` and the network: {why}"
            ),
            Self::Auth { url, why } => write!(
                f,
                "The repository `{url}` does not let us in, check `repository.token_file`, `repository.ssh_key_file`, \
                 their rights, and that the host is in `known_hosts`: {why}"
            ),
            Self::BranchMissing { branch, others } => {
                write!(
                    f,
                    "The repository has no branch `{branch}`, push it or correct `repository.branch`; there is: "
                )?;
                let shown: Vec<_> = others.iter().map(|name| format!("`{name}`")).collect();
                f.write_str(&shown.join(", "))
            }
            Self::Empty { branch } => {
                write!(
                    f,
                    "The repository is empty: push a first commit to the branch `{branch}`"
                )
            }
            Self::TooLarge { limit } => write!(
                f,
                "The repository sent more than {} MiB in one fetch: remove large files from the branch's history",
                limit >> 20
            ),
            Self::Timeout { limits } => write!(
                f,
                "The repository took longer than {} s to answer: check the network and the server's load",
                limits.time.as_secs()
            ),
            Self::Other(error) => write!(f, "The repository could not be fetched: {error:#}"),
        }
    }
}

impl std::error::Error for FetchError {}

impl From<anyhow::Error> for FetchError {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Sorts libgit2's errors by what to do about them.
pub(super) fn explain(remote: &Remote, error: git2::Error) -> FetchError {
    let url = without_user(&remote.url);
    let why = without_user(error.message());
    let says = |part: &str| why.contains(part);
    match (error.code(), error.class()) {
        (ErrorCode::Owner, _) => FetchError::Auth {
            why: format!(
                "the folder belongs to another user, run `git config --global --add safe.directory {url}`"
            ),
            url,
        },
        (ErrorCode::Auth | ErrorCode::Certificate, _) => FetchError::Auth { url, why },
        // Servers answer 404 for a private repository that the token must not see.
        (_, ErrorClass::Http) if ["401", "403", "404"].iter().any(|code| says(code)) => {
            FetchError::Auth { url, why }
        }
        (_, ErrorClass::Ssh) if says("authenticat") || says("hostkey") => {
            FetchError::Auth { url, why }
        }
        (
            _,
            ErrorClass::Net | ErrorClass::Http | ErrorClass::Ssh | ErrorClass::Ssl | ErrorClass::Os,
        ) => FetchError::Unreachable { url, why },
        (ErrorCode::NotFound, ErrorClass::Repository) => FetchError::Unreachable { url, why },
        _ => FetchError::Other(anyhow!(why)),
    }
}
