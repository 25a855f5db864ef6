//! Writing one commit to the watched branch.
//!
//! The commit replaces one file on top of a given base and reaches the branch only if the branch still stands at that
//! base (compare-and-swap): a person's newer commit always wins. A remote that refuses it, by a hook or a protected
//! branch, gets it as a branch of its own for a person to merge. Nothing is ever forced.

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, anyhow};
use git2::build::TreeUpdateBuilder;
use git2::{
    Direction, ErrorCode, FileMode, Oid, PushOptions, RemoteRedirect, Repository, Signature, Time,
};
use jiff::Timestamp;

use super::address::{Address, without_user};
use super::error::explain;
use super::fetch::open_local;
use super::login::{callbacks, proxy};
use super::{Mirror, Remote, read};

/// A commit to make: one file gets a new content.
#[derive(Clone, Debug)]
pub struct Change {
    /// The commit that the branch stands at.
    pub base: Oid,
    /// A file that exists there, from the repository's root.
    pub path: String,
    /// Its new content.
    pub content: Vec<u8>,
    /// The whole commit message.
    pub message: String,
    /// When the commit is made.
    pub at: Timestamp,
}

/// What became of a [`Change`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The branch stands at this commit now.
    Done(Oid),
    /// The branch stands elsewhere than the base: nothing was written. `None` when it is gone.
    Moved(Option<Oid>),
    /// The remote did not take it on the branch.
    Refused {
        /// What the remote said.
        reason: String,
        /// The branch that holds the commit instead, unless that was refused too.
        branch: Option<String>,
    },
}

impl Mirror {
    /// Commits `change` and pushes it. An error means that it is not known to have arrived: fetch and decide again.
    pub fn commit_and_push(&self, change: Change) -> Result<Pushed> {
        let _alone = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let commit = self.build(&change)?;
        let (dir, remote, address) = (self.dir.clone(), self.remote.clone(), self.address.clone());
        let push = move |stop: &AtomicBool| {
            let side_branch = side_branch(&change, commit);
            if let Address::Local(path) = &address {
                let target = open_local(path).map_err(|e| explain(&remote, e))?;
                return write_local(&target, &remote, &change, &side_branch);
            }
            let mirror = Repository::open_bare(&dir)?;
            Server {
                mirror: &mirror,
                remote: &remote,
                address: &address,
                stop,
            }
            .push(change.base, commit, &side_branch)
        };
        let pushed = self.in_time(push)?;
        pushed
            .context("The repository took too long to answer")?
            .context("Failed to push")
    }
}

impl Mirror {
    /// Makes the commit in the mirror, durably.
    pub(super) fn build(&self, change: &Change) -> Result<Oid> {
        let commit = build(&self.lock().repo, &self.remote, change)?;
        // libgit2 does not flush what it writes; half an object after a power cut would be in the way for ever.
        let mirror = fs::File::open(&self.dir).context("Failed to open the mirror")?;
        rustix::fs::syncfs(mirror).context("Failed to store the commit")?;
        Ok(commit)
    }
}

/// Makes the commit in `repo`. The same change always makes the same commit.
pub(super) fn build(repo: &Repository, remote: &Remote, change: &Change) -> Result<Oid> {
    let base = repo
        .find_commit(change.base)
        .context("Failed to find the commit to build on")?;
    let tree = base.tree()?;
    let old = read::version_at(&tree, &change.path)?;
    let mode = match old.map(|old| old.mode) {
        Some(read::mode::SYMLINK | read::mode::SUBMODULE) | None => {
            return Err(anyhow!(
                "`{}` is not a plain file at commit {}",
                change.path,
                change.base
            ));
        }
        Some(read::mode::EXECUTABLE) => FileMode::BlobExecutable,
        Some(_) => FileMode::Blob,
    };
    let blob = repo.blob(&change.content)?;
    let tree = TreeUpdateBuilder::new()
        .upsert(change.path.as_str(), blob, mode)
        .create_updated(repo, &tree)?;
    let time = Time::new(change.at.as_second(), 0);
    let author = Signature::new(&remote.author.name, &remote.author.email, &time)?;
    let tree = repo.find_tree(tree)?;
    repo.commit(None, &author, &author, &change.message, &tree, &[&base])
        .context("Failed to make the commit")
}

