//! Git fixtures: a bare repository that amid watches, and people who push to it.
//!
//! Everything is local and goes through git2 with an explicit name and mail, so that no configuration of the
//! machine is needed. An [`Author`] has a real work tree, because a person applies units from it with
//! terragrunt. Nothing here opens a connection.

mod author;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use git2::{Oid, Repository, RepositoryInitOptions, Sort};

pub use author::Author;

/// The branch that amid follows.
pub const BRANCH: &str = "main";
const BRANCH_REF: &str = "refs/heads/main";
const REMOTE_REF: &str = "refs/remotes/origin/main";

/// More commits than any test makes.
const MAX_LOG: usize = 1_000;

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

/// The bare repository that amid watches; its branch is `main`.
#[derive(Debug, Clone)]
pub struct BareRepo {
    path: PathBuf,
}

impl BareRepo {
    /// Makes an empty bare repository at `path`.
    pub fn create(path: &Path) -> Result<BareRepo> {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).initial_head(BRANCH);
        Repository::init_opts(path, &options)
            .with_context(|| format!("Failed to create the repository {}", path.display()))?;
        Ok(BareRepo {
            path: path.to_owned(),
        })
    }

    /// The bare repository that is at `path` already.
    pub fn open(path: &Path) -> Result<BareRepo> {
        Repository::open_bare(path)
            .with_context(|| format!("Failed to open the repository {}", path.display()))?;
        Ok(BareRepo {
            path: path.to_owned(),
        })
    }

    /// Where it lies; git takes this as a URL.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tip of `main`; none while it is empty.
    pub fn head(&self) -> Result<Option<Oid>> {
        tip(&open(&self.path)?, BRANCH_REF)
    }

    /// The commits of `main`, newest first, at most 1,000.
    pub fn log(&self) -> Result<Vec<Commit>> {
        log(&open(&self.path)?)
    }

    /// A file at a revision (a branch, a commit id, `main~2`); none where there is no such file.
    pub fn read(&self, rev: &str, path: &str) -> Result<Option<Vec<u8>>> {
        read(&open(&self.path)?, rev, path)
    }

    /// The names of all branches, sorted.
    pub fn branches(&self) -> Result<Vec<String>> {
        let repo = open(&self.path)?;
        let mut names = Vec::new();
        for branch in repo.branches(None).context("Failed to list the branches")? {
            let (branch, _) = branch.context("Failed to list the branches")?;
            if let Ok(Some(name)) = branch.name() {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// A clone in `dir` (which must not exist or be empty) of the person `name`, mail `name@localhost`.
    pub fn clone_as(&self, dir: &Path, name: &str) -> Result<Author> {
        let mut options = RepositoryInitOptions::new();
        options.initial_head(BRANCH).mkpath(true);
        let repo = Repository::init_opts(dir, &options)
            .with_context(|| format!("Failed to create a clone in {}", dir.display()))?;
        let url = self
            .path
            .to_str()
            .context("The repository's path is not UTF-8")?;
        repo.remote("origin", url)
            .context("Failed to add the remote")?;
        let author = Author::new(dir, name);
        author.pull()?;
        Ok(author)
    }
}

fn open(path: &Path) -> Result<Repository> {
    Repository::open(path)
        .with_context(|| format!("Failed to open the repository {}", path.display()))
}

fn tip(repo: &Repository, name: &str) -> Result<Option<Oid>> {
    match repo.refname_to_id(name) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("Failed to read {name}")),
    }
}

fn log(repo: &Repository) -> Result<Vec<Commit>> {
    let Some(head) = tip(repo, BRANCH_REF)? else {
        return Ok(Vec::new());
    };
    let mut walk = repo.revwalk().context("Failed to walk the history")?;
    // All commits of a test may be of the same second.
    walk.set_sorting(Sort::TOPOLOGICAL)
        .context("Failed to sort the history")?;
    walk.push(head).context("Failed to walk the history")?;
    let mut commits = Vec::new();
    for id in walk.take(MAX_LOG) {
        let id = id.context("Failed to walk the history")?;
        let commit = repo
            .find_commit(id)
            .with_context(|| format!("Failed to find the commit {id}"))?;
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        let author = commit.author().to_string();
        commits.push(Commit {
            id,
            message,
            author,
        });
    }
    Ok(commits)
}

fn read(repo: &Repository, rev: &str, path: &str) -> Result<Option<Vec<u8>>> {
    let tree = repo
        .revparse_single(rev)
        .and_then(|object| object.peel_to_tree())
        .with_context(|| format!("Failed to find the revision {rev}"))?;
    let entry = match tree.get_path(Path::new(path)) {
        Ok(entry) => entry,
        Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("Failed to look for {path} in {rev}"));
        }
    };
    let blob = repo
        .find_blob(entry.id())
        .with_context(|| format!("Failed to read {path} at {rev}"))?;
    Ok(Some(blob.content().to_vec()))
}
