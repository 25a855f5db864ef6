//! Which images the history of `desired/` named, and when: what a `git revert` may still ask for.
//!
//! The whole history of a head is walked once and kept; after that only new commits are. Unlike [`super::changes`] it
//! looks into merged branches too, because a commit inside of one can be reverted to as well. Folders are compared as
//! raw bytes, entry by entry, so that a history of many commits over many manifests takes a second and not a minute.
//! Images are found by their form anywhere in a manifest's text: a manifest with mistakes names its image all the same.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use git2::{Oid, Repository, Sort};
use jiff::Timestamp;

use amid_core::mentions::amis_in;
use amid_core::model::AmiId;

use super::Mirror;
use super::read::{FOLDER, MAX_DEPTH, mode};

/// Commits of one history. A longer one counts as one that cannot be read.
const MAX_COMMITS: usize = 200_000;
/// Versions of manifests that are kept.
const MAX_VERSIONS: usize = 500_000;
/// Bytes of a blob that is looked into; no manifest is larger.
const MAX_BLOB: usize = 1 << 20;
/// Bytes of one folder's listing.
const MAX_LISTING: usize = 4 << 20;
/// Blobs and folders whose images are kept in mind.
const MAX_KNOWN: usize = 200_000;

/// One version of a manifest in the history of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// From the repository's root: `desired/demo/todo.json`.
    pub path: Arc<str>,
    /// The commit that brought it.
    pub commit: Oid,
    /// When that was committed.
    pub at: Timestamp,
    /// When a newer version came; none for the newest.
    pub until: Option<Timestamp>,
    /// How many newer versions the branch itself went through; those inside of merged branches do not count.
    pub newer: usize,
    /// The images that it names; none where the commit deleted the file.
    pub amis: Arc<[AmiId]>,
}

/// An image that a manifest names at some commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The manifest's path.
    pub path: Arc<str>,
    /// The image.
    pub ami: AmiId,
}

/// What was read of histories and blobs so far.
#[derive(Default)]
pub(super) struct Window {
    head: Option<Oid>,
    /// By path, oldest first.
    versions: HashMap<Arc<str>, Vec<Kept>>,
    count: usize,
    commits: usize,
    blobs: HashMap<Oid, Arc<[AmiId]>>,
    folders: HashMap<Oid, Arc<[Naming]>>,
}

#[derive(Clone)]
struct Kept {
    commit: Oid,
    at: Timestamp,
    /// Whether the branch itself went through it.
    mainline: bool,
    amis: Arc<[AmiId]>,
}

impl Mirror {
    /// Every version of every manifest in the history of `head`, by path and newest first.
    ///
    /// # Errors
    ///
    /// When any of it cannot be read, or there is more than is kept: a part of a history is no answer.
    pub fn versions(&self, head: Oid) -> Result<Vec<Version>> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let window = &mut inner.window;
        let result = (|| {
            if window.head != Some(head) {
                window.move_to(&inner.repo, head)?;
            }
            Ok(window.answer())
        })();
        if result.is_err() {
            // What was taken in of a walk that failed must not look like the whole.
            inner.window = Window::default();
        }
        self.watched(&[head], result)
            .with_context(|| format!("Failed to read the history of `{FOLDER}` up to {head}"))
    }

    /// The images that manifests name at `commit`.
    ///
    /// # Errors
    ///
    /// When any of it cannot be read.
    pub fn named_at(&self, commit: Oid) -> Result<Arc<[Naming]>> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let window = &mut inner.window;
        let result = (|| {
            let tree = inner.repo.find_commit(commit)?.tree_id();
            let Some(folder) = desired(&inner.repo, tree)? else {
                return Ok(Arc::from([]));
            };
            if let Some(known) = window.folders.get(&folder) {
                return Ok(Arc::clone(known));
            }
            let mut named = Vec::new();
            let mut diff = Diff {
                repo: &inner.repo,
                changed: &mut |path, blob| {
                    if let Some(blob) = blob {
                        let path: Arc<str> = path.into();
                        let amis = images(&inner.repo, &mut window.blobs, blob)?;
                        named.extend(amis.iter().map(|ami| Naming {
                            path: Arc::clone(&path),
                            ami: ami.clone(),
                        }));
                    }
                    Ok(())
                },
            };
            diff.folders(FOLDER, None, Some(folder), 1)?;
            let named: Arc<[Naming]> = named.into();
            if window.folders.len() < MAX_KNOWN {
                window.folders.insert(folder, Arc::clone(&named));
            }
            Ok(named)
        })();
        self.watched(&[commit], result)
            .with_context(|| format!("Failed to read which images `{FOLDER}` names at {commit}"))
    }
}

