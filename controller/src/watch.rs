//! Noticing at once that a repository on this machine was pushed to.
//!
//! The files that hold its references are watched. A wake says only "look now": what changed is not worked out, a
//! burst of events becomes one wake after its last, and whenever events may have been lost there is a wake too. A
//! watch is an accelerator: polling must go on beside it, because file systems exist on which nothing is ever heard.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::timeout;

pub use crate::git::local_path;

/// A push writes several files; this much silence ends it.
const QUIET: Duration = Duration::from_millis(20);
/// Quiet spells that are waited for before waking anyway: events that never cease must not put a wake off for ever.
const PATIENCE: usize = 10;
/// How often a repository that went away is looked for.
const RETRY: Duration = Duration::from_secs(1);

/// Watches one repository's references until it is dropped.
pub struct Watch {
    folder: PathBuf,
    /// `None` while the repository is away.
    watcher: Option<RecommendedWatcher>,
    signal: Arc<Signal>,
    /// An event was heard and its wake not yet given: survives a [`Watch::changed`] that is dropped halfway.
    due: bool,
}

/// What the watcher's thread tells us.
#[derive(Default)]
struct Signal {
    event: Notify,
    /// A watched folder itself went away, and its watch with it.
    lost: AtomicBool,
}

impl Watch {
    /// Begins to watch the repository at `local_repo`, bare or not.
    pub fn start(local_repo: &Path) -> Result<Self> {
        let repo = git2::Repository::open(local_repo)
            .with_context(|| format!("Failed to open the repository `{}`", local_repo.display()))?;
        let folder = repo
            .commondir()
            .canonicalize()
            .context("Failed to find the repository's folder")?;
        let signal = Arc::new(Signal::default());
        let watcher = arm(&folder, &signal)
            .with_context(|| format!("Failed to watch `{}`", folder.display()))?;
        Ok(Self {
            folder,
            watcher: Some(watcher),
            signal,
            due: false,
        })
    }

    /// Completes when references may have changed since the last completion. Nothing is lost when it is dropped before.
    pub async fn changed(&mut self) {
        if !self.due {
            let signal = Arc::clone(&self.signal);
            tokio::select! {
                () = signal.event.notified() => (),
                () = self.rearmed(), if signal.lost.load(Ordering::Acquire) => (),
            }
            self.due = true;
        }
        for _ in 0..PATIENCE {
            if timeout(QUIET, self.signal.event.notified()).await.is_err() {
                break;
            }
        }
        self.due = false;
    }

