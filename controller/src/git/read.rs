//! Reading manifests and other blobs straight from the object database.
//!
//! Only plain files count: what would be a symlink or a submodule in a work tree is named and left out. Every size is
//! known from the object's header before the object is loaded, so that a huge blob costs nothing. Manifests are not
//! parsed here.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use git2::{ErrorCode, ObjectType, Odb, Oid, Repository, Tree};

use super::Mirror;

/// The folder that manifests live in.
pub(super) const FOLDER: &str = "desired";
/// Bytes of one manifest.
const MAX_MANIFEST: usize = 1 << 20;
/// Bytes of all manifests together.
const MAX_TOTAL: usize = 64 << 20;
/// Manifests.
const MAX_FILES: usize = 10_000;
/// Files that are refused by name; a further entry says that there are more.
const MAX_REFUSED: usize = 1_000;
/// Bytes of one folder's listing, some 60,000 files.
const MAX_LISTING: usize = 4 << 20;
/// Folders inside each other.
pub(super) const MAX_DEPTH: usize = 16;
/// Characters of an app's name.
const MAX_APP: usize = 64;

/// A file's mode as git keeps it.
pub(super) mod mode {
    pub const EXECUTABLE: i32 = 0o100_755;
    pub const SYMLINK: i32 = 0o120_000;
    pub const SUBMODULE: i32 = 0o160_000;
}

/// All of `desired/` at one commit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Manifests {
    /// By path.
    pub files: Vec<ManifestFile>,
    /// What looks like a manifest and is not taken as one.
    pub refused: Vec<Refused>,
}

/// One manifest, not yet parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// From the repository's root: `desired/demo/todo.json`.
    pub path: String,
    /// The app that it is about: `demo/todo`.
    pub app: String,
    /// Changes exactly when the content does.
    pub blob: Oid,
    /// The content.
    pub bytes: Arc<[u8]>,
}

/// A file that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// From the repository's root.
    pub path: String,
    /// A sentence for people.
    pub why: String,
}

impl Mirror {
    /// The tree of the folder `path` at `commit`; `None` when there is none.
    pub fn tree_at(&self, commit: Oid, path: &str) -> Result<Option<Oid>> {
        let inner = self.lock();
        let result = (|| {
            let tree = inner.repo.find_commit(commit)?.tree()?;
            match tree.get_path(Path::new(path)) {
                Ok(entry) => Ok(Some(entry.id())),
                Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        })();
        self.watched(&[commit], result)
            .with_context(|| format!("Failed to find `{path}` in {commit}"))
    }

    /// All manifests at `commit`: files `desired/**/*.json`. Costs nothing when `desired/` is the same as last time.
    pub fn manifests(&self, commit: Oid) -> Result<Arc<Manifests>> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let result = (|| {
            let tree = tree_of(&inner.repo, commit)?;
            let Some(entry) = tree.get_name(FOLDER) else {
                return Ok(Arc::default());
            };
            if entry.kind() != Some(ObjectType::Tree) {
                let why = "This must be a folder".to_owned();
                let refused = vec![Refused {
                    path: FOLDER.to_owned(),
                    why,
                }];
                return Ok(Arc::new(Manifests {
                    files: Vec::new(),
                    refused,
                }));
            }
            let before = inner.manifests.as_ref();
            if let Some((_, same)) = before.filter(|(id, _)| *id == entry.id()) {
                return Ok(Arc::clone(same));
            }
            let known = before
                .map(|(_, before)| before.files.as_slice())
                .unwrap_or_default();
            let read = Arc::new(Reader::new(&inner.repo, known)?.read(entry.id())?);
            inner.manifests = Some((entry.id(), Arc::clone(&read)));
            Ok(read)
        })();
        self.watched(&[commit], result)
            .with_context(|| format!("Failed to read the manifests at commit {commit}"))
    }

    /// The file `path` at `commit`; `None` when there is none, when it is not a plain file, or when it is above 1 MiB.
    pub fn blob_at(&self, commit: Oid, path: &str) -> Result<Option<Vec<u8>>> {
        let inner = self.lock();
        let read = || match version_at(&tree_of(&inner.repo, commit)?, path)? {
            Some(version) => content(&inner.repo, version),
            None => Ok(None),
        };
        self.watched(&[commit], read())
            .with_context(|| format!("Failed to read `{path}` at commit {commit}"))
    }
}

/// What stands under a path at some commit, enough to see a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub id: Oid,
    pub mode: i32,
}

/// The version of `path` in `tree`; `None` when there is nothing or a folder.
pub(super) fn version_at(tree: &Tree<'_>, path: &str) -> Result<Option<Version>> {
    match tree.get_path(Path::new(path)) {
        Ok(entry) if entry.kind() == Some(ObjectType::Tree) => Ok(None),
        Ok(entry) => Ok(Some(Version {
            id: entry.id(),
            mode: entry.filemode(),
        })),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The content of a plain file that is no larger than a manifest may be.
pub(super) fn content(repo: &Repository, version: Version) -> Result<Option<Vec<u8>>> {
    if matches!(version.mode, mode::SYMLINK | mode::SUBMODULE) {
        return Ok(None);
    }
    let (size, _) = repo.odb()?.read_header(version.id)?;
    if size > MAX_MANIFEST {
        return Ok(None);
    }
    Ok(Some(repo.find_blob(version.id)?.content().to_vec()))
}

/// The root folder of a commit.
pub(super) fn tree_of(repo: &Repository, commit: Oid) -> Result<Tree<'_>> {
    let found = repo.find_commit(commit)?;
    load_tree(repo, found.tree_id())?
        .context("The root folder of the repository has too many files")
}

/// A folder, unless its listing is too large to load.
pub(super) fn load_tree(repo: &Repository, id: Oid) -> Result<Option<Tree<'_>>> {
    let (size, _) = repo.odb()?.read_header(id)?;
    if size > MAX_LISTING {
        return Ok(None);
    }
    Ok(Some(repo.find_tree(id)?))
}