impl Window {
    /// Takes in what `head` has that the head before had not; all of it where the branch was rewritten.
    fn move_to(&mut self, repo: &Repository, head: Oid) -> Result<()> {
        let before = self.head.filter(|before| {
            repo.find_commit(*before).is_ok()
                && repo.graph_descendant_of(head, *before).unwrap_or(false)
        });
        if before.is_none() {
            let (blobs, folders) = (
                std::mem::take(&mut self.blobs),
                std::mem::take(&mut self.folders),
            );
            *self = Self {
                blobs,
                folders,
                ..Self::default()
            };
        }
        let mut walk = repo.revwalk()?;
        // A parent never comes before its child, and otherwise the newest comes first.
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
        walk.push(head)?;
        if let Some(before) = before {
            walk.hide(before)?;
        }
        let mut mainline = Some(head);
        let mut fresh: HashMap<Arc<str>, Vec<Kept>> = HashMap::new();
        let mut folder_of: HashMap<Oid, Option<Oid>> = HashMap::new();
        for id in walk {
            let id = id?;
            self.commits += 1;
            ensure!(
                self.commits <= MAX_COMMITS,
                "The history has more than {MAX_COMMITS} commits"
            );
            let commit = repo.find_commit(id)?;
            let is_mainline = mainline == Some(id);
            let parent = match commit.parent_count() {
                0 => None,
                _ => Some(commit.parent(0)?),
            };
            if is_mainline {
                mainline = parent.as_ref().map(git2::Commit::id);
            }
            let (tree, old_tree) = (commit.tree_id(), parent.map(|parent| parent.tree_id()));
            if old_tree == Some(tree) {
                continue;
            }
            // The parent is most often the next commit: each folder is looked up once.
            let mut look = |tree: Oid| -> Result<Option<Oid>> {
                if let Some(known) = folder_of.get(&tree) {
                    return Ok(*known);
                }
                let found = desired(repo, tree)?;
                folder_of.insert(tree, found);
                Ok(found)
            };
            let new = look(tree)?;
            let old = match old_tree {
                Some(tree) => look(tree)?,
                None => None,
            };
            let at =
                Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH);
            let (blobs, count) = (&mut self.blobs, &mut self.count);
            let mut diff = Diff {
                repo,
                changed: &mut |path, blob| {
                    *count += 1;
                    ensure!(
                        *count <= MAX_VERSIONS,
                        "The history has more than {MAX_VERSIONS} versions of manifests"
                    );
                    let amis = match blob {
                        Some(blob) => images(repo, blobs, blob)?,
                        None => Arc::from([]),
                    };
                    let kept = Kept {
                        commit: id,
                        at,
                        mainline: is_mainline,
                        amis,
                    };
                    match fresh.get_mut(path) {
                        Some(versions) => versions.push(kept),
                        None => {
                            fresh.insert(path.into(), vec![kept]);
                        }
                    }
                    Ok(())
                },
            };
            diff.folders(FOLDER, old, new, 1)?;
        }
        for (path, mut versions) in fresh {
            versions.reverse();
            self.versions.entry(path).or_default().extend(versions);
        }
        self.head = Some(head);
        Ok(())
    }

    fn answer(&self) -> Vec<Version> {
        let mut all = Vec::with_capacity(self.count);
        let mut paths: Vec<&Arc<str>> = self.versions.keys().collect();
        paths.sort();
        for path in paths {
            let mut newer = 0;
            let mut until: Option<Timestamp> = None;
            for kept in self.versions.get(path).into_iter().flatten().rev() {
                all.push(Version {
                    path: Arc::clone(path),
                    commit: kept.commit,
                    at: kept.at,
                    until,
                    newer,
                    amis: Arc::clone(&kept.amis),
                });
                newer += usize::from(kept.mainline);
                // Commits' clocks may go backwards; the latest of them keeps longest.
                until = until.max(Some(kept.at));
            }
        }
        all
    }
}

/// The folder `desired` of a root folder.
fn desired(repo: &Repository, root: Oid) -> Result<Option<Oid>> {
    let odb = repo.odb()?;
    let object = odb.read(root)?;
    let mut found = None;
    for entry in Entries(object.data()) {
        let entry = entry?;
        if entry.name == FOLDER.as_bytes() && entry.is_folder() {
            found = Some(entry.id()?);
        }
    }
    Ok(found)
}

/// The images that a blob names.
fn images(
    repo: &Repository,
    known: &mut HashMap<Oid, Arc<[AmiId]>>,
    blob: Oid,
) -> Result<Arc<[AmiId]>> {
    if let Some(known) = known.get(&blob) {
        return Ok(Arc::clone(known));
    }
    let odb = repo.odb()?;
    let (size, _) = odb.read_header(blob)?;
    // The daemon refuses such a manifest as well: it never rolled anything.
    let found: Arc<[AmiId]> = match size > MAX_BLOB {
        true => Arc::from([]),
        false => amis_in(odb.read(blob)?.data()).into(),
    };
    if known.len() < MAX_KNOWN {
        known.insert(blob, Arc::clone(&found));
    }
    Ok(found)
}

