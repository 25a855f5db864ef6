//! Keeping the mirror's files in order: creating it, sweeping what a killed process left, replacing it when it cannot
//! be read, and joining the many small packs that many small fetches leave (libgit2 never does, and looks through all
//! of them for every object).

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use git2::{ErrorCode, Oid, Repository, RepositoryInitOptions};

/// Packs are joined when there are more small ones than this.
const MANY_PACKS: usize = 200;
/// A pack of at least this size is left alone.
const BIG_PACK: u64 = 8 << 20;

/// The mirror at `dir`, swept. One that cannot be read is set aside and a new one begun.
pub(super) fn open_or_replace(dir: &Path, head_ref: &str) -> Result<Repository> {
    if !dir.exists() {
        return create(dir);
    }
    sweep(dir).context("Failed to sweep what an earlier run left")?;
    match open_checked(dir, head_ref) {
        Ok(repo) => Ok(repo),
        Err(error) => {
            tracing::warn!(%error, mirror = %dir.display(), "the mirror cannot be read: setting it aside and copying anew");
            replace(dir)
        }
    }
}

/// Sets the mirror at `dir` aside, in place of any that was set aside before, and begins a new one.
pub(super) fn replace(dir: &Path) -> Result<Repository> {
    let aside = dir.with_extension("git.damaged");
    remove(&aside).with_context(|| format!("Failed to remove `{}`", aside.display()))?;
    fs::rename(dir, &aside).with_context(|| format!("Failed to set `{}` aside", dir.display()))?;
    create(dir)
}

fn create(dir: &Path) -> Result<Repository> {
    let mut options = RepositoryInitOptions::new();
    // Templates may bring hooks.
    options
        .bare(true)
        .mkpath(true)
        .external_template(false)
        .initial_head("none");
    Repository::init_opts(dir, &options).context("Failed to create the mirror")
}

fn open_checked(dir: &Path, head_ref: &str) -> Result<Repository, git2::Error> {
    let repo = Repository::open_bare(dir)?;
    match repo.refname_to_id(head_ref) {
        Ok(head) => check(&repo, head)?,
        Err(error) if error.code() == ErrorCode::NotFound => (),
        Err(error) => return Err(error),
    }
    Ok(repo)
}

/// Whether `commit` and its top folders can be read (libgit2 checks each object's hash as it reads).
pub(super) fn check(repo: &Repository, commit: Oid) -> Result<(), git2::Error> {
    let tree = repo.find_commit(commit)?.tree()?;
    if let Some(entry) = tree.get_name(super::read::FOLDER)
        && entry.kind() == Some(git2::ObjectType::Tree)
    {
        repo.find_tree(entry.id())?;
    }
    Ok(())
}

/// Removes what a process that was killed while it wrote leaves behind. Only for a mirror that nobody uses.
fn sweep(dir: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    list(dir, &mut files)?;
    let all: HashSet<&PathBuf> = files.iter().collect();
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let in_objects = file.starts_with(dir.join("objects"));
        let half_a_pack = match file.extension().and_then(|e| e.to_str()) {
            Some("pack") => !all.contains(&file.with_extension("idx")),
            Some("idx") => !all.contains(&file.with_extension("pack")),
            _ => false,
        };
        let unfinished = name.contains("_git2_") || name.starts_with("tmp_");
        if name.ends_with(".lock") || in_objects && (unfinished || half_a_pack) {
            tracing::info!(file = %file.display(), "removing what an interrupted fetch left");
            fs::remove_file(file)?;
        }
    }
    remove(&dir.join(JOINING))
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Removes a file or a folder with all that is in it; fine when there is none.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Where the small packs are gathered while they are joined.
const JOINING: &str = "objects/tmp_joining";

/// Joins small packs when there are many, and says whether it did (the caller then reopens the mirror).
pub(super) fn join_packs(repo: &Repository) -> Result<bool> {
    let packs = repo.path().join("objects/pack");
    let mut small = Vec::new();
    for entry in fs::read_dir(&packs)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|e| e == "pack") && entry.metadata()?.len() < BIG_PACK {
            small.push(path);
        }
    }
    if small.len() <= MANY_PACKS {
        return Ok(false);
    }
    // An object database of only the small packs tells which objects to join.
    let objects = repo.path().join(JOINING);
    remove(&objects)?;
    fs::create_dir_all(objects.join("pack"))?;
    for pack in &small {
        for file in [pack.clone(), pack.with_extension("idx")] {
            let name = file.file_name().unwrap_or_default();
            fs::hard_link(&file, objects.join("pack").join(name))?;
        }
    }
    let from = git2::Odb::new()?;
    from.add_disk_alternate(&objects.to_string_lossy())?;
    let mut joined = repo.packbuilder()?;
    joined.set_threads(1);
    let mut complete = true;
    from.foreach(|id| {
        complete = joined.insert_object(*id, None).is_ok();
        complete
    })?;
    anyhow::ensure!(complete, "Failed to read the packs that should be joined");
    joined.write(&packs, 0o444)?;
    let name = format!("pack-{}.pack", joined.name()?.unwrap_or_default());
    anyhow::ensure!(
        packs.join(&name).exists(),
        "The joined pack `{name}` is not there"
    );
    for pack in small {
        if pack.file_name().is_none_or(|file| *file != *name) {
            // Without its index a pack is invisible, so that goes first.
            fs::remove_file(pack.with_extension("idx"))?;
            fs::remove_file(pack)?;
        }
    }
    remove(&objects)?;
    Ok(true)
}
