//! Tests over real repositories in temporary folders.

mod branch;
mod changes;
mod export;
mod fetch;
mod history;
mod push;
mod read;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository, Signature, Time};

use super::{Author, Credentials, Limits, Mirror, Remote};

/// A repository as people have it, with a mirror of it.
pub(super) struct World {
    pub dir: tempfile::TempDir,
    pub origin: Repository,
}

/// What a commit is to hold under a path.
#[derive(Clone)]
pub(super) enum File {
    Text(String),
    Script(String),
    Symlink(String),
    Submodule,
    Gone,
}

pub(super) fn text(content: &str) -> File {
    File::Text(content.to_owned())
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = git2::RepositoryInitOptions::new();
        options
            .bare(true)
            .external_template(false)
            .initial_head("main");
        let origin = Repository::init_opts(dir.path().join("origin.git"), &options).unwrap();
        Self { dir, origin }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("origin.git")
    }

    pub fn remote(&self) -> Remote {
        remote(self.path().to_str().unwrap())
    }

    pub fn mirror(&self) -> Mirror {
        Mirror::open(&self.dir.path().join("state"), self.remote()).unwrap()
    }

    /// A commit on top of `parents` (the first one's tree is built on), not on any branch.
    pub fn loose(&self, parents: &[Oid], files: &[(&str, File)]) -> Oid {
        let repo = &self.origin;
        let parents: Vec<_> = parents
            .iter()
            .map(|id| repo.find_commit(*id).unwrap())
            .collect();
        let mut tree = parents.first().map(|parent| parent.tree_id());
        for (path, file) in files {
            tree = with(repo, tree, &path.split('/').collect::<Vec<_>>(), file);
        }
        let tree = tree.unwrap_or_else(|| repo.treebuilder(None).unwrap().write().unwrap());
        let tree = repo.find_tree(tree).unwrap();
        let seconds = parents
            .iter()
            .map(|parent| parent.time().seconds())
            .max()
            .unwrap_or(1_700_000_000)
            + 60;
        let author = Signature::new("Ann", "ann@example.com", &Time::new(seconds, 0)).unwrap();
        let message = format!("Commit of {seconds}\n\nBody");
        repo.commit(
            None,
            &author,
            &author,
            &message,
            &tree,
            &parents.iter().collect::<Vec<_>>(),
        )
        .unwrap()
    }

    pub fn point(&self, branch: &str, commit: Oid) {
        self.origin
            .reference(&format!("refs/heads/{branch}"), commit, true, "test")
            .unwrap();
    }

    /// A commit on top of `main`, pushed.
    pub fn commit(&self, files: &[(&str, File)]) -> Oid {
        let parent: Vec<_> = self.main().into_iter().collect();
        let commit = self.loose(&parent, files);
        self.point("main", commit);
        commit
    }

    pub fn main(&self) -> Option<Oid> {
        self.origin.refname_to_id("refs/heads/main").ok()
    }
}

pub(super) fn remote(url: &str) -> Remote {
    Remote {
        url: url.to_owned(),
        branch: "main".to_owned(),
        credentials: Credentials::None,
        author: "amid <amid@localhost>".parse::<Author>().unwrap(),
        limits: Limits::default(),
    }
}

/// `tree` with one path changed.
fn with(repo: &Repository, tree: Option<Oid>, path: &[&str], file: &File) -> Option<Oid> {
    let old = tree.map(|id| repo.find_tree(id).unwrap());
    let mut builder = repo.treebuilder(old.as_ref()).unwrap();
    let name = path[0];
    if path.len() > 1 {
        let inner = old
            .as_ref()
            .and_then(|tree| tree.get_name(name))
            .filter(|e| e.filemode() == 0o040_000);
        match with(
            repo,
            inner.as_ref().map(|entry| entry.id()),
            &path[1..],
            file,
        ) {
            Some(id) => drop(builder.insert(name, id, 0o040_000).unwrap()),
            None if inner.is_some() => builder.remove(name).unwrap(),
            None => (),
        }
        if builder.is_empty() {
            return None;
        }
    } else {
        let blob = |content: &str| repo.blob(content.as_bytes()).unwrap();
        let (id, mode) = match file {
            File::Text(content) => (blob(content), 0o100_644),
            File::Script(content) => (blob(content), 0o100_755),
            File::Symlink(target) => (blob(target), 0o120_000),
            File::Submodule => (
                Oid::from_str("1234567890123456789012345678901234567890").unwrap(),
                0o160_000,
            ),
            File::Gone => {
                if builder.get(name).unwrap().is_some() {
                    builder.remove(name).unwrap();
                }
                return (!builder.is_empty()).then(|| builder.write().unwrap());
            }
        };
        builder.insert(name, id, mode).unwrap();
    }
    Some(builder.write().unwrap())
}

/// All that is under a folder, `.git` left out: path to content.
pub(super) fn listed(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if path.is_symlink() {
                found.insert(name, format!("-> {}", path.read_link().unwrap().display()));
            } else if path.is_file() {
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            } else if name != ".git" {
                folders.push(path);
            }
        }
    }
    found
}
