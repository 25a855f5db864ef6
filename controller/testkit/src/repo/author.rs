//! A person who commits and pushes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use git2::{
    Index, IndexAddOption, IndexEntry, IndexTime, ObjectType, Oid, PushOptions, RemoteCallbacks,
    Repository, ResetType, Signature, build::CheckoutBuilder,
};

use super::{BRANCH_REF, Commit, REMOTE_REF, log, open, read, tip};

/// What no commit takes up: caches and state of the tools that people run in their work tree.
const LEFT_OUT: [&str; 3] = [".git", ".terragrunt-cache", ".terraform"];

/// A person with a clone (a work tree on disk) of a [`BareRepo`](super::BareRepo), on `main`.
#[derive(Debug, Clone)]
pub struct Author {
    dir: PathBuf,
    name: String,
}

impl Author {
    pub(super) fn new(dir: &Path, name: &str) -> Author {
        Author {
            dir: dir.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The work tree.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes these files (path, content) and commits them.
    pub fn commit<C: AsRef<[u8]>>(&self, files: &[(&str, C)], message: &str) -> Result<Oid> {
        for (path, content) in files {
            let file = self.dir.join(path);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)
                    .with_context(|| format!("Failed to create {}", parent.display()))?;
            }
            fs::write(&file, content)
                .with_context(|| format!("Failed to write {}", file.display()))?;
        }
        self.commit_index(message, |index| {
            files
                .iter()
                .try_for_each(|(path, _)| index.add_path(Path::new(path)))
        })
    }

    /// Copies a folder of this machine into the work tree at `at` (empty for its root) and commits it;
    /// caches of terraform and terragrunt are left out.
    pub fn commit_tree(&self, from: &Path, at: &str, message: &str) -> Result<Oid> {
        copy(from, &self.dir.join(at), 0)?;
        self.commit_index(message, |index| {
            index.add_all(["*"], IndexAddOption::FORCE, Some(&mut left_out))
        })
    }

    /// Commits whatever stands in the work tree, deletions too.
    pub fn commit_all(&self, message: &str) -> Result<Oid> {
        self.commit_index(message, |index| {
            index.add_all(["*"], IndexAddOption::FORCE, Some(&mut left_out))?;
            index.update_all(["*"], None)
        })
    }

    /// Deletes these files and commits that.
    pub fn delete(&self, paths: &[&str], message: &str) -> Result<Oid> {
        for path in paths {
            let file = self.dir.join(path);
            fs::remove_file(&file)
                .with_context(|| format!("Failed to delete {}", file.display()))?;
        }
        self.commit_index(message, |index| {
            paths
                .iter()
                .try_for_each(|path| index.remove_path(Path::new(path)))
        })
    }

    /// Commits a symbolic link, which git stores whether or not its target exists.
    pub fn commit_symlink(&self, path: &str, target: &str, message: &str) -> Result<Oid> {
        let blob = open(&self.dir)?
            .blob(target.as_bytes())
            .context("Failed to write a link")?;
        self.commit_entry(path, 0o120_000, blob, message)
    }

    /// Commits a file whose content is in the clone's objects already, without a file in the work tree.
    pub fn commit_blob(&self, path: &str, blob: Oid, message: &str) -> Result<Oid> {
        self.commit_entry(path, 0o100_644, blob, message)
    }

    /// Commits a submodule that points at a commit of some other repository.
    pub fn commit_submodule(&self, path: &str, commit: Oid, message: &str) -> Result<Oid> {
        self.commit_entry(path, 0o160_000, commit, message)
    }

    /// Commits the reverse of a commit, as `git revert` does.
    pub fn revert(&self, commit: Oid) -> Result<Oid> {
        let repo = open(&self.dir)?;
        let wrong = repo
            .find_commit(commit)
            .with_context(|| format!("Failed to find the commit {commit}"))?;
        let ours = repo
            .find_commit(self.head()?)
            .context("Failed to find the tip")?;
        let mut index = repo
            .revert_commit(&wrong, &ours, 0, None)
            .context("Failed to revert")?;
        ensure!(
            !index.has_conflicts(),
            "Reverting {commit} conflicts with what came after it"
        );
        let tree = index
            .write_tree_to(&repo)
            .context("Failed to write a tree")?;
        let subject = wrong
            .summary()
            .ok()
            .flatten()
            .unwrap_or_default()
            .to_owned();
        let message = format!("Revert \"{subject}\"\n\nThis reverts commit {commit}.\n");
        let id = self.commit_on_tip(&repo, tree, &message)?;
        self.reset(id)?;
        Ok(id)
    }

    /// Moves `main` of the clone to a commit, and the work tree with it.
    pub fn reset(&self, commit: Oid) -> Result<()> {
        let repo = open(&self.dir)?;
        let object = repo
            .find_object(commit, Some(ObjectType::Commit))
            .with_context(|| format!("Failed to find the commit {commit}"))?;
        let mut checkout = CheckoutBuilder::new();
        checkout.force();
        repo.reset(&object, ResetType::Hard, Some(&mut checkout))
            .with_context(|| format!("Failed to move to {commit}"))
    }

