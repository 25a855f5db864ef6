//! Git fixtures: a bare repository that amid watches, and people who push to it.
//!
//! Everything is local and goes through git2 with an explicit name and mail, so that no configuration of the
//! machine is needed. An [`Author`] has a real work tree, because a person applies units from it with
//! terragrunt. Nothing here opens a connection.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use git2::{
    Index, IndexAddOption, IndexEntry, IndexTime, ObjectType, Oid, PushOptions, RemoteCallbacks,
    Repository, RepositoryInitOptions, ResetType, Signature, Sort, build::CheckoutBuilder,
};

/// The branch that amid follows.
pub const BRANCH: &str = "main";
const BRANCH_REF: &str = "refs/heads/main";
const REMOTE_REF: &str = "refs/remotes/origin/main";

/// More commits than any test makes.
const MAX_LOG: usize = 1_000;

/// What no commit takes up: caches and state of the tools that people run in their work tree.
const LEFT_OUT: [&str; 3] = [".git", ".terragrunt-cache", ".terraform"];

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
        let author = Author {
            dir: dir.to_owned(),
            name: name.to_owned(),
        };
        author.pull()?;
        Ok(author)
    }
}

/// A person with a clone (a work tree on disk) of a [`BareRepo`], on `main`.
#[derive(Debug, Clone)]
pub struct Author {
    dir: PathBuf,
    name: String,
}

impl Author {
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Two {
        _dir: tempfile::TempDir,
        bare: BareRepo,
        ann: Author,
        bob: Author,
    }

    fn two_people() -> Two {
        let dir = tempfile::tempdir().unwrap();
        let bare = BareRepo::create(&dir.path().join("repo.git")).unwrap();
        let ann = bare.clone_as(&dir.path().join("ann"), "ann").unwrap();
        ann.commit(&[("desired/web.json", "1")], "Add web").unwrap();
        ann.push().unwrap();
        let bob = bare.clone_as(&dir.path().join("bob"), "bob").unwrap();
        Two {
            _dir: dir,
            bare,
            ann,
            bob,
        }
    }

    #[test]
    fn a_push_is_seen_by_the_others() {
        let two = two_people();
        let bump = two
            .ann
            .commit(&[("desired/web.json", "2")], "Bump web")
            .unwrap();
        two.ann.push().unwrap();
        assert_eq!(two.bare.head().unwrap(), Some(bump));
        two.bob.pull().unwrap();
        assert_eq!(
            fs::read_to_string(two.bob.dir().join("desired/web.json")).unwrap(),
            "2"
        );
        let log = two.bare.log().unwrap();
        let subjects: Vec<_> = log.iter().map(Commit::subject).collect();
        assert_eq!(subjects, ["Bump web", "Add web"]);
        assert_eq!(log[0].author, "ann <ann@localhost>");
        assert_eq!(
            two.bare.read("main~1", "desired/web.json").unwrap(),
            Some(b"1".to_vec())
        );
        assert_eq!(two.bare.read("main", "desired/none.json").unwrap(), None);
    }

    #[test]
    fn only_a_forced_push_rewrites_the_branch() {
        let two = two_people();
        let first = two.bare.head().unwrap().unwrap();
        let bump = two
            .ann
            .commit(&[("desired/web.json", "2")], "Bump web")
            .unwrap();
        two.ann.push().unwrap();
        two.bob
            .commit(&[("desired/api.json", "1")], "Add api")
            .unwrap();
        assert!(two.bob.push().is_err());
        assert_eq!(two.bare.head().unwrap(), Some(bump));
        two.ann.reset(first).unwrap();
        two.ann.force_push().unwrap();
        assert_eq!(two.bare.head().unwrap(), Some(first));
        assert_eq!(
            fs::read_to_string(two.ann.dir().join("desired/web.json")).unwrap(),
            "1"
        );
    }

    #[test]
    fn a_revert_takes_back_one_commit_and_keeps_what_came_after() {
        let two = two_people();
        let bump = two
            .ann
            .commit(&[("desired/web.json", "2")], "Bump web")
            .unwrap();
        two.ann
            .commit(&[("desired/api.json", "1")], "Add api")
            .unwrap();
        two.ann.revert(bump).unwrap();
        two.ann.push().unwrap();
        assert_eq!(
            two.bare.read("main", "desired/web.json").unwrap(),
            Some(b"1".to_vec())
        );
        assert_eq!(
            two.bare.read("main", "desired/api.json").unwrap(),
            Some(b"1".to_vec())
        );
        assert_eq!(two.bare.log().unwrap()[0].subject(), "Revert \"Bump web\"");
        two.ann.delete(&["desired/api.json"], "Drop api").unwrap();
        two.ann.push().unwrap();
        assert_eq!(two.bare.read("main", "desired/api.json").unwrap(), None);
    }

    #[test]
    fn links_and_submodules_can_be_committed() {
        let two = two_people();
        two.ann
            .commit_symlink("desired/link.json", "/etc/passwd", "Add a link")
            .unwrap();
        let commit = two.ann.head().unwrap();
        two.ann
            .commit_submodule("desired/sub", commit, "Add a submodule")
            .unwrap();
        two.ann.push().unwrap();
        let repo = Repository::open(two.bare.path()).unwrap();
        let tree = repo
            .revparse_single("main")
            .unwrap()
            .peel_to_tree()
            .unwrap();
        let mode = |path: &str| tree.get_path(Path::new(path)).unwrap().filemode();
        assert_eq!(
            (mode("desired/link.json"), mode("desired/sub")),
            (0o120_000, 0o160_000)
        );
    }

    #[test]
    fn a_folder_is_committed_without_the_tools_caches() {
        let two = two_people();
        let from = tempfile::tempdir().unwrap();
        fs::create_dir_all(from.path().join("live/app/.terragrunt-cache")).unwrap();
        fs::write(from.path().join("live/app/terragrunt.hcl"), "x").unwrap();
        fs::write(from.path().join("live/app/.terragrunt-cache/y"), "y").unwrap();
        two.ann
            .commit_tree(from.path(), "terraform", "Add the units")
            .unwrap();
        two.ann.push().unwrap();
        assert_eq!(
            two.bare
                .read("main", "terraform/live/app/terragrunt.hcl")
                .unwrap(),
            Some(b"x".to_vec())
        );
        assert_eq!(
            two.bare
                .read("main", "terraform/live/app/.terragrunt-cache/y")
                .unwrap(),
            None
        );
        fs::write(two.ann.dir().join("terraform/live/app/terragrunt.hcl"), "z").unwrap();
        fs::remove_file(two.ann.dir().join("desired/web.json")).unwrap();
        two.ann.commit_all("Change by hand").unwrap();
        assert_eq!(
            two.ann
                .read("main", "terraform/live/app/terragrunt.hcl")
                .unwrap(),
            Some(b"z".to_vec())
        );
        assert_eq!(two.ann.read("main", "desired/web.json").unwrap(), None);
    }
}
