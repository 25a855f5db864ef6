//! What goes into the runner and what comes out of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::child::Finished;
use super::command::Vars;
use super::output::{Change, Diagnostic};
use super::permits::Priority;
use super::record::Operation;

/// One app's unit as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The app's name, `demo/todo`.
    pub app: String,
    /// Amid's own folder of this unit: cache, runs, kept states.
    pub dir: PathBuf,
    /// The terragrunt folder inside the exported tree.
    pub work: PathBuf,
    /// Variables of its account and region.
    pub env: BTreeMap<String, String>,
    /// Variables that are not inherited, because they would go before those.
    pub env_without: Vec<String>,
}

impl Unit {
    /// Terragrunt's download folder: it outlives exports and runs.
    pub(super) fn cache(&self) -> PathBuf {
        self.dir.join("cache")
    }
}

/// How to plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// Ask AWS for the present state of every resource.
    pub refresh: bool,
    /// Whether the plan, and its apply, go before others.
    pub priority: Priority,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            refresh: true,
            priority: Priority::Roll,
        }
    }
}

/// A plan that was made and saved.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What it would change; reads are left out.
    pub changes: Vec<Change>,
    /// Outputs that it would change, `releases` or `memory`, say.
    pub outputs_changed: Vec<String>,
    /// Warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// The saved plan.
    pub plan_file: PathBuf,
    /// SHA-256 of that file, in hex. Another plan of the same has another one.
    pub sha256: String,
    /// There were more changes than are kept here.
    pub overflowed: bool,
    /// Lines about drift; every earlier create causes one.
    pub drift_lines: u64,
    /// Lines of output that were not understood.
    pub skipped_lines: u64,
    /// How long it took.
    pub duration: Duration,
    /// The most memory that its processes had at one look, in bytes.
    pub peak_memory: u64,
    /// What was mended on the way, in a sentence.
    pub healed: Option<String>,
    pub(super) vars: Vars,
    pub(super) priority: Priority,
}

impl Planned {
    /// Whether an apply of it would change nothing at all.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.outputs_changed.is_empty()
    }
}

/// An apply that ended well.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The unit's outputs afterwards.
    pub outputs: Outputs,
    /// The changes that were made.
    pub completed: Vec<Change>,
    /// How long it took.
    pub duration: Duration,
    /// The most memory that its processes had at one look, in bytes.
    pub peak_memory: u64,
    /// Part of what it printed was dropped: `completed` may be short.
    pub output_lost: bool,
    /// What was mended on the way, in a sentence.
    pub healed: Option<String>,
}

/// The outputs that every unit of amid has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outputs {
    /// The map of releases; null when the unit has none.
    pub releases: Value,
    /// The hash of the module's wiring.
    pub wiring: String,
    /// What the module stores for amid.
    pub memory: String,
}

impl Outputs {
    /// Reads `{"releases":{"value":…},…}`.
    pub(super) fn from_json(outputs: &Value) -> Self {
        let text = |name: &str| {
            outputs[name]["value"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            releases: outputs["releases"]["value"].clone(),
            wiring: text("wiring"),
            memory: text("memory"),
        }
    }
}

/// What a run does at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The operation.
    pub operation: Operation,
    /// Resources that are being changed.
    pub running: Vec<String>,
    /// How many are done.
    pub completed: usize,
}

/// Makes the result of an apply that was judged good.
pub(super) fn applied(finished: Finished, healed: Option<String>) -> Applied {
    Applied {
        outputs: finished
            .report
            .outputs
            .as_ref()
            .map(Outputs::from_json)
            .unwrap_or_default(),
        completed: finished.report.completed,
        duration: finished.duration,
        peak_memory: finished.peak_memory,
        output_lost: finished.output_lost,
        healed,
    }
}
