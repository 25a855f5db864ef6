//! Bringing the branch's new commits into the mirror.
//!
//! A fetch first learns the branch's head and copies nothing when it has that commit already. Objects arrive as one
//! pack that becomes visible only when it is complete; after it the mirror's own reference moves, so a fetch that is
//! cut, refused, too slow or too large changes nothing. A repository on this machine is opened directly: looking at an
//! unchanged one is a file read, and only what the branch needs is copied, not what other branches hold.

use std::cell::Cell;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, anyhow, bail};
use git2::{
    AutotagOption, Cred, CredentialType, ErrorClass, ErrorCode, FetchOptions, Oid, ProxyOptions,
    RemoteCallbacks, RemoteRedirect, Repository,
};

use super::address::{Address, without_user};
use super::{Credentials, Limits, Mirror, Remote, health, upkeep};

/// Bytes of a token file.
const MAX_TOKEN: u64 = 4096;

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

impl Mirror {
    /// Looks at the remote branch, brings what is new and returns its head. Whatever goes wrong, the head of the last
    /// good fetch stays as it was and readable.
    pub fn fetch(&self) -> Result<Oid, FetchError> {
        let _alone = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        if self.health.load(Ordering::Acquire) == health::SUSPECT {
            self.begin_anew()?;
        }
        let job = Job {
            mirror: self.dir.clone(),
            remote: self.remote.clone(),
            known: self.head(),
        };
        let address = self.address.clone();
        let bring = move |stop: &AtomicBool| match address {
            Address::Local(path) => job.copy(&path, stop),
            _ => job.download(&address, stop),
        };
        match self.in_time(bring)? {
            Some(brought) => self.follow(brought?),
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
            self.health.store(health::SUSPECT, Ordering::Release);
            return Err(error
                .context("The mirror cannot be read and is copied anew at the next fetch")
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

/// The environment's proxy, as git takes it.
pub(super) fn proxy() -> ProxyOptions<'static> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

/// Callbacks that answer the server's question who we are, once. Host keys and certificates are checked by libgit2
/// itself, against `~/.ssh/known_hosts` and the system's roots, as long as nobody sets a callback for it.
pub(super) fn callbacks<'a>(remote: &'a Remote, address: &'a Address) -> RemoteCallbacks<'a> {
    let mut callbacks = RemoteCallbacks::new();
    let mut asked = 0;
    callbacks.credentials(move |url, user, allowed| {
        asked += 1;
        if let Address::Http { host, .. } = address
            && url::Url::parse(url)
                .ok()
                .is_none_or(|asking| asking.host_str() != Some(host))
        {
            return Err(auth(
                "the server sends us to another host, set `repository.url` to its new address",
            ));
        }
        // Once for the user's name, once for the key; being asked again means that the answer was wrong.
        if asked > 2 {
            return Err(auth("the server did not accept the credentials"));
        }
        credentials(remote, address, user, allowed).map_err(|error| auth(&format!("{error:#}")))
    });
    callbacks
}

fn auth(why: &str) -> git2::Error {
    git2::Error::new(ErrorCode::Auth, ErrorClass::Callback, why)
}

fn credentials(
    remote: &Remote,
    address: &Address,
    user: Option<&str>,
    allowed: CredentialType,
) -> Result<Cred> {
    match (&remote.credentials, address) {
        (Credentials::TokenFile(path), Address::Http { host, private }) => {
            if !private {
                bail!("a token is not sent to `{host}` without TLS, use https");
            }
            Ok(Cred::userpass_plaintext("x-access-token", &token(path)?)?)
        }
        (Credentials::SshKeyFile(key), Address::Ssh { user: named }) => {
            let user = user.or(named.as_deref()).unwrap_or("git");
            if allowed.contains(CredentialType::USERNAME) {
                return Ok(Cred::username(user)?);
            }
            Ok(Cred::ssh_key(user, None, key, None)?)
        }
        (Credentials::None, Address::Http { .. }) => {
            bail!("the server asks for credentials, set `repository.token_file`")
        }
        (_, Address::Http { .. }) => {
            bail!("an ssh key is of no use for https, set `repository.token_file`")
        }
        _ => bail!("the server asks for a key, set `repository.ssh_key_file`"),
    }
}

/// The token in a file. No message holds any part of it.
fn token(path: &Path) -> Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)
        .with_context(|| format!("Failed to open the token file `{}`", path.display()))?;
    let read = file.take(MAX_TOKEN + 1).read_to_string(&mut text);
    let token = text.trim();
    if read.is_err()
        || token.is_empty()
        || text.len() as u64 > MAX_TOKEN
        || token.contains(char::is_control)
    {
        bail!(
            "The file `{}` does not hold a token in one line",
            path.display()
        );
    }
    Ok(token.to_owned())
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
