//! The stub as tests hold it: its directory, its two commands, and what it has recorded.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    DIR_VARIABLE, apply, cloud_file,
    control::Control,
    log::{self, Event, EventKind},
    state::UnitDir,
    trouble::gate,
};
use crate::cloud::{Cloud, CloudFile};

/// The stub's binary as cargo names it.
const BINARY: &str = "stub-terragrunt";
/// What processes of the stub are called, so that nobody takes them for the real ones.
const TERRAGRUNT: &str = "stub-terragrunt";
const TERRAFORM: &str = "stub-terraform";

/// A directory of the stub, ready to be used.
#[derive(Debug, Clone)]
pub struct StubWorld {
    dir: PathBuf,
}

impl StubWorld {
    /// Lays out `dir` (the stub's `STUB_DIR`) with the commands `bin/stub-terragrunt` and `bin/stub-terraform`.
    pub fn create(dir: &Path) -> Result<StubWorld> {
        let bin = dir.join("bin");
        fs::create_dir_all(&bin).with_context(|| format!("Failed to create {}", bin.display()))?;
        let binary = binary()?;
        for name in [TERRAGRUNT, TERRAFORM] {
            let link = bin.join(name);
            if !link.is_symlink() {
                symlink(&binary, &link)
                    .with_context(|| format!("Failed to link {}", link.display()))?;
            }
        }
        Ok(StubWorld {
            dir: dir.to_owned(),
        })
    }

    /// The directory, for [`crate::standin::Source::StubDir`].
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The command for `terragrunt.binary`.
    pub fn terragrunt(&self) -> PathBuf {
        self.dir.join("bin").join(TERRAGRUNT)
    }

    /// The command for `terragrunt.terraform`.
    pub fn terraform(&self) -> PathBuf {
        self.dir.join("bin").join(TERRAFORM)
    }

    /// The variable that the stub needs, for `terragrunt.env`.
    pub fn variable(&self) -> (String, String) {
        (
            DIR_VARIABLE.to_owned(),
            self.dir.to_string_lossy().into_owned(),
        )
    }

    /// Tells the stub what to do wrong from now on; runs that go on see it at their next point.
    pub fn control(&self, control: &Control) -> Result<()> {
        control.write(&self.dir)
    }

    /// What the stub is still told to do wrong.
    pub fn controlled(&self) -> Result<Control> {
        Control::read(&self.dir)
    }

    /// Lets every run go on that waits at a [`super::FaultKind::Gate`], now and later.
    pub fn open_gate(&self) -> Result<()> {
        fs::write(gate(&self.dir), "").context("Failed to open the gate")
    }

    /// The stub's cloud, to be read and changed.
    pub fn cloud_file(&self) -> CloudFile {
        cloud_file(&self.dir)
    }

    /// The stub's cloud as it is now.
    pub fn cloud(&self) -> Result<Cloud> {
        self.cloud_file().read()
    }

    /// The target group of an app's groups.
    pub fn target_group(app: &str) -> String {
        apply::target_group(app)
    }

    /// Starts and ends of all runs so far, in their order.
    pub fn events(&self) -> Result<Vec<Event>> {
        log::read(&self.dir)
    }

    /// How many runs of a command have started.
    pub fn started(&self, command: &str) -> Result<usize> {
        let is_start =
            |event: &Event| event.command == command && matches!(event.kind, EventKind::Start(_));
        Ok(self.events()?.into_iter().filter(is_start).count())
    }

    /// How often an apply started while another one of the same unit was running: must be 0.
    pub fn overlaps(&self) -> Result<usize> {
        Ok(self
            .events()?
            .into_iter()
            .filter(|event| event.kind == EventKind::Overlap)
            .count())
    }

    /// Whether the state of a unit (`live/demo/todo/app`) is locked.
    pub fn is_locked(&self, unit: &str) -> Result<bool> {
        Ok(UnitDir::new(&self.dir, unit)?.lock_path().exists())
    }

    /// The addresses in a unit's state, sorted.
    pub fn addresses(&self, unit: &str) -> Result<Vec<String>> {
        Ok(UnitDir::new(&self.dir, unit)?
            .state()?
            .resources
            .into_keys()
            .collect())
    }

    /// Writes a resource into a unit's state, as an apply that nobody remembers would have.
    pub fn put_in_state(&self, unit: &str, address: &str, resource: Value) -> Result<()> {
        let unit = UnitDir::new(&self.dir, unit)?;
        let mut state = unit.state()?;
        state.resources.insert(address.to_owned(), resource);
        unit.save(&state)
    }

    /// An output of a unit; none where there is no such one.
    pub fn output(&self, unit: &str, name: &str) -> Result<Option<Value>> {
        Ok(UnitDir::new(&self.dir, unit)?.state()?.outputs.remove(name))
    }
}

/// The stub's binary: named by `AMID_STUB_TERRAGRUNT`, else beside the test's own.
fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("AMID_STUB_TERRAGRUNT") {
        return Ok(PathBuf::from(path));
    }
    let own = env::current_exe().context("Failed to ask for the test's own path")?;
    // Tests lie in `deps`, one below the programs.
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join(BINARY))
        .find(|path| path.is_file());
    let found = found.unwrap_or_default();
    ensure!(
        found.is_file(),
        "There is no `{BINARY}` beside {}: build it with `cargo build --workspace`",
        own.display()
    );
    Ok(found)
}