/// Finds the files that differ between two folders.
struct Diff<'a, 'f> {
    repo: &'a Repository,
    /// Gets the path and the new blob, if there is one.
    changed: &'f mut dyn FnMut(&str, Option<Oid>) -> Result<()>,
}

impl Diff<'_, '_> {
    fn folders(
        &mut self,
        path: &str,
        old: Option<Oid>,
        new: Option<Oid>,
        depth: usize,
    ) -> Result<()> {
        if old == new || depth > MAX_DEPTH {
            return Ok(());
        }
        let repo = self.repo;
        let odb = repo.odb()?;
        let read = |id: Option<Oid>| {
            id.map(|id| {
                let (size, _) = odb.read_header(id)?;
                ensure!(
                    size <= MAX_LISTING,
                    "The folder `{path}` has too many files"
                );
                Ok(odb.read(id)?)
            })
            .transpose()
        };
        let (old, new) = (read(old)?, read(new)?);
        let mut old = Entries(old.as_ref().map_or(&[], |object| object.data())).peekable();
        let mut new = Entries(new.as_ref().map_or(&[], |object| object.data())).peekable();
        loop {
            let which = match (old.peek(), new.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(Ok(a)), Some(Ok(b))) => a.order(b),
                // The broken one is taken, and ends this.
                (Some(Err(_)), _) => Ordering::Less,
                (_, Some(Err(_))) => Ordering::Greater,
            };
            let a = match which {
                Ordering::Greater => None,
                _ => old.next().transpose()?,
            };
            let b = match which {
                Ordering::Less => None,
                _ => new.next().transpose()?,
            };
            if let (Some(a), Some(b)) = (&a, &b)
                && a.raw_id == b.raw_id
                && a.mode == b.mode
            {
                continue;
            }
            self.entry(path, a, b, depth)?;
        }
    }

    /// One name that differs, or is on one side only.
    fn entry(
        &mut self,
        folder: &str,
        old: Option<Entry<'_>>,
        new: Option<Entry<'_>>,
        depth: usize,
    ) -> Result<()> {
        let name = old.as_ref().or(new.as_ref()).map(|entry| entry.name);
        let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) else {
            return Ok(());
        };
        let id = |entry: &Option<Entry<'_>>, folders: bool| {
            entry
                .as_ref()
                .filter(|entry| entry.is_folder() == folders && (folders || entry.is_file()))
                .map(Entry::id)
                .transpose()
        };
        let (old_folder, new_folder) = (id(&old, true)?, id(&new, true)?);
        let (old_file, new_file) = (id(&old, false)?, id(&new, false)?);
        let path = format!("{folder}/{name}");
        self.folders(&path, old_folder, new_folder, depth + 1)?;
        if name.ends_with(".json") && old_file != new_file {
            (self.changed)(&path, new_file)?;
        }
        Ok(())
    }
}

/// One line of a folder as git stores it.
struct Entry<'a> {
    mode: &'a [u8],
    name: &'a [u8],
    raw_id: &'a [u8],
}

impl Entry<'_> {
    fn is_folder(&self) -> bool {
        self.mode == b"40000"
    }

    fn is_file(&self) -> bool {
        let mode = std::str::from_utf8(self.mode)
            .ok()
            .and_then(|mode| i32::from_str_radix(mode, 8).ok());
        !self.is_folder() && !matches!(mode, Some(mode::SYMLINK | mode::SUBMODULE) | None)
    }

    fn id(&self) -> Result<Oid> {
        Ok(Oid::from_bytes(self.raw_id)?)
    }

    /// Git's own order: a folder sorts as if its name ended in a slash.
    fn order(&self, other: &Self) -> Ordering {
        let end = |entry: &Self| entry.is_folder().then_some(b'/');
        let a = self.name.iter().copied().chain(end(self));
        let b = other.name.iter().copied().chain(end(other));
        // Nearly always both are the same name.
        match self.name == other.name && self.is_folder() == other.is_folder() {
            true => Ordering::Equal,
            false => a.cmp(b),
        }
    }
}

/// The lines of a folder: `mode SP name NUL id`.
struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = (|| {
            let space = self.0.iter().position(|b| *b == b' ')?;
            let (mode, rest) = self.0.split_at_checked(space)?;
            let nul = rest.iter().position(|b| *b == 0)?;
            let name = rest.get(1..nul)?;
            let raw_id = rest.get(nul + 1..nul + 21)?;
            self.0 = rest.get(nul + 21..)?;
            Some(Entry { mode, name, raw_id })
        })();
        if entry.is_none() {
            self.0 = &[];
        }
        Some(entry.context("A folder in the repository is damaged"))
    }
}
