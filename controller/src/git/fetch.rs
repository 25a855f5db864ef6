//! Bringing the branch's new commits into the mirror.
//!
//! A fetch first learns the branch's head and copies nothing when it has that commit already. Objects arrive as one
//! pack that becomes visible only when it is complete; after it the mirror's own reference moves, so a fetch that is
//! cut, refused, too slow or too large changes nothing. A repository on this machine is opened directly: looking at an
//! unchanged one is a file read, and only what the branch needs is copied, not what other branches hold.

use std::cell::Cell;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, anyhow};
use git2::{AutotagOption, ErrorCode, FetchOptions, Oid, RemoteRedirect, Repository};

use super::address::Address;
use super::error::{FetchError, explain};
use super::login::{callbacks, proxy};
use super::{Mirror, Remote, health, upkeep};

impl Mirror {
    /// Looks at the remote branch, brings what is new and returns its head. Whatever goes wrong, the head of the last
    /// good fetch stays as it was and readable.
    pub fn fetch(&self) -> Result<Oid, FetchError> {
        let _alone = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        if self.health.load(Ordering::Acquire) == health::SUSPECT {
            self.begin_anew()?;
        }
        let head = self.bring(&self.remote.branch)?;
        self.follow(head)
    }

    /// Brings the commits of `branch` and returns its head. Moves nothing.
    pub(super) fn bring(&self, branch: &str) -> Result<Oid, FetchError> {
        let mut remote = self.remote.clone();
        branch.clone_into(&mut remote.branch);
        let job = Job {
            mirror: self.dir.clone(),
            remote,
            known: self.head(),
        };
        let address = self.address.clone();
        let bring = move |stop: &AtomicBool| match address {
            Address::Local(path) => job.copy(&path, stop),
            _ => job.download(&address, stop),
        };
        match self.in_time(bring)? {
            Some(brought) => brought,
            None => Err(FetchError::Timeout {
                limits: self.remote.limits,
            }),
        }
    }

    /// Makes `head` the mirror's head, if it can be read.
    fn follow(&self, head: Oid) -> Result<Oid, FetchError> {
        let mut inner = self.lock();
        if let Err(error) = upkeep::check(&inner.repo, head) {
            let error = anyhow::Error::from(error);
            self.suspect();
            return Err(error
                .context("The mirror cannot be read and is copied anew at the next fetch; if that does not help, the repository itself is damaged")
                .into());
        }
        if inner.repo.refname_to_id(&self.head_ref).ok() != Some(head) {
            let moved = inner
                .repo
                .reference(&self.head_ref, head, true, "fetch")
                .map(drop);
            moved.context("Failed to note the new head in the mirror")?;
            match upkeep::join_packs(&inner.repo) {
                Ok(true) => {
                    inner.repo =
                        Repository::open_bare(&self.dir).context("Failed to reopen the mirror")?
                }
                Ok(false) => (),
                Err(error) => tracing::warn!(%error, "the mirror's packs could not be joined"),
            }
        }
        Ok(head)
    }

    /// Sets a mirror that failed to be read aside.
    fn begin_anew(&self) -> Result<()> {
        let mut inner = self.lock();
        tracing::warn!(mirror = %self.dir.display(), "the mirror failed to be read: copying it anew");
        inner.repo = upkeep::replace(&self.dir)?;
        (inner.manifests, inner.changes) = (None, None);
        inner.window = super::window::Window::default();
        self.health.store(health::REPLACED, Ordering::Release);
        Ok(())
    }
}

/// One fetch, with everything that its thread needs.
struct Job {
    mirror: PathBuf,
    remote: Remote,
    known: Option<Oid>,
}

