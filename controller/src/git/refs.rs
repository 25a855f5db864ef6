//! Every branch and tag of the watched repository, for the cleaner: an image that any of them names is needed.
//!
//! The daemon follows one branch and copies no other ([`Mirror::fetch`]); this brings the rest, and only when somebody
//! asks for it. The list is the remote's at this moment and complete, or the call fails. What was brought is noted under
//! references of our own, so that the next call copies only what is new.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, anyhow};
use git2::{AutotagOption, FetchOptions, Oid, RemoteRedirect, Repository};
use jiff::Timestamp;

use super::address::Address;
use super::error::{FetchError, explain};
use super::fetch::open_local;
use super::login::{callbacks, proxy};
use super::{Mirror, Remote};

/// Branches and tags together. With more the list counts as one that cannot be read.
const MAX_REFS: usize = 20_000;
/// Where branches and tags are on a remote.
const PLACES: [&str; 2] = ["refs/heads/", "refs/tags/"];

/// A branch or a tag, and the commit that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// Without `refs/heads/` or `refs/tags/`.
    pub name: String,
    /// Whether it is a tag.
    pub is_tag: bool,
    /// The commit, also of an annotated tag.
    pub commit: Oid,
    /// When that was committed.
    pub time: Timestamp,
}

impl Mirror {
    /// Brings every branch and tag and answers the list, branches first. Tags of something else than commits are left
    /// out: no manifest can be in them. The head that is followed stays as it was.
    pub fn fetch_refs(&self) -> Result<Vec<Ref>, FetchError> {
        let _alone = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let job = Job {
            mirror: self.dir.clone(),
            remote: self.remote.clone(),
            noted: self.refs_dir(),
        };
        let address = self.address.clone();
        let bring = move |stop: &AtomicBool| match address {
            Address::Local(path) => job.copy(&path, stop),
            _ => job.download(&address, stop),
        };
        let refs = match self.in_time(bring)? {
            Some(brought) => brought?,
            None => {
                return Err(FetchError::Timeout {
                    limits: self.remote.limits,
                });
            }
        };
        let mut inner = self.lock();
        // Objects that came since the repository was opened are in packs that it may not know yet.
        inner.repo = Repository::open_bare(&self.dir).context("Failed to reopen the mirror")?;
        Ok(refs)
    }

    /// Where what was brought is noted: another address is another repository.
    fn refs_dir(&self) -> String {
        let origin = self.head_ref.split('/').nth(2).unwrap_or_default();
        format!("refs/amid-refs/{origin}/")
    }
}

/// One fetch, with everything that its thread needs.
struct Job {
    mirror: std::path::PathBuf,
    remote: Remote,
    noted: String,
}

