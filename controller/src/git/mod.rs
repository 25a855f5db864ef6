//! The watched repository, seen through a mirror of our own.
//!
//! A [`Mirror`] is a bare repository in the state directory that nobody else writes. Everything is read from its object
//! database: there is no work tree to poison, no filter or hook to run, and no half-finished checkout after a crash. A
//! fetch that fails or is killed leaves the last good head as it was; a mirror that cannot be read is set aside and
//! copied anew, because git is where the truth lives and this is only a copy. Whether a new head may be followed is
//! not decided here.

mod address;
mod branch;
mod changes;
mod error;
mod export;
mod fetch;
mod login;
mod push;
mod read;
mod refs;
#[cfg(test)]
mod tests;
mod upkeep;
mod window;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use git2::Repository;
use sha2::{Digest as _, Sha256};

pub use self::address::{local_path, without_user};
pub use self::branch::Difference;
pub use self::changes::CommitInfo;
pub use self::error::FetchError;
pub use self::export::Exported;
pub use self::push::{Change, Pushed};
pub use self::read::{ManifestFile, Manifests, Refused};
pub use self::refs::Ref;
pub use self::window::{Naming, Version};
pub use git2::Oid;

use self::address::Address;

/// A fetch or push that the remote never answers holds a thread until the kernel gives its connection up; with this
/// many of them no further one is started.
const MAX_STUCK: usize = 8;

/// Where the desired state comes from and how to talk to it.
#[derive(Clone, Debug)]
pub struct Remote {
    /// `https://…`, `ssh://…`, `git@host:path`, `file:///…` or a path. Never with a password in it.
    pub url: String,
    /// The branch to follow, without `refs/heads/`.
    pub branch: String,
    /// What to show the server.
    pub credentials: Credentials,
    /// In whose name commits are written.
    pub author: Author,
    /// What one exchange with the remote may cost.
    pub limits: Limits,
}

/// How to prove to a remote who we are. Files are read at each use, so that they can be rotated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing: a local or a public repository.
    #[default]
    None,
    /// A file that holds an access token, for https.
    TokenFile(PathBuf),
    /// A file that holds a private key without a passphrase, for ssh.
    SshKeyFile(PathBuf),
}

/// A name and an e-mail address, written `name <address>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Shown by `git log`.
    pub name: String,
    /// Need not exist.
    pub email: String,
}

impl FromStr for Author {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, email) = text
            .trim()
            .strip_suffix('>')
            .and_then(|rest| rest.split_once('<'))
            .with_context(|| format!("An author is written `name <address>`: `{text}`"))?;
        let (name, email) = (name.trim().to_owned(), email.trim().to_owned());
        ensure!(
            git2::Signature::new(&name, &email, &git2::Time::new(0, 0)).is_ok(),
            "An author needs a name and an address, `name <address>`: `{text}`"
        );
        Ok(Self { name, email })
    }
}

/// What one exchange with the remote may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From connecting to the last byte.
    pub time: Duration,
    /// Received in one fetch.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            bytes: 1 << 30,
        }
    }
}

/// Our copy of the watched branch. All methods block; share it in an `Arc` and call them from blocking threads.
///
/// Reads go on while a fetch or a push runs, and never wait for the network.
pub struct Mirror {
    remote: Remote,
    address: Address,
    dir: PathBuf,
    head_ref: String,
    inner: Mutex<Inner>,
    /// One fetch or push at a time.
    exchange: Mutex<()>,
    stuck: Arc<AtomicUsize>,
    health: AtomicU8,
}

/// What needs one reader at a time: a git2 repository cannot be shared between threads.
struct Inner {
    repo: Repository,
    manifests: Option<(Oid, Arc<Manifests>)>,
    changes: Option<changes::Changes>,
    window: window::Window,
}

/// Values of `Mirror::health`. A mirror is replaced at most once in a process's life: if the damage is in the source,
/// copying it again and again would not help.
mod health {
    pub const GOOD: u8 = 0;
    pub const SUSPECT: u8 = 1;
    pub const REPLACED: u8 = 2;
}