/// The folder `desired` in a root folder, when there is one.
pub(super) fn version_of_folder(repo: &Repository, root: Oid) -> Result<Option<Oid>> {
    let Some(root) = load_tree(repo, root)? else {
        return Ok(None);
    };
    let folder = root
        .get_name(FOLDER)
        .filter(|entry| entry.kind() == Some(ObjectType::Tree));
    Ok(folder.map(|entry| entry.id()))
}

struct Reader<'a> {
    repo: &'a Repository,
    odb: Odb<'a>,
    /// What was read last time, so that one changed manifest does not make a thousand be read again.
    known: HashMap<Oid, &'a Arc<[u8]>>,
    total: usize,
    found: Manifests,
}

impl<'a> Reader<'a> {
    fn new(repo: &'a Repository, known: &'a [ManifestFile]) -> Result<Self> {
        let known = known.iter().map(|file| (file.blob, &file.bytes)).collect();
        Ok(Self {
            repo,
            odb: repo.odb()?,
            known,
            total: 0,
            found: Manifests::default(),
        })
    }

    fn read(mut self, folder: Oid) -> Result<Manifests> {
        self.folder(folder, FOLDER, 1)?;
        self.found.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.found)
    }

    fn folder(&mut self, id: Oid, path: &str, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            self.refuse(
                path,
                format!("More than {MAX_DEPTH} folders are inside each other here"),
            );
            return Ok(());
        }
        let Some(tree) = load_tree(self.repo, id)? else {
            self.refuse(path, "This folder has too many files".to_owned());
            return Ok(());
        };
        for entry in &tree {
            let Ok(name) = str::from_utf8(entry.name_bytes()) else {
                let shown = entry.name_bytes().escape_ascii();
                self.refuse(
                    &format!("{path}/{shown}"),
                    "The name is not UTF-8: rename it".to_owned(),
                );
                continue;
            };
            let path = format!("{path}/{}", name.escape_debug());
            let json = name.ends_with(".json");
            match (entry.kind(), entry.filemode()) {
                (_, mode::SYMLINK) => {
                    self.refuse(
                        &path,
                        "This is a symlink: put the file itself here".to_owned(),
                    );
                }
                (_, mode::SUBMODULE) => {
                    self.refuse(
                        &path,
                        "This is a submodule: manifests must be in this repository".to_owned(),
                    );
                }
                (Some(ObjectType::Tree), _) => self.folder(entry.id(), &path, depth + 1)?,
                (Some(ObjectType::Blob), _) if json => self.manifest(entry.id(), path)?,
                _ => (),
            }
        }
        Ok(())
    }

    fn manifest(&mut self, blob: Oid, path: String) -> Result<()> {
        let app = path
            .strip_prefix("desired/")
            .and_then(|p| p.strip_suffix(".json"))
            .unwrap_or_default();
        if let Some(why) = why_no_app(app) {
            self.refuse(&path, why);
            return Ok(());
        }
        if self
            .found
            .files
            .iter()
            .rev()
            .take(1)
            .any(|last| last.path == path)
        {
            self.refuse(&path, "The folder lists this file twice".to_owned());
            return Ok(());
        }
        let (size, _) = self.odb.read_header(blob)?;
        if size > MAX_MANIFEST {
            self.refuse(
                &path,
                format!("A manifest may have at most 1 MiB, this one has {size} bytes"),
            );
        } else if self.total + size > MAX_TOTAL {
            self.refuse(
                &path,
                "All manifests together may have at most 64 MiB".to_owned(),
            );
        } else if self.found.files.len() >= MAX_FILES {
            self.refuse(&path, "There may be at most 10,000 manifests".to_owned());
        } else {
            let bytes = match self.known.get(&blob) {
                Some(bytes) => Arc::clone(bytes),
                None => Arc::from(self.odb.read(blob)?.data()),
            };
            self.total += size;
            let app = app.to_owned();
            self.found.files.push(ManifestFile {
                path,
                app,
                blob,
                bytes,
            });
        }
        Ok(())
    }

    fn refuse(&mut self, path: &str, why: String) {
        let (path, why) = match self.found.refused.len() {
            n if n < MAX_REFUSED => (path.to_owned(), why),
            MAX_REFUSED => (
                FOLDER.to_owned(),
                "More files than can be listed are refused".to_owned(),
            ),
            _ => return,
        };
        self.found.refused.push(Refused { path, why });
    }
}

/// Why a path cannot be an app's name.
fn why_no_app(app: &str) -> Option<String> {
    let end = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = |segment: &str| {
        let bytes = segment.as_bytes();
        bytes.first().is_some_and(|&c| end(c))
            && bytes.last().is_some_and(|&c| end(c))
            && bytes.iter().all(|&c| end(c) || c == b'-')
    };
    if app.len() > MAX_APP {
        return Some(format!(
            "An app's name may have at most {MAX_APP} characters: use a shorter path"
        ));
    }
    let odd = app.split('/').find(|segment| !good(segment))?;
    Some(format!(
        "`{odd}` cannot be part of an app's name: use `a` to `z`, `0` to `9` and, between them, `-`"
    ))
}