    /// Watches again as soon as the repository is back. What happened in between was not heard, hence the wake after.
    async fn rearmed(&mut self) {
        // A new watcher, because the old one may still have the end of the old folder in its queue and would take the
        // new folder for it.
        self.watcher = None;
        while self.watcher.is_none() {
            self.signal.lost.store(false, Ordering::Release);
            self.watcher = arm(&self.folder, &self.signal).ok();
            if self.watcher.is_none() {
                self.signal.lost.store(true, Ordering::Release);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Begins to listen. `HEAD` and `packed-refs` lie in the folder itself, next to much that does not matter here.
fn arm(folder: &Path, signal: &Arc<Signal>) -> notify::Result<RecommendedWatcher> {
    let listener = Listener {
        folder: folder.to_owned(),
        signal: Arc::clone(signal),
    };
    let mut watcher = notify::recommended_watcher(move |event| listener.hear(event))?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    watcher.watch(&folder.join("refs"), RecursiveMode::Recursive)?;
    Ok(watcher)
}

/// Lives on the watcher's thread.
struct Listener {
    folder: PathBuf,
    signal: Arc<Signal>,
}

impl Listener {
    fn hear(&self, event: notify::Result<Event>) {
        if let Ok(event) = &event {
            if self.ends_the_watch(event) {
                self.signal.lost.store(true, Ordering::Release);
            } else if !self.matters(event) {
                return;
            }
        }
        // An error may mean that events were lost: assume the worst.
        self.signal.event.notify_one();
    }

    fn matters(&self, event: &Event) -> bool {
        if event.need_rescan() {
            return true;
        }
        match event.kind {
            // Reading references, as a fetch does, must not look like a change to them.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => (),
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => return false,
            _ => (),
        }
        event.paths.iter().any(|path| {
            let is_lock = path
                .extension()
                .is_some_and(|extension| extension == "lock");
            let is_reference = path.starts_with(self.folder.join("refs"))
                || *path == self.folder.join("packed-refs")
                || *path == self.folder.join("HEAD");
            is_reference && !is_lock
        })
    }

    fn ends_the_watch(&self, event: &Event) -> bool {
        let gone = matches!(
            event.kind,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
        );
        gone && event
            .paths
            .iter()
            .any(|path| *path == self.folder || *path == self.folder.join("refs"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use git2::{Oid, Repository, Signature, Time};

    fn repository() -> (tempfile::TempDir, Repository) {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init_bare(dir.path().join("origin.git")).unwrap();
        (dir, repo)
    }

    fn push(repo: &Repository, branch: &str, seconds: i64) -> Oid {
        let author = Signature::new("Ann", "ann@example.com", &Time::new(seconds, 0)).unwrap();
        let tree = repo
            .find_tree(repo.treebuilder(None).unwrap().write().unwrap())
            .unwrap();
        let commit = repo
            .commit(None, &author, &author, "x", &tree, &[])
            .unwrap();
        repo.reference(branch, commit, true, "test").unwrap();
        commit
    }

    /// Waits for a wake, for a while that no healthy machine needs.
    async fn woken(watch: &mut Watch) {
        timeout(Duration::from_secs(20), watch.changed())
            .await
            .expect("no wake");
    }

    #[tokio::test]
    async fn every_way_to_move_a_reference_wakes() {
        let (dir, repo) = repository();
        let mut watch = Watch::start(&dir.path().join("origin.git")).unwrap();
        push(&repo, "refs/heads/main", 1);
        woken(&mut watch).await;
        push(&repo, "refs/heads/main", 2);
        woken(&mut watch).await;
        push(&repo, "refs/heads/team/feature", 3);
        woken(&mut watch).await;
        repo.refdb_compress().unwrap();
        woken(&mut watch).await;
        repo.set_head("refs/heads/team/feature").unwrap();
        woken(&mut watch).await;
        repo.find_reference("refs/heads/main")
            .unwrap()
            .delete()
            .unwrap();
        woken(&mut watch).await;
    }

    #[tokio::test]
    async fn a_wait_that_is_dropped_halfway_loses_no_wake() {
        let (dir, repo) = repository();
        let mut watch = Watch::start(&dir.path().join("origin.git")).unwrap();
        push(&repo, "refs/heads/main", 1);
        for _ in 0..5 {
            // Long enough to hear the event at some try, too short for the silence after it.
            let _ = timeout(QUIET / 4, watch.changed()).await;
        }
        woken(&mut watch).await;
    }

    #[test]
    fn reading_references_is_not_taken_for_a_change() {
        let (dir, repo) = repository();
        push(&repo, "refs/heads/main", 1);
        let folder = dir.path().join("origin.git").canonicalize().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut watcher =
            notify::recommended_watcher(move |event| drop(sender.send(event))).unwrap();
        watcher.watch(&folder, RecursiveMode::Recursive).unwrap();
        let reader = Repository::open(&folder).unwrap();
        reader.refname_to_id("refs/heads/main").unwrap();
        reader.blob(b"an object").unwrap();
        let lock = folder.join("refs/heads/other.lock");
        std::fs::write(&lock, "").unwrap();
        let end = folder.join("end");
        std::fs::write(&end, "").unwrap();
        let listener = Listener {
            folder,
            signal: Arc::default(),
        };
        let mut heard = Vec::new();
        loop {
            let event: Event = receiver
                .recv_timeout(Duration::from_secs(20))
                .unwrap()
                .unwrap();
            assert!(!listener.matters(&event), "{event:?}");
            if event.paths.contains(&end) {
                break;
            }
            heard.extend(event.paths);
        }
        assert!(heard.contains(&lock), "{heard:?}");
        assert!(
            heard.iter().any(|path| path.ends_with("refs/heads/main")),
            "reading made no event: {heard:?}"
        );
    }

    #[tokio::test]
    async fn a_repository_that_is_replaced_is_watched_again() {
        let (dir, repo) = repository();
        let path = dir.path().join("origin.git");
        let mut watch = Watch::start(&path).unwrap();
        drop(repo);
        std::fs::remove_dir_all(&path).unwrap();
        woken(&mut watch).await;
        let repo = Repository::init_bare(&path).unwrap();
        woken(&mut watch).await;
        push(&repo, "refs/heads/main", 1);
        woken(&mut watch).await;
    }

    #[tokio::test]
    async fn a_repository_that_goes_away_wakes_before_it_is_back() {
        let (dir, repo) = repository();
        let path = dir.path().join("origin.git");
        let mut watch = Watch::start(&path).unwrap();
        drop(repo);
        let listener = Listener {
            folder: watch.folder.clone(),
            signal: Arc::clone(&watch.signal),
        };
        let gone = EventKind::Remove(notify::event::RemoveKind::Folder);
        listener.hear(Ok(Event::new(gone).add_path(watch.folder.clone())));
        std::fs::remove_dir_all(&path).unwrap();
        woken(&mut watch).await;
    }

    #[tokio::test]
    async fn an_error_of_the_watcher_wakes() {
        let (dir, _repo) = repository();
        let mut watch = Watch::start(&dir.path().join("origin.git")).unwrap();
        let listener = Listener {
            folder: watch.folder.clone(),
            signal: Arc::clone(&watch.signal),
        };
        listener.hear(Err(notify::Error::generic("queue overflow")));
        woken(&mut watch).await;
    }

    #[test]
    fn a_folder_that_is_no_repository_cannot_be_watched() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Watch::start(dir.path()).is_err());
    }
}