impl Job {
    /// From a repository on this machine.
    fn copy(&self, path: &Path, stop: &AtomicBool) -> Result<Vec<Ref>, FetchError> {
        let source = open_local(path).map_err(|e| explain(&self.remote, e))?;
        let mut found = BTreeMap::new();
        for place in PLACES {
            let listed = source
                .references_glob(&format!("{place}*"))
                .context("Failed to list branches and tags")?;
            for reference in listed {
                let reference = reference.context("Failed to list branches and tags")?;
                let name = reference
                    .name()
                    .context("A branch or tag has a name that is not UTF-8")?
                    .to_owned();
                if let Ok(commit) = reference.peel_to_commit() {
                    found.insert(name, commit.id());
                }
                few_enough(found.len())?;
            }
        }
        let mirror = Repository::open_bare(&self.mirror).context("Failed to open the mirror")?;
        let odb = mirror.odb().context("Failed to open the mirror")?;
        let missing: Vec<Oid> = found
            .values()
            .copied()
            .filter(|id| !odb.exists(*id))
            .collect();
        if !missing.is_empty() {
            let limit = self.remote.limits.bytes;
            let mut bytes = 0;
            let copied = (|| -> Result<(), git2::Error> {
                let mut walk = source.revwalk()?;
                for id in missing {
                    walk.push(id)?;
                }
                for known in mirror.references_glob("refs/amid*")? {
                    if let Some(known) = known?.target()
                        && source.find_commit(known).is_ok()
                    {
                        walk.hide(known)?;
                    }
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
                Ok(()) => {}
                Err(_) if bytes > limit => return Err(FetchError::TooLarge { limit }),
                Err(error) => {
                    return Err(FetchError::Other(
                        anyhow!(error).context("Failed to copy branches and tags"),
                    ));
                }
            }
        }
        self.note(&found, stop)
    }

    /// From a server.
    fn download(&self, address: &Address, stop: &AtomicBool) -> Result<Vec<Ref>, FetchError> {
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
        let wanted = PLACES.map(|place| format!("{place}*:{}{}*", self.noted, short(place)));
        let downloaded = remote.download(&wanted, Some(&mut options));
        drop(options);
        if too_large.get() {
            return Err(FetchError::TooLarge { limit });
        }
        downloaded.map_err(failed)?;
        let heads = remote.list().map_err(failed)?;
        let mut found = BTreeMap::new();
        for head in heads {
            // `name^{}` is what an annotated tag names; we look that up ourselves.
            let is_listed = PLACES.iter().any(|place| head.name().starts_with(place));
            if !is_listed || head.name().ends_with("^{}") {
                continue;
            }
            let commit = mirror
                .find_object(head.oid(), None)
                .with_context(|| format!("`{}` was not brought", head.name()))?
                .peel_to_commit();
            if let Ok(commit) = commit {
                found.insert(head.name().to_owned(), commit.id());
            }
            few_enough(found.len())?;
        }
        self.note(&found, stop)
    }

    /// Notes what is in the mirror now and turns it into the answer.
    fn note(
        &self,
        found: &BTreeMap<String, Oid>,
        stop: &AtomicBool,
    ) -> Result<Vec<Ref>, FetchError> {
        let mirror = Repository::open_bare(&self.mirror).context("Failed to open the mirror")?;
        let noted = || -> Result<()> {
            for reference in mirror.references_glob(&format!("{}*", self.noted))? {
                let mut reference = reference?;
                let gone = reference
                    .name()
                    .ok()
                    .and_then(|name| name.strip_prefix(&self.noted))
                    .is_some_and(|name| !found.contains_key(&format!("refs/{name}")));
                if gone && !stop.load(Ordering::Acquire) {
                    reference.delete()?;
                }
            }
            for (name, id) in found {
                let name = format!("{}{}", self.noted, short(name));
                if mirror.refname_to_id(&name).ok() != Some(*id) && !stop.load(Ordering::Acquire) {
                    mirror.reference(&name, *id, true, "fetch")?;
                }
            }
            Ok(())
        };
        // It only makes the next fetch cheaper.
        if let Err(error) = noted() {
            tracing::warn!(%error, "branches and tags could not be noted in the mirror");
        }
        let mut refs = Vec::with_capacity(found.len());
        for (name, id) in found {
            let commit = mirror
                .find_commit(*id)
                .with_context(|| format!("Failed to read the commit that `{name}` names"))?;
            let time =
                Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH);
            let short = PLACES.iter().find_map(|place| name.strip_prefix(place));
            refs.push(Ref {
                name: short.unwrap_or(name).to_owned(),
                is_tag: name.starts_with(PLACES[1]),
                commit: *id,
                time,
            });
        }
        refs.sort_by(|a, b| (a.is_tag, &a.name).cmp(&(b.is_tag, &b.name)));
        Ok(refs)
    }
}

/// `heads/` of `refs/heads/`.
fn short(name: &str) -> &str {
    name.strip_prefix("refs/").unwrap_or(name)
}

fn few_enough(count: usize) -> Result<()> {
    anyhow::ensure!(
        count <= MAX_REFS,
        "The repository has more than {MAX_REFS} branches and tags: delete those that nobody needs"
    );
    Ok(())
}
