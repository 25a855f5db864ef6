//! Branches beside the watched one: those that hold a commit for a pull request, and those that somebody wants to have
//! merged.
//!
//! A branch of ours is replaced only from the commit that was seen there a moment ago. Whose branch may be replaced is
//! not decided here.

use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use git2::{DiffOptions, ErrorCode, Oid, Repository};

use super::address::Address;
use super::error::{FetchError, explain};
use super::fetch::open_local;
use super::push::{Answer, Change, Pushed, Server, build};
use super::{CommitInfo, Mirror, Remote, read};

/// Files that differ between two commits, before it is only said that there are more.
const MAX_FILES: usize = 10_000;
/// Bytes of a commit's message that are looked at.
const MAX_MESSAGE: usize = 64 << 10;

/// Which files differ between two commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// By path from the repository's root.
    pub files: Vec<String>,
    /// Whether there are more than are listed.
    pub more: bool,
}

impl Mirror {
    /// Brings the commits of `branch` and returns its tip; `None` when there is no such branch.
    pub fn fetch_branch(&self, branch: &str) -> Result<Option<Oid>, FetchError> {
        let _alone = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        match self.bring(branch) {
            Ok(tip) => Ok(Some(tip)),
            Err(FetchError::BranchMissing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Commits `change` and makes `branch` stand at it, if it stands at `expected` now (`None`: does not exist).
    pub fn commit_aside(
        &self,
        change: Change,
        branch: &str,
        expected: Option<Oid>,
    ) -> Result<Pushed> {
        let _alone = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let commit = self.build(&change)?;
        let (dir, remote, address) = (self.dir.clone(), self.remote.clone(), self.address.clone());
        let reference = format!("refs/heads/{branch}");
        let push = move |stop: &AtomicBool| {
            if let Address::Local(path) = &address {
                let target = open_local(path).map_err(|e| explain(&remote, e))?;
                return write_local(&target, &remote, &change, &reference, expected);
            }
            let mirror = Repository::open_bare(&dir)?;
            let server = Server {
                mirror: &mirror,
                remote: &remote,
                address: &address,
                stop,
            };
            let refspec = format!("+{commit}:{reference}");
            let answer = match server.send_as(&refspec, &reference, expected) {
                // The answer may be all that was lost.
                Err(error) if server.stands_at(&reference)? != Some(commit) => return Err(error),
                Err(_) | Ok(Answer::Taken) => return Ok(Pushed::Done(commit)),
                Ok(answer) => answer,
            };
            Ok(match answer {
                Answer::Taken => Pushed::Done(commit),
                Answer::Elsewhere(now) => Pushed::Moved(now),
                Answer::Refused(reason) => Pushed::Refused {
                    reason,
                    branch: None,
                },
            })
        };
        let pushed = self.in_time(push)?;
        pushed
            .context("The repository took too long to answer")?
            .context("Failed to push")
    }

    /// The newest commit that both `one` and `other` contain.
    pub fn merge_base(&self, one: Oid, other: Oid) -> Result<Option<Oid>> {
        let inner = self.lock();
        match inner.repo.merge_base(one, other) {
            Ok(base) => Ok(Some(base)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error).context("Failed to compare two branches"),
        }
    }

    /// The files that differ between two commits.
    pub fn difference(&self, from: Oid, to: Oid) -> Result<Difference> {
        let inner = self.lock();
        let read = || -> Result<Difference> {
            let old = read::tree_of(&inner.repo, from)?;
            let new = read::tree_of(&inner.repo, to)?;
            let mut options = DiffOptions::new();
            options.skip_binary_check(true).context_lines(0);
            let diff = inner
                .repo
                .diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))?;
            let mut found = Difference::default();
            for delta in diff.deltas() {
                let path = delta.new_file().path().or(delta.old_file().path());
                if found.files.len() == MAX_FILES {
                    found.more = true;
                    break;
                }
                let path = path.map(Path::to_string_lossy).unwrap_or_default();
                found.files.push(path.into_owned());
            }
            Ok(found)
        };
        self.watched(&[from, to], read())
            .with_context(|| format!("Failed to compare {from} and {to}"))
    }

    /// A commit, as people know it, and its whole message.
    pub fn commit(&self, id: Oid) -> Result<(CommitInfo, String)> {
        let inner = self.lock();
        let read = || -> Result<(CommitInfo, String)> {
            let commit = inner.repo.find_commit(id)?;
            let bytes = commit.message_bytes();
            let text = String::from_utf8_lossy(bytes.get(..MAX_MESSAGE).unwrap_or(bytes));
            Ok((CommitInfo::of(&commit), text.into_owned()))
        };
        self.watched(&[id], read())
            .with_context(|| format!("Failed to read the commit {id}"))
    }
}

/// Makes a branch of a repository on this machine stand at the change, by git's own lock on the branch.
fn write_local(
    target: &Repository,
    remote: &Remote,
    change: &Change,
    reference: &str,
    expected: Option<Oid>,
) -> Result<Pushed> {
    let now = || target.refname_to_id(reference).ok();
    if now() != expected {
        return Ok(Pushed::Moved(now()));
    }
    let commit = build(target, remote, change)?;
    let written = match expected {
        Some(expected) => target.reference_matching(reference, commit, true, expected, "amid"),
        None => target.reference(reference, commit, false, "amid"),
    };
    match written {
        Ok(_) => Ok(Pushed::Done(commit)),
        Err(error)
            if matches!(
                error.code(),
                ErrorCode::Modified | ErrorCode::Locked | ErrorCode::Exists
            ) =>
        {
            Ok(Pushed::Moved(now()))
        }
        Err(error) => Err(error.into()),
    }
}