impl Mirror {
    /// Opens `repo.git` in `state_dir`, creating it where needed. What a killed fetch left is swept; a mirror that
    /// cannot be read is renamed to `repo.git.damaged` and begun anew. Does not talk to the remote.
    pub fn open(state_dir: &Path, remote: Remote) -> Result<Self> {
        let address = Address::parse(&remote.url)?;
        ensure!(
            git2::Reference::is_valid_name(&format!("refs/heads/{}", remote.branch)),
            "`{}` cannot be the name of a git branch",
            remote.branch
        );
        // Another address is another repository: its head must not be taken for this one's.
        let origin = hex::encode(Sha256::digest(remote.url.as_bytes()));
        let head_ref = format!("refs/amid/{}/{}", &origin[..12], remote.branch);
        let dir = state_dir.join("repo.git");
        let repo = upkeep::open_or_replace(&dir, &head_ref)
            .with_context(|| format!("Failed to open the mirror `{}`", dir.display()))?;
        Ok(Self {
            remote,
            address,
            dir,
            head_ref,
            inner: Mutex::new(Inner {
                repo,
                manifests: None,
                changes: None,
                window: window::Window::default(),
            }),
            exchange: Mutex::new(()),
            stuck: Arc::default(),
            health: AtomicU8::new(health::GOOD),
        })
    }

    /// The head that the last successful fetch saw, also one before a restart.
    pub fn head(&self) -> Option<Oid> {
        self.lock().repo.refname_to_id(&self.head_ref).ok()
    }

    /// Whether `new` can be reached from `old` by adding commits only. True when they are the same.
    pub fn is_ancestor(&self, old: Oid, new: Oid) -> Result<bool> {
        let inner = self.lock();
        if old == new {
            return Ok(true);
        }
        // A commit that the mirror never had, or lost with the state directory, is nobody's ancestor.
        if inner.repo.find_commit(old).is_err() {
            return Ok(false);
        }
        inner
            .repo
            .graph_descendant_of(new, old)
            .with_context(|| format!("Failed to compare the commits {old} and {new}"))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a result of reading `commits` on, and remembers when it smells of damage: the next fetch then begins anew.
    fn watched<T>(&self, commits: &[Oid], result: Result<T>) -> Result<T> {
        let unreadable = |e: &git2::Error| {
            use git2::ErrorClass::{Object, Odb, Zlib};
            matches!(e.class(), Odb | Zlib | Object)
        };
        // That a commit is not here at all is no damage, unless it is the one that we followed.
        let ought_to_be_here = |repo: &Repository| {
            let head = repo.refname_to_id(&self.head_ref).ok();
            commits
                .iter()
                .all(|&id| Some(id) == head || repo.odb().is_ok_and(|odb| odb.exists(id)))
        };
        if let Err(error) = &result
            && error
                .chain()
                .filter_map(|e| e.downcast_ref())
                .any(unreadable)
            && Repository::open_bare(&self.dir)
                .as_ref()
                .map_or(true, ought_to_be_here)
        {
            self.suspect();
        }
        result
    }

    fn suspect(&self) {
        let (from, to) = (health::GOOD, health::SUSPECT);
        let _ = self
            .health
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Runs `work` on a thread of its own and waits for it for at most the time limit (`None` when it was not enough).
    ///
    /// libgit2 cannot be interrupted while it waits for a silent peer, and its own time-outs are process-wide settings
    /// behind an unsafe call. So the wait is given up instead: `work` is told by the flag and must not change anything
    /// that matters after it is set.
    fn in_time<T, F>(&self, work: F) -> Result<Option<T>>
    where
        T: Send + 'static,
        F: FnOnce(&AtomicBool) -> T + Send + 'static,
    {
        if self.stuck.load(Ordering::Acquire) >= MAX_STUCK {
            bail!(
                "{MAX_STUCK} earlier exchanges with the repository still hang; restart amid if this stays"
            );
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = mpsc::sync_channel(1);
        let running = Running::count(&self.stuck);
        let flag = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("git".to_owned())
            .spawn(move || {
                let _running = running;
                let _ = sender.send(work(&flag));
            })
            .context("Failed to start a thread for git")?;
        match receiver.recv_timeout(self.remote.limits.time) {
            Ok(done) => Ok(Some(done)),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                stop.store(true, Ordering::Release);
                Ok(None)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                bail!("The thread that talks to the repository died")
            }
        }
    }
}

/// Counts a thread for as long as it lives.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn count(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(counter))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
