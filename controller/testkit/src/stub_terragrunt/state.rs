//! The state of a unit, its lock, and saved plans.
//!
//! The lock is a file that only one process can make and that nobody removes for a dead one, as terraform's
//! lock object in S3. The state is written when a run ends, not in between: a killed apply leaves what it made
//! unrecorded, as terraform does within its first twenty seconds.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::plan::Change;
use crate::cloud::replace;

/// A unit's state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) serial: u64,
    pub(super) lineage: String,
    /// By address.
    pub(super) resources: BTreeMap<String, Value>,
    pub(super) outputs: BTreeMap<String, Value>,
}

/// What a plan leaves for its apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedPlan {
    pub(super) serial: u64,
    pub(super) lineage: String,
    pub(super) errored: bool,
    pub(super) app: String,
    pub(super) changes: Vec<Change>,
    /// The variables, from which the outputs are made.
    pub(super) inputs: super::plan::Inputs,
}

/// A unit's folder in the stub's directory.
#[derive(Debug, Clone)]
pub(super) struct UnitDir(PathBuf);

impl UnitDir {
    pub(super) fn new(stub: &Path, unit: &str) -> Result<UnitDir> {
        let path = stub.join("units").join(unit.replace('/', "__"));
        fs::create_dir_all(&path)
            .with_context(|| format!("Failed to create {}", path.display()))?;
        Ok(UnitDir(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn lock_path(&self) -> PathBuf {
        self.0.join("lock.json")
    }

    /// The state; an empty one where there is none.
    pub(super) fn state(&self) -> Result<State> {
        let path = self.0.join("state.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("Failed to understand {}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(error).with_context(|| format!("Failed to read {}", path.display())),
        }
    }

    pub(super) fn save(&self, state: &State) -> Result<()> {
        replace(
            &self.0.join("state.json"),
            &serde_json::to_vec_pretty(state).context("Failed to write a state")?,
        )
    }

    /// Takes the lock; the lock of another run, in terraform's words, where it is taken.
    pub(super) fn take_lock(&self, unit: &str) -> Result<Result<Lock, String>> {
        let path = self.lock_path();
        let now = Timestamp::now();
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let info = json!({
            "ID": format!("{:08x}-0000-4000-8000-{:012x}", std::process::id(), now.as_microsecond()),
            "Path": format!("stub-state/{unit}/terraform.tfstate"),
            "Operation": "OperationTypeApply",
            "Info": "",
            "Who": format!("stub@{host}"),
            "Version": super::ui::TERRAFORM_VERSION,
            "Created": now.to_string(),
        });
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(info.to_string().as_bytes())
                    .context("Failed to write the lock")?;
                Ok(Ok(Lock { path }))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Err(self.lock_text()?)),
            Err(error) => Err(error).context("Failed to take the lock"),
        }
    }

    /// The lock that is taken, as terraform tells of it.
    fn lock_text(&self) -> Result<String> {
        let bytes = fs::read(self.lock_path()).context("Failed to read the lock")?;
        let info: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let field = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
        // As Go prints a time.
        let created = field("Created")
            .replace('T', " ")
            .replace('Z', " +0000 UTC");
        Ok(format!(
            "Error message: operation error S3: PutObject, https response error StatusCode: 412, api error \
             PreconditionFailed: At least one of the pre-conditions you specified did not hold\nLock Info:\n  \
             ID:        {}\n  Path:      {}\n  Operation: {}\n  Who:       {}\n  Version:   {}\n  Created:   {created}\n  \
             Info:      {}\n\n\nTerraform acquires a state lock to protect the state from being written\nby multiple \
             users at the same time.",
            field("ID"),
            field("Path"),
            field("Operation"),
            field("Who"),
            field("Version"),
            field("Info"),
        ))
    }

    /// Removes the lock of this id; the trouble in terraform's words where there is none such.
    pub(super) fn force_unlock(&self, id: &str) -> Result<Result<(), String>> {
        let bytes = match fs::read(self.lock_path()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Err(
                    "Failed to unlock state: failed to retrieve lock info: NoSuchKey".to_owned(),
                ));
            }
            Err(error) => return Err(error).context("Failed to read the lock"),
        };
        let info: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if info["ID"].as_str() != Some(id) {
            return Ok(Err(format!(
                "Failed to unlock state: lock ID {id:?} does not match existing lock ID"
            )));
        }
        fs::remove_file(self.lock_path()).context("Failed to remove the lock")?;
        Ok(Ok(()))
    }
}

/// A lock that is held; it is let go by [`Lock::release`] and by nothing else.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
}

impl Lock {
    pub(super) fn release(self) -> Result<()> {
        fs::remove_file(&self.path).context("Failed to release the lock")
    }
}
