//! What is written down about each run, next to its output.
//!
//! `<unit>/runs/<n>/child.json` exists, on disk, before the child does, and
//! gets its ending afterwards. A record without an ending is what a killed
//! controller leaves: with it the next start finds the child that outlived it,
//! or learns that it died in the middle.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::process;

/// Runs of one unit that are kept, with their output and plan.
const RUNS_KEPT: usize = 20;
/// Applies that died and are kept beyond that.
const PROOFS_KEPT: usize = 5;

/// What a run was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `plan`: reads only.
    Plan,
    /// `apply` of a saved plan: the only one that changes the world.
    Apply,
    /// `output`: reads the state.
    Output,
    /// `show` of a saved plan.
    Show,
    /// `state pull`: reads the whole state.
    State,
    /// `force-unlock`.
    Unlock,
}

impl Operation {
    /// Whether it may be killed at any instant without harm.
    pub(super) fn may_be_killed(self) -> bool {
        !matches!(self, Self::Apply)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It did what was asked and said so.
    Succeeded,
    /// It ended by itself and said what was wrong.
    Failed,
    /// It never got the state lock.
    Locked,
    /// It could not let go of the state lock.
    LeftLock,
    /// It was killed, or ended without telling how.
    Killed,
    /// It was found dead by a later start of the controller.
    Died,
}

impl Ending {
    /// Whether a state lock may be left behind.
    pub(super) fn may_leave_lock(self) -> bool {
        matches!(self, Self::Killed | Self::Died | Self::LeftLock)
    }
}

/// The content of `child.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub run: u64,
    pub operation: Operation,
    /// The value of [`process::TAG`] in the child's environment.
    pub tag: String,
    pub host: String,
    pub boot_id: String,
    pub pid: Option<u32>,
    pub start_ticks: Option<u64>,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub ending: Option<Ending>,
    pub exit_code: Option<i32>,
    /// Terraform got its one interrupt; a second would cost the state.
    #[serde(default)]
    pub interrupted: bool,
}

impl Record {
    /// The processes of this run that still live. Empty after a reboot.
    pub(super) fn living(&self, programs: &[&str]) -> Vec<process::Tagged> {
        if self.boot_id != process::boot_id() {
            return Vec::new();
        }
        let mut living: Vec<_> = process::tagged(&self.tag)
            .into_iter()
            .filter(|one| programs.contains(&one.program.as_str()) || Some(one.pid) == self.pid)
            .collect();
        // Should its environment not be readable, the identity still counts.
        if let (Some(pid), Some(ticks)) = (self.pid, self.start_ticks)
            && living.iter().all(|one| one.pid != pid)
            && process::start_ticks(pid) == Some(ticks)
        {
            living.push(process::Tagged {
                pid,
                program: String::new(),
            });
        }
        living
    }
}

/// The folder of one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RunDir {
    pub number: u64,
    pub path: PathBuf,
}

impl RunDir {
    pub(super) fn stdout(&self) -> PathBuf {
        self.path.join("stdout")
    }

    pub(super) fn stderr(&self) -> PathBuf {
        self.path.join("stderr")
    }

    pub(super) fn plan(&self) -> PathBuf {
        self.path.join("plan.tfplan")
    }

    /// Its time of change says when the child was last seen alive.
    pub(super) fn heartbeat(&self) -> PathBuf {
        self.path.join("alive")
    }

    fn record(&self) -> PathBuf {
        self.path.join("child.json")
    }

    /// The last sign of life of the run, by the files that it and its
    /// supervisor touch.
    pub(super) fn last_sign(&self) -> Option<Timestamp> {
        [self.stdout(), self.stderr(), self.heartbeat()]
            .iter()
            .filter_map(|path| fs::metadata(path).ok()?.modified().ok())
            .filter_map(|time| Timestamp::try_from(time).ok())
            .max()
    }

    pub(super) fn write(&self, record: &Record) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(record).context("Failed to write a run's record as JSON")?;
        write_durable(&self.record(), &bytes)
    }

    /// The record, if it can be read. One that cannot (a disk full at the very
    /// first byte) belongs to a child that was never started.
    pub(super) fn read(&self) -> Option<Record> {
        let file = File::open(self.record()).ok()?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(file, 64 * 1024), &mut text).ok()?;
        serde_json::from_str(&text).ok()
    }
}

/// The runs of a unit, newest first.
pub(super) fn list(unit_dir: &Path) -> Vec<RunDir> {
    let Ok(entries) = fs::read_dir(unit_dir.join("runs")) else {
        return Vec::new();
    };
    let mut runs: Vec<RunDir> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_name()?.to_str()?.parse().ok()?;
            Some(RunDir { number, path })
        })
        .collect();
    runs.sort_unstable_by_key(|run| std::cmp::Reverse(run.number));
    runs
}

/// Makes the folder of the next run, and lets the oldest go.
pub(super) fn create(unit_dir: &Path) -> anyhow::Result<RunDir> {
    let runs = list(unit_dir);
    let mut proofs = 0;
    for old in runs.iter().skip(RUNS_KEPT) {
        let record = old.read();
        if record
            .as_ref()
            .is_some_and(|record| record.ending.is_none())
        {
            continue;
        }
        // The record of an apply that died is the only proof that a lock which
        // is still there is its own: it outlives the tries that the lock stops.
        if record.is_some_and(|record| {
            record.operation == Operation::Apply
                && record.ending.is_some_and(Ending::may_leave_lock)
        }) {
            proofs += 1;
            if proofs <= PROOFS_KEPT {
                continue;
            }
        }
        if let Err(error) = fs::remove_dir_all(&old.path) {
            tracing::warn!(%error, path = %old.path.display(), "Failed to remove an old run");
        }
    }
    let number = runs.first().map_or(1, |newest| newest.number + 1);
    let path = unit_dir.join("runs").join(format!("{number:06}"));
    make_dir(&path)?;
    Ok(RunDir { number, path })
}

/// Makes a folder that only its owner can enter.
pub(super) fn make_dir(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("Failed to create the folder `{}`", path.display()))
}

/// Replaces a file so that a power cut leaves the old or the new content.
pub(super) fn write_durable(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let temp = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, path)?;
        match path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    write().with_context(|| format!("Failed to write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apply_that_died_is_remembered_however_often_its_lock_stops_the_next() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut died = None;
        for number in 0..60 {
            let run = create(dir.path()).expect("a run");
            let apply = number == 3;
            let record = Record {
                run: run.number,
                operation: if apply {
                    Operation::Apply
                } else {
                    Operation::Plan
                },
                tag: String::new(),
                host: "vm".to_owned(),
                boot_id: String::new(),
                pid: None,
                start_ticks: None,
                started_at: jiff::Timestamp::UNIX_EPOCH,
                ended_at: None,
                ending: Some(if apply { Ending::Died } else { Ending::Locked }),
                exit_code: None,
                interrupted: false,
            };
            run.write(&record).expect("a record");
            if apply {
                died = Some(run.number);
            }
        }
        let kept: Vec<u64> = list(dir.path()).iter().map(|run| run.number).collect();
        assert!(kept.contains(&died.expect("one died")), "{kept:?}");
        assert!(kept.len() <= RUNS_KEPT + PROOFS_KEPT + 1, "{}", kept.len());
    }
}
