//! What the stub is told to do wrong.
//!
//! The control file is read at each point of a run, so that it may be changed while the run goes on; a fault
//! with a number of times is used up in the file itself, under a lock.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cloud::{lock, replace};

/// The control file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// A pause before each resource of a plan or an apply, in milliseconds.
    pub pause_ms: u64,
    /// The module's wiring: another text is a changed module.
    pub wiring: String,
    /// Changes that every plan shows besides the expected ones: address and action (`create`, `update`, …).
    pub unexpected: Vec<(String, String)>,
    /// Faults, looked through in their order.
    pub faults: Vec<Fault>,
}

/// A fault, played when a run comes to its point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// `plan`, `apply`, `show`, `output`, …; every command where empty.
    #[serde(default)]
    pub command: String,
    /// Only for this unit, for example `live/demo/todo/app`.
    #[serde(default)]
    pub unit: Option<String>,
    /// The point: after so many resources of the run. Commands without resources have only the point 0. An
    /// apply of `n` resources saves its state and lets go of its lock after the point `n`, and has one more
    /// before its closing words, `n + 1`.
    #[serde(default)]
    pub after: usize,
    /// How many times; without end where none.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens.
    pub kind: FaultKind,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// An error as a diagnostic; what is done so far is saved, the lock let go, exit 1.
    Fail {
        /// The first line.
        summary: String,
        /// The rest.
        detail: String,
    },
    /// A text on stderr and exit 1, as where terraform could not even start its work; at the point 0 nothing
    /// is printed before.
    Stderr(String),
    /// So many bytes of lines that are no JSON; the run goes on.
    Flood(u64),
    /// One line of so many bytes; the run goes on.
    LongLine(u64),
    /// So many bytes that are no text; the run goes on.
    Binary(u64),
    /// Half of a JSON line, then the run ends well without another word.
    HalfJson,
    /// Waits for ever; signals end it as they would end terraform.
    Hang,
    /// Waits until the gate is opened, see [`super::StubWorld::open_gate`].
    Gate,
    /// From here on SIGINT and SIGTERM do nothing.
    IgnoreSignals,
    /// Kills itself with SIGKILL.
    Kill,
    /// Ends with exit 0 as if all were well: nothing is saved, the lock stays.
    ExitZero,
    /// The state cannot be saved: it goes to `errored.tfstate` in the unit's cache, exit 1.
    ErroredState,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// Before its first word.
    Start,
    /// After so many resources.
    After(usize),
}

impl Control {
    /// Reads the control file; without one nothing is wrong.
    pub fn read(dir: &Path) -> Result<Control> {
        let path = path(dir);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("Failed to understand {}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Control::default()),
            Err(error) => Err(error).with_context(|| format!("Failed to read {}", path.display())),
        }
    }

    /// Writes the control file.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let _turn = lock(&path(dir).with_extension("turn"))?;
        self.put(dir)
    }

    fn put(&self, dir: &Path) -> Result<()> {
        replace(
            &path(dir),
            &serde_json::to_vec_pretty(self).context("Failed to write the control file")?,
        )
    }

    /// The faults of a point, in their order; one time of each is used up.
    pub(super) fn take(
        dir: &Path,
        command: &str,
        unit: &str,
        point: Point,
    ) -> Result<Vec<FaultKind>> {
        if Control::read(dir)?.faults.is_empty() {
            return Ok(Vec::new());
        }
        let _turn = lock(&path(dir).with_extension("turn"))?;
        let mut control = Control::read(dir)?;
        let mut taken = Vec::new();
        for fault in &mut control.faults {
            let is_here = match (&fault.kind, point) {
                (FaultKind::Stderr(_), Point::Start) => fault.after == 0,
                (FaultKind::Stderr(_), Point::After(0)) | (_, Point::Start) => false,
                (_, Point::After(done)) => fault.after == done,
            };
            let fits = is_here
                && (fault.command.is_empty() || fault.command == command)
                && fault.unit.as_deref().is_none_or(|only| only == unit)
                && fault.times != Some(0);
            if fits {
                taken.push(fault.kind.clone());
                fault.times = fault.times.map(|times| times.saturating_sub(1));
            }
        }
        if !taken.is_empty() {
            control.faults.retain(|fault| fault.times != Some(0));
            control.put(dir)?;
        }
        Ok(taken)
    }
}

fn path(dir: &Path) -> std::path::PathBuf {
    dir.join("control.json")
}
