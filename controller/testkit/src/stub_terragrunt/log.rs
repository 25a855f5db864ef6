//! The log of all runs, one JSON line for each start and end.
//!
//! A run that was killed has no end here. Whether two applies of one unit ran at once is told by a file lock
//! that the kernel lets go of with the process, however it died.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Which end of the run.
    pub kind: EventKind,
    /// The process.
    pub pid: u32,
    /// `plan`, `apply`, `show`, `output`, …
    pub command: String,
    /// The unit, for example `live/demo/todo/app`.
    pub unit: String,
}

/// Which end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It starts; the value of `TF_VAR_releases` if there is one.
    Start(Option<String>),
    /// It ends with this exit code.
    End(u8),
    /// It is an apply, and another apply of the same unit is running at this moment.
    Overlap,
}

/// Appends an entry; a line is one write, so that lines of several processes do not mix.
pub(super) fn append(dir: &Path, unit: &str, command: &str, kind: EventKind) -> Result<()> {
    let event = Event {
        at: Timestamp::now(),
        kind,
        pid: std::process::id(),
        command: command.to_owned(),
        unit: unit.to_owned(),
    };
    let mut line = serde_json::to_string(&event).context("Failed to write the log")?;
    line.push('\n');
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(dir.join("runs.ndjson"))
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .context("Failed to write the log")
}

/// All entries so far.
pub(super) fn read(dir: &Path) -> Result<Vec<Event>> {
    let path = dir.join("runs.ndjson");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).context("Failed to read the log")?;
    text.lines()
        .map(|line| {
            serde_json::from_str(line)
                .with_context(|| format!("Failed to understand the log: {line}"))
        })
        .collect()
}

/// Marks an apply of this unit as running until the file is dropped; none where another one is running.
pub(super) fn running(unit_dir: &Path) -> Result<Option<File>> {
    let path = unit_dir.join("running");
    let file =
        File::create(&path).with_context(|| format!("Failed to create {}", path.display()))?;
    Ok(flock(&file, FlockOperation::NonBlockingLockExclusive)
        .is_ok()
        .then_some(file))
}
