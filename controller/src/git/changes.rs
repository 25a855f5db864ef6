//! Which commits changed which file.
//!
//! History is followed along first parents only. That is the line of states that the branch went through: a merged
//! pull request counts as its merge commit, at the time of the merge, whatever the branch looked like inside. Along a
//! line "newest", "between" and "superseded" have one meaning each, and the file at the newest commit that changed it
//! is always the file at the head. Times are the committer's, because an author's date may be weeks older than the
//! push.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context as _, Result, ensure};
use git2::{Commit, ObjectType, Oid, Repository};
use jiff::Timestamp;

use super::Mirror;
use super::read::{self, Version};

/// Commits that are looked at for one question, before it is answered with what was found.
const MAX_COMMITS: usize = 100_000;
/// Commits between two heads; with more, the map of newest changes is begun anew.
const MAX_STEP: usize = 10_000;
/// Paths that are kept in mind.
const MAX_PATHS: usize = 100_000;
/// Characters of a name, an address or a subject.
const MAX_TEXT: usize = 200;

/// A commit, as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
    pub id: Oid,
    /// The author's name.
    pub author: String,
    /// The author's address.
    pub email: String,
    /// When it was committed (not authored).
    pub time: Timestamp,
    /// The first line of its message.
    pub subject: String,
}

impl CommitInfo {
    pub(super) fn of(commit: &Commit<'_>) -> Self {
        let author = commit.author();
        Self {
            id: commit.id(),
            author: plain(author.name_bytes()),
            email: plain(author.email_bytes()),
            time: Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
            subject: plain(commit.summary_bytes().unwrap_or_default()),
        }
    }
}

/// Text from a commit, made fit for a log line: no control characters, not too long.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_TEXT)
        .collect()
}

impl Mirror {
    /// The newest commit on the first-parent line of `head` that changed `path` under `desired/` (adding and deleting
    /// it counts); `None` when none ever did. Quick for a thousand paths: history is walked once, as far as needed,
    /// and only its new part when the head moved on.
    pub fn last_change(&self, head: Oid, path: &str) -> Result<Option<CommitInfo>> {
        ensure!(
            path.starts_with("desired/"),
            "Only paths under `desired/` are followed: `{path}`"
        );
        let mut inner = self.lock();
        let inner = &mut *inner;
        let result = (|| {
            let changes = match inner.changes.take() {
                Some(before) => before.moved_to(&inner.repo, head)?,
                None => Changes::new(head),
            };
            let changes = inner.changes.insert(changes);
            let found = changes.newest(&inner.repo, path)?;
            found
                .map(|id| Ok(CommitInfo::of(&inner.repo.find_commit(id)?)))
                .transpose()
        })();
        self.watched(&[head], result)
            .with_context(|| format!("Failed to find the last change of `{path}`"))
    }

    /// The commits that are on the first-parent line of `new`, are not part of `old`'s history and changed `path`,
    /// oldest first.
    pub fn commits_between(&self, old: Oid, new: Oid, path: &str) -> Result<Vec<CommitInfo>> {
        let inner = self.lock();
        let result = (|| {
            let mut walk = inner.repo.revwalk()?;
            walk.push(new)?;
            walk.hide(old)?;
            let range = walk.take(MAX_COMMITS).collect::<Result<HashSet<_>, _>>()?;
            let mut found = Vec::new();
            for step in line(&inner.repo, new) {
                let step = step?;
                if !range.contains(&step.commit.id()) {
                    break;
                }
                if step.version(path)? != step.version_before(path)? {
                    found.push(CommitInfo::of(&step.commit));
                }
            }
            found.reverse();
            Ok(found)
        })();
        self.watched(&[old, new], result)
            .with_context(|| format!("Failed to list the changes of `{path}` from {old} to {new}"))
    }

    /// The newest version of `path` on the first-parent line of `head` for which `matches` is true, with the commit
    /// that brought it. At most `limit` versions are shown to `matches`, newest first, starting with the one at `head`;
    /// commits that deleted the file or made it something else than a plain file of at most 1 MiB are skipped.
    pub fn newest_matching(
        &self,
        head: Oid,
        path: &str,
        limit: usize,
        matches: &mut dyn FnMut(&CommitInfo, &[u8]) -> bool,
    ) -> Result<Option<(CommitInfo, Vec<u8>)>> {
        let inner = self.lock();
        let mut search = || {
            let mut shown = 0;
            for step in line(&inner.repo, head).take(MAX_COMMITS) {
                let step = step?;
                let version = step.version(path)?;
                let (Some(version), true) = (version, version != step.version_before(path)?) else {
                    continue;
                };
                let Some(bytes) = read::content(&inner.repo, version)? else {
                    continue;
                };
                if shown == limit {
                    return Ok(None);
                }
                shown += 1;
                let info = CommitInfo::of(&step.commit);
                if matches(&info, &bytes) {
                    return Ok(Some((info, bytes)));
                }
            }
            Ok(None)
        };
        let result = search();
        self.watched(&[head], result)
            .with_context(|| format!("Failed to search the history of `{path}`"))
    }
}