    /// Fetches, and moves `main` of the clone to the repository's; local commits are given up.
    pub fn pull(&self) -> Result<()> {
        let repo = open(&self.dir)?;
        let mut remote = repo
            .find_remote("origin")
            .context("Failed to find the remote")?;
        let refspec = format!("+{BRANCH_REF}:{REMOTE_REF}");
        remote
            .fetch(&[refspec], None, None)
            .context("Failed to fetch")?;
        match tip(&repo, REMOTE_REF)? {
            Some(commit) => self.reset(commit),
            None => Ok(()),
        }
    }

    /// Pushes `main`; an error where it is no fast-forward.
    pub fn push(&self) -> Result<()> {
        self.push_refspec(&format!("{BRANCH_REF}:{BRANCH_REF}"))
    }

    /// Pushes `main` of the clone as another branch or tag, as in `refs/heads/feature`.
    pub fn push_as(&self, reference: &str) -> Result<()> {
        self.push_refspec(&format!("+{BRANCH_REF}:{reference}"))
    }

    /// Pushes `main`, whatever the repository has.
    pub fn force_push(&self) -> Result<()> {
        self.push_refspec(&format!("+{BRANCH_REF}:{BRANCH_REF}"))
    }

    /// The tip of the clone's `main`.
    pub fn head(&self) -> Result<Oid> {
        tip(&open(&self.dir)?, BRANCH_REF)?.context("There is no commit yet")
    }

    /// The commits of the clone's `main`, newest first, at most 1,000.
    pub fn log(&self) -> Result<Vec<Commit>> {
        log(&open(&self.dir)?)
    }

    /// A file at a revision; none where there is no such file.
    pub fn read(&self, rev: &str, path: &str) -> Result<Option<Vec<u8>>> {
        read(&open(&self.dir)?, rev, path)
    }

    fn push_refspec(&self, refspec: &str) -> Result<()> {
        let repo = open(&self.dir)?;
        let mut remote = repo
            .find_remote("origin")
            .context("Failed to find the remote")?;
        let mut refusal = None;
        let mut callbacks = RemoteCallbacks::new();
        callbacks.push_update_reference(|_, status| {
            refusal = status.map(str::to_owned);
            Ok(())
        });
        let mut options = PushOptions::new();
        options.remote_callbacks(callbacks);
        remote
            .push(&[refspec], Some(&mut options))
            .context("Failed to push")?;
        drop(options);
        match refusal {
            Some(refusal) => bail!("The push was refused: {refusal}"),
            None => Ok(()),
        }
    }

    /// Changes the index and commits what it holds then.
    fn commit_index(
        &self,
        message: &str,
        change: impl FnOnce(&mut Index) -> Result<(), git2::Error>,
    ) -> Result<Oid> {
        let repo = open(&self.dir)?;
        let mut index = repo.index().context("Failed to open the index")?;
        change(&mut index).context("Failed to change the index")?;
        index.write().context("Failed to write the index")?;
        let tree = index.write_tree().context("Failed to write a tree")?;
        self.commit_on_tip(&repo, tree, message)
    }

    fn commit_entry(&self, path: &str, mode: u32, id: Oid, message: &str) -> Result<Oid> {
        let zero = IndexTime::new(0, 0);
        let entry = IndexEntry {
            ctime: zero,
            mtime: zero,
            dev: 0,
            ino: 0,
            mode,
            uid: 0,
            gid: 0,
            file_size: 0,
            id,
            flags: 0,
            flags_extended: 0,
            path: path.as_bytes().to_vec(),
        };
        self.commit_index(message, |index| index.add(&entry))
    }

    fn commit_on_tip(&self, repo: &Repository, tree: Oid, message: &str) -> Result<Oid> {
        let tree = repo.find_tree(tree).context("Failed to find a tree")?;
        let mail = format!("{}@localhost", self.name);
        let who = Signature::now(&self.name, &mail).context("Failed to write a signature")?;
        let parent = match tip(repo, BRANCH_REF)? {
            Some(id) => Some(repo.find_commit(id).context("Failed to find the tip")?),
            None => None,
        };
        let parents: Vec<_> = parent.iter().collect();
        repo.commit(Some(BRANCH_REF), &who, &who, message, &tree, &parents)
            .context("Failed to commit")
    }
}

/// 1 where a path is to be left out of the index, as git2 wants it.
fn left_out(path: &Path, _: &[u8]) -> i32 {
    i32::from(
        path.iter()
            .any(|part| LEFT_OUT.iter().any(|name| part == *name)),
    )
}

fn copy(from: &Path, to: &Path, depth: usize) -> Result<()> {
    ensure!(depth < 32, "{} is more than 32 levels deep", from.display());
    fs::create_dir_all(to).with_context(|| format!("Failed to create {}", to.display()))?;
    let entries =
        fs::read_dir(from).with_context(|| format!("Failed to read {}", from.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("Failed to read {}", from.display()))?;
        if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target, depth + 1)?;
        } else {
            fs::copy(&source, &target)
                .with_context(|| format!("Failed to copy {}", source.display()))?;
        }
    }
    Ok(())
}