impl Job {
    /// From a repository on this machine.
    fn copy(&self, path: &Path, stop: &AtomicBool) -> Result<Oid, FetchError> {
        let source = open_local(path).map_err(|e| explain(&self.remote, e))?;
        let branch = format!("refs/heads/{}", self.remote.branch);
        let head = match source.refname_to_id(&branch) {
            Ok(head) => head,
            Err(error) if error.code() == ErrorCode::NotFound => {
                let names = source
                    .references_glob("refs/heads/*")
                    .context("Failed to list the branches")?;
                let names = names
                    .flatten()
                    .filter_map(|branch| branch.name().ok().map(str::to_owned));
                return Err(self.missing(names.collect()));
            }
            Err(error) => return Err(explain(&self.remote, error)),
        };
        let mirror = Repository::open_bare(&self.mirror).context("Failed to open the mirror")?;
        let odb = mirror.odb().context("Failed to open the mirror")?;
        if odb.exists(head) {
            return Ok(head);
        }
        let limit = self.remote.limits.bytes;
        let mut bytes = 0;
        let copied = (|| -> Result<(), git2::Error> {
            let mut walk = source.revwalk()?;
            walk.push(head)?;
            if let Some(known) = self
                .known
                .filter(|&known| source.find_commit(known).is_ok())
            {
                walk.hide(known)?;
            }
            let mut pack = source.packbuilder()?;
            pack.set_threads(1);
            pack.insert_walk(&mut walk)?;
            let mut writer = odb.packwriter()?;
            let mut written = Ok(());
            let sent = pack.foreach(|part| {
                bytes += part.len() as u64;
                if bytes > limit || stop.load(Ordering::Acquire) {
                    return false;
                }
                written = writer.write_all(part);
                written.is_ok()
            });
            written.map_err(|e| git2::Error::from_str(&e.to_string()))?;
            sent?;
            writer.commit()?;
            Ok(())
        })();
        match copied {
            Ok(()) => Ok(head),
            Err(_) if bytes > limit => Err(FetchError::TooLarge { limit }),
            Err(error) => Err(FetchError::Other(
                anyhow!(error).context("Failed to copy the new commits"),
            )),
        }
    }

    /// From a server.
    fn download(&self, address: &Address, stop: &AtomicBool) -> Result<Oid, FetchError> {
        let mirror = Repository::open_bare(&self.mirror).context("Failed to open the mirror")?;
        let failed = |error| explain(&self.remote, error);
        let mut remote = mirror.remote_anonymous(&self.remote.url).map_err(failed)?;
        let limit = self.remote.limits.bytes;
        let too_large = Cell::new(false);
        let mut callbacks = callbacks(&self.remote, address);
        callbacks.sideband_progress(|_| !stop.load(Ordering::Acquire));
        callbacks.transfer_progress(|progress| {
            too_large.set(progress.received_bytes() as u64 > limit);
            !too_large.get() && !stop.load(Ordering::Acquire)
        });
        let mut options = FetchOptions::new();
        options.remote_callbacks(callbacks).proxy_options(proxy());
        options
            .download_tags(AutotagOption::None)
            .follow_redirects(RemoteRedirect::None);
        let branch = format!("refs/heads/{}", self.remote.branch);
        let downloaded = remote.download(&[&branch], Some(&mut options));
        drop(options);
        if too_large.get() {
            return Err(FetchError::TooLarge { limit });
        }
        downloaded.map_err(failed)?;
        let heads = remote.list().map_err(failed)?;
        if let Some(head) = heads.iter().find(|head| head.name() == branch) {
            return Ok(head.oid());
        }
        let names = heads
            .iter()
            .map(|head| head.name().to_owned())
            .filter(|name| name.starts_with("refs/heads/"));
        Err(self.missing(names.collect()))
    }

    fn missing(&self, names: Vec<String>) -> FetchError {
        let branch = self.remote.branch.clone();
        if names.is_empty() {
            return FetchError::Empty { branch };
        }
        let short = |name: &String| name.trim_start_matches("refs/heads/").to_owned();
        FetchError::BranchMissing {
            branch,
            others: names.iter().take(5).map(short).collect(),
        }
    }
}

/// Opens the repository at `path`, not one of the folders above it.
pub(super) fn open_local(path: &Path) -> Result<Repository, git2::Error> {
    Repository::open(path)
}