/// A name that is the same whenever the same change is tried again, so that a second try makes no second branch.
fn side_branch(change: &Change, commit: Oid) -> String {
    let path = change
        .path
        .trim_start_matches("desired/")
        .trim_end_matches(".json");
    let app: String = path
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let content = Oid::hash_object(git2::ObjectType::Blob, &change.content).unwrap_or(commit);
    format!(
        "amid/{app}-{:.7}-{:.7}",
        change.base.to_string(),
        content.to_string()
    )
}

/// Writes the change into a repository on this machine, by git's own lock on the branch.
fn write_local(
    target: &Repository,
    remote: &Remote,
    change: &Change,
    side_branch: &str,
) -> Result<Pushed> {
    let branch = format!("refs/heads/{}", remote.branch);
    let now = || target.refname_to_id(&branch).ok();
    if now() != Some(change.base) {
        return Ok(Pushed::Moved(now()));
    }
    let commit = build(target, remote, change)?;
    if let Some(reason) = why_not_local(target, &branch) {
        let name = format!("refs/heads/{side_branch}");
        let there = target.refname_to_id(&name).is_ok()
            || target.reference(&name, commit, false, "amid").is_ok();
        return Ok(Pushed::Refused {
            reason,
            branch: there.then(|| side_branch.to_owned()),
        });
    }
    match target.reference_matching(&branch, commit, true, change.base, "amid") {
        Ok(_) => Ok(Pushed::Done(commit)),
        // Moved, or someone holds the lock at this moment and is about to move it.
        Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Locked) => {
            Ok(Pushed::Moved(now()))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a push by git would trip over and a direct write would silently pass by.
fn why_not_local(target: &Repository, branch: &str) -> Option<String> {
    let checked_out = !target.is_bare()
        && target.find_reference("HEAD").is_ok_and(|head| {
            head.symbolic_target()
                .is_ok_and(|name| name == Some(branch))
        });
    if checked_out {
        return Some("The repository has the branch checked out".to_owned());
    }
    let configured = target
        .config()
        .and_then(|mut config| config.snapshot()?.get_path("core.hooksPath"));
    let hooks = target
        .commondir()
        .join(configured.unwrap_or_else(|_| "hooks".into()));
    let runs = |name: &&str| {
        let file = fs::metadata(hooks.join(name));
        file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let hook = [
        "pre-receive",
        "update",
        "proc-receive",
        "reference-transaction",
    ]
    .into_iter()
    .find(runs)?;
    Some(format!(
        "The repository has a `{hook}` hook, which amid neither runs nor passes by"
    ))
}

/// A push to a server.
pub(super) struct Server<'a> {
    pub(super) mirror: &'a Repository,
    pub(super) remote: &'a Remote,
    pub(super) address: &'a Address,
    pub(super) stop: &'a AtomicBool,
}

/// What the server said to one push.
pub(super) enum Answer {
    Taken,
    /// The reference stood elsewhere than expected.
    Elsewhere(Option<Oid>),
    Refused(String),
}

impl Server<'_> {
    fn push(&self, base: Oid, commit: Oid, side_branch: &str) -> Result<Pushed> {
        let branch = format!("refs/heads/{}", self.remote.branch);
        let reason = match self.send(commit, &branch, Some(base)) {
            Ok(Answer::Taken) => return Ok(Pushed::Done(commit)),
            Ok(Answer::Elsewhere(head)) => return Ok(Pushed::Moved(head)),
            Ok(Answer::Refused(reason)) => reason,
            // The answer may be all that was lost.
            Err(error) => match self.stands_at(&branch)? {
                head if head == Some(commit) => return Ok(Pushed::Done(commit)),
                _ => return Err(error),
            },
        };
        // A refusal because someone was quicker between our look and our push is not the remote's policy.
        let head = self.stands_at(&branch)?;
        if head != Some(base) {
            return Ok(Pushed::Moved(head));
        }
        let name = format!("refs/heads/{side_branch}");
        let there = match self.send(commit, &name, None) {
            Ok(Answer::Taken | Answer::Elsewhere(Some(_))) => true,
            Ok(_) => false,
            Err(error) => {
                tracing::warn!(%error, "the refused commit could not be pushed as a branch either");
                false
            }
        };
        Ok(Pushed::Refused {
            reason,
            branch: there.then(|| side_branch.to_owned()),
        })
    }

    /// Pushes `commit` to `reference` if that stands at `expected` (`None`: does not exist).
    pub(super) fn send(
        &self,
        commit: Oid,
        reference: &str,
        expected: Option<Oid>,
    ) -> Result<Answer> {
        self.send_as(&format!("{commit}:{reference}"), reference, expected)
    }

    /// As [`Server::send`], with the refspec in git's own words: `+` in front of it replaces what is no ancestor.
    pub(super) fn send_as(
        &self,
        refspec: &str,
        reference: &str,
        expected: Option<Oid>,
    ) -> Result<Answer> {
        let elsewhere = Cell::new(None);
        let refused = RefCell::new(None);
        let mut callbacks = callbacks(self.remote, self.address);
        callbacks.sideband_progress(|_| !self.stop.load(Ordering::Acquire));
        callbacks.push_negotiation(|updates| {
            // What the server has now. libgit2 would also fast-forward from an older commit, and so bring back what
            // someone took away on purpose.
            let now = updates
                .first()
                .map(|update| update.src())
                .filter(|id| !id.is_zero());
            if now == expected && !self.stop.load(Ordering::Acquire) {
                return Ok(());
            }
            elsewhere.set(Some(now));
            Err(git2::Error::from_str("the branch moved"))
        });
        callbacks.push_update_reference(|_, status| {
            let said = status.map(|status| status.chars().take(500).collect::<String>());
            refused.replace(said);
            Ok(())
        });
        let mut options = PushOptions::new();
        options
            .remote_callbacks(callbacks)
            .proxy_options(proxy())
            .follow_redirects(RemoteRedirect::None);
        options.packbuilder_parallelism(1);
        let mut remote = self.mirror.remote_anonymous(&self.remote.url)?;
        let sent = remote.push(&[refspec], Some(&mut options));
        drop(options);
        if let Some(now) = elsewhere.get() {
            return Ok(Answer::Elsewhere(now));
        }
        if let Some(reason) = refused.into_inner() {
            return Ok(Answer::Refused(without_user(&reason)));
        }
        match sent {
            Ok(()) => Ok(Answer::Taken),
            // libgit2 looks before it asks us: the server has a commit that we do not know.
            Err(error) if error.code() == ErrorCode::NotFastForward => {
                Ok(Answer::Elsewhere(self.stands_at(reference)?))
            }
            Err(error) => match explain(self.remote, error) {
                refusal @ super::FetchError::Auth { .. } => {
                    Ok(Answer::Refused(refusal.to_string()))
                }
                other => Err(other.into()),
            },
        }
    }

    pub(super) fn stands_at(&self, reference: &str) -> Result<Option<Oid>> {
        let mut remote = self.mirror.remote_anonymous(&self.remote.url)?;
        let callbacks = callbacks(self.remote, self.address);
        let connection = remote
            .connect_auth(Direction::Fetch, Some(callbacks), Some(proxy()))
            .map_err(|error| explain(self.remote, error))?;
        let heads = connection.list()?;
        Ok(heads
            .iter()
            .find(|head| head.name() == reference)
            .map(|head| head.oid()))
    }
}