/// A commit with its first parent.
struct Step<'a> {
    repo: &'a Repository,
    commit: Commit<'a>,
    parent: Option<Commit<'a>>,
}

impl Step<'_> {
    fn version(&self, path: &str) -> Result<Option<Version>> {
        read::version_at(&read::tree_of(self.repo, self.commit.id())?, path)
    }

    fn version_before(&self, path: &str) -> Result<Option<Version>> {
        match &self.parent {
            // Most commits leave most folders alone; this is the cheap way to see the extreme case of it.
            Some(parent) if parent.tree_id() == self.commit.tree_id() => self.version(path),
            Some(parent) => read::version_at(&read::tree_of(self.repo, parent.id())?, path),
            None => Ok(None),
        }
    }
}

/// The first-parent line of `head`, newest first.
fn line(repo: &Repository, head: Oid) -> impl Iterator<Item = Result<Step<'_>, git2::Error>> {
    let mut next = Some(repo.find_commit(head));
    std::iter::from_fn(move || {
        let commit = match next.take()? {
            Ok(commit) => commit,
            Err(error) => return Some(Err(error)),
        };
        let parent = match commit.parent_count() {
            0 => None,
            _ => match commit.parent(0) {
                Ok(parent) => Some(parent),
                Err(error) => return Some(Err(error)),
            },
        };
        next = parent.clone().map(Ok);
        Some(Ok(Step {
            repo,
            commit,
            parent,
        }))
    })
}

/// For each path under `desired/` the newest commit that changed it, as far back as history was walked so far.
pub(super) struct Changes {
    head: Oid,
    newest: HashMap<String, Oid>,
    /// The commit to look at next, when there is more history.
    cursor: Option<Oid>,
}

impl Changes {
    fn new(head: Oid) -> Self {
        Self {
            head,
            newest: HashMap::new(),
            cursor: Some(head),
        }
    }

    /// The same for another head: only the new commits are walked where `head` came after the one before.
    fn moved_to(mut self, repo: &Repository, head: Oid) -> Result<Self> {
        let mut fresh = HashMap::new();
        for step in line(repo, head).take(MAX_STEP) {
            let step = step?;
            if step.commit.id() == self.head {
                self.newest.extend(fresh);
                self.head = head;
                return Ok(self);
            }
            record(&step, &mut fresh)?;
        }
        Ok(Self::new(head))
    }

    fn newest(&mut self, repo: &Repository, path: &str) -> Result<Option<Oid>> {
        if let Some(cursor) = self.cursor
            && !self.newest.contains_key(path)
        {
            for step in line(repo, cursor).take(MAX_COMMITS) {
                let step = step?;
                record(&step, &mut self.newest)?;
                self.cursor = step.parent.map(|parent| parent.id());
                if self.newest.contains_key(path) {
                    break;
                }
            }
        }
        Ok(self.newest.get(path).copied())
    }
}

/// Notes the commit for each path that it changed and that no newer commit did.
fn record(step: &Step<'_>, newest: &mut HashMap<String, Oid>) -> Result<()> {
    let folder = |commit: &Commit<'_>| read::version_of_folder(step.repo, commit.tree_id());
    let new = folder(&step.commit)?;
    let old = step.parent.as_ref().map(folder).transpose()?.flatten();
    let id = step.commit.id();
    compare(step.repo, read::FOLDER, [old, new], 1, &mut |path| {
        if newest.len() < MAX_PATHS {
            newest.entry(path).or_insert(id);
        }
    })
}

/// Tells `changed` each file that differs between two versions of the folder at `path`.
fn compare(
    repo: &Repository,
    path: &str,
    versions: [Option<Oid>; 2],
    depth: usize,
    changed: &mut dyn FnMut(String),
) -> Result<()> {
    if versions[0] == versions[1] || depth > read::MAX_DEPTH {
        return Ok(());
    }
    // Per name: the entry in the old and in the new version.
    let mut entries: BTreeMap<Vec<u8>, [Option<(Version, bool)>; 2]> = BTreeMap::new();
    for (side, id) in versions.into_iter().enumerate() {
        let Some(tree) = id
            .map(|id| read::load_tree(repo, id))
            .transpose()?
            .flatten()
        else {
            continue;
        };
        for entry in &tree {
            let version = Version {
                id: entry.id(),
                mode: entry.filemode(),
            };
            let is_folder = entry.kind() == Some(ObjectType::Tree);
            entries.entry(entry.name_bytes().to_vec()).or_default()[side] =
                Some((version, is_folder));
        }
    }
    for (name, sides) in entries {
        if sides[0] == sides[1] {
            continue;
        }
        let Ok(name) = String::from_utf8(name) else {
            continue;
        };
        let path = format!("{path}/{name}");
        let folder = |side: Option<(Version, bool)>| {
            side.filter(|(_, is)| *is).map(|(version, _)| version.id)
        };
        let file = |side: Option<(Version, bool)>| side.filter(|(_, is)| !*is);
        compare(repo, &path, sides.map(folder), depth + 1, changed)?;
        if name.ends_with(".json") && file(sides[0]) != file(sides[1]) {
            changed(path);
        }
    }
    Ok(())
}
