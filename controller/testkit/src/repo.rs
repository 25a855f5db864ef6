//! Git fixtures: a bare repository, and people who push to it.
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use git2::Oid;

/// The bare repository that amid watches; its branch is `main`.
#[derive(Debug, Clone)]
pub struct BareRepo {
    path: PathBuf,
}

impl BareRepo {
    /// Makes an empty bare repository at `path`.
    pub fn create(path: &Path) -> Result<BareRepo> {
        bail!("Creating {} is not written yet", path.display())
    }

    /// Where it lies; git takes this as a URL.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tip of `main`; none while it is empty.
    pub fn head(&self) -> Result<Option<Oid>> {
        Ok(None)
    }

    /// The commits of `main`, newest first, at most 1,000.
    pub fn log(&self) -> Result<Vec<Commit>> {
        Ok(Vec::new())
    }

    /// A file at a revision (a branch, a commit id, `main~2`); none where there is no such file.
    pub fn read(&self, _rev: &str, _path: &str) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Clones into `dir` as the person `name`.
    pub fn clone_as(&self, dir: &Path, _name: &str) -> Result<Author> {
        bail!("Cloning into {} is not written yet", dir.display())
    }
}

/// A commit as tests look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: Oid,
    /// The whole message.
    pub message: String,
    /// `name <mail>`.
    pub author: String,
}

impl Commit {
    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// A person with a clone (a work tree on disk) of a [`BareRepo`], on `main`.
#[derive(Debug, Clone)]
pub struct Author {
    dir: PathBuf,
}

impl Author {
    /// The work tree.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes these files (path, content) and commits them.
    pub fn commit(&self, _files: &[(&str, &str)], _message: &str) -> Result<Oid> {
        bail!("Not written yet")
    }

    /// Copies a folder of this machine into the work tree at `at` and commits it.
    pub fn commit_tree(&self, _from: &Path, _at: &str, _message: &str) -> Result<Oid> {
        bail!("Not written yet")
    }

    /// Deletes these files and commits that.
    pub fn delete(&self, _paths: &[&str], _message: &str) -> Result<Oid> {
        bail!("Not written yet")
    }

    /// Commits the reverse of a commit, as `git revert` does.
    pub fn revert(&self, _commit: Oid) -> Result<Oid> {
        bail!("Not written yet")
    }

    /// Moves `main` of the clone to a commit and the work tree with it.
    pub fn reset(&self, _commit: Oid) -> Result<()> {
        bail!("Not written yet")
    }

    /// Fetches, and moves `main` of the clone to the repository's.
    pub fn pull(&self) -> Result<()> {
        bail!("Not written yet")
    }

    /// Pushes `main`; an error where it is no fast-forward.
    pub fn push(&self) -> Result<()> {
        bail!("Not written yet")
    }

    /// Pushes `main`, whatever the repository has.
    pub fn force_push(&self) -> Result<()> {
        bail!("Not written yet")
    }

    /// The tip of the clone's `main`.
    pub fn head(&self) -> Result<Oid> {
        bail!("Not written yet")
    }

    /// The commits of the clone's `main`, newest first, at most 1,000.
    pub fn log(&self) -> Result<Vec<Commit>> {
        Ok(Vec::new())
    }

    /// A file at a revision; none where there is no such file.
    pub fn read(&self, _rev: &str, _path: &str) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
}
