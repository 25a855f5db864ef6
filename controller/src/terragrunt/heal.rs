//! The two states of a unit's cache that need care: a state that terraform
//! could not save, and a cache that terraform calls broken.
//!
//! `errored.tfstate` may be the only copy of what exists in the cloud. It is
//! copied to a safe place with fsync, and no run of the unit starts until a
//! person has dealt with it. A broken cache is only a cache: its `.terraform`
//! folders are removed, and terragrunt makes them again.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use super::Unit;
use super::record::{make_dir, write_durable};

const ERRORED: &str = "errored.tfstate";
const DEPTH_MAX: usize = 8;
const ENTRIES_MAX: usize = 50_000;
/// A state is some hundred kB; this bounds what is read into memory.
const STATE_MAX: u64 = 256 * 1024 * 1024;

/// Keeps every `errored.tfstate` that a run left, and returns the one that
/// stops this unit, if there is any.
pub(super) fn errored_state(unit: &Unit) -> anyhow::Result<Option<PathBuf>> {
    let kept = unit.dir.join("errored");
    for found in find_errored(unit) {
        keep(&found, &kept)?;
    }
    Ok(kept_states(&kept).into_iter().next())
}

/// A person has dealt with them: the copies go to `errored/cleared`, the
/// originals away.
pub(super) fn clear_errored(unit: &Unit) -> anyhow::Result<usize> {
    let kept = unit.dir.join("errored");
    for found in find_errored(unit) {
        keep(&found, &kept)?;
        fs::remove_file(&found)
            .with_context(|| format!("Failed to remove `{}`", found.display()))?;
    }
    let states = kept_states(&kept);
    if !states.is_empty() {
        make_dir(&kept.join("cleared"))?;
    }
    for state in &states {
        if let Some(name) = state.file_name() {
            fs::rename(state, kept.join("cleared").join(name))
                .with_context(|| format!("Failed to move `{}`", state.display()))?;
        }
    }
    Ok(states.len())
}

/// Copies a state under a name made of its content, so that doing it again
/// changes nothing.
fn keep(found: &Path, kept: &Path) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    File::open(found)
        .and_then(|file| file.take(STATE_MAX + 1).read_to_end(&mut bytes))
        .with_context(|| format!("Failed to read `{}`", found.display()))?;
    ensure!(
        bytes.len() as u64 <= STATE_MAX,
        "`{}` is larger than {STATE_MAX} bytes",
        found.display()
    );
    let digest = hex::encode(Sha256::digest(&bytes));
    let name = format!("{}.tfstate", &digest[..16]);
    if !kept.join(&name).exists() {
        make_dir(kept)?;
        write_durable(&kept.join(name), &bytes)?;
    }
    Ok(())
}

fn kept_states(kept: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(kept) else {
        return Vec::new();
    };
    let mut states: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "tfstate")
        })
        .collect();
    states.sort_unstable();
    states
}

fn find_errored(unit: &Unit) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&unit.cache(), |path, is_dir| {
        if !is_dir && path.file_name().is_some_and(|name| name == ERRORED) {
            found.push(path.to_path_buf());
        }
        is_dir
    });
    // A unit without a source is run where it stands.
    let beside = unit.work.join(ERRORED);
    if beside.is_file() {
        found.push(beside);
    }
    found
}

/// Removes what terraform keeps of an `init`. Returns how many folders went.
/// An `errored.tfstate` lies beside these folders, never in them; should one
/// be inside, its folder stays.
pub(super) fn wipe(unit: &Unit) -> anyhow::Result<usize> {
    let mut folders = Vec::new();
    walk(&unit.cache(), |path, is_dir| {
        let is_init = is_dir && path.file_name().is_some_and(|name| name == ".terraform");
        if is_init {
            folders.push(path.to_path_buf());
        }
        is_dir && !is_init
    });
    let beside = unit.work.join(".terraform");
    if beside.is_dir() && !beside.is_symlink() {
        folders.push(beside);
    }
    let mut wiped = 0;
    for folder in folders {
        let mut holds_state = false;
        walk(&folder, |path, is_dir| {
            holds_state |= path.file_name().is_some_and(|name| name == ERRORED);
            is_dir
        });
        if !holds_state {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("Failed to remove `{}`", folder.display()))?;
            wiped += 1;
        }
    }
    Ok(wiped)
}

/// Visits what is under `root`, without following links; `enter` says whether
/// to go into a folder.
fn walk(root: &Path, mut enter: impl FnMut(&Path, bool) -> bool) {
    let mut open = vec![(root.to_path_buf(), 0)];
    let mut seen = 0;
    while let Some((dir, depth)) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            seen += 1;
            if seen > ENTRIES_MAX {
                tracing::warn!(root = %root.display(), "The cache holds too many files to look at all of them");
                return;
            }
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let path = entry.path();
            if enter(&path, is_dir) && depth < DEPTH_MAX {
                open.push((path, depth + 1));
            }
        }
    }
}
