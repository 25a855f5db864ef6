//! Runs terragrunt: the only place where amid starts processes.
//!
//! A [`Terragrunt`] plans, shows, applies and reads the outputs of one unit at
//! a time, and gives back named results or a [`RunError`] that says what to do
//! next. It keeps two promises: at most one apply runs against a unit, also
//! across restarts of the controller, and an apply that runs is left alone,
//! whatever happens to the one who asked for it. It knows the unit's inputs
//! and outputs by name only, and decides nothing about releases.

mod child;
mod command;
mod diagnostic;
mod error;
mod heal;
mod lock;
mod observe;
mod orphan;
mod outcome;
mod output;
mod permits;
mod process;
mod record;
mod result;
mod state;
mod tail;
mod version;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, anyhow};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

use child::{Finished, Spec};
pub use command::{Tools, Vars};
pub use error::RunError;
pub use observe::{End, Observer, Told};
pub use orphan::{Orphan, Unlocked};
use output::Report;
pub use output::{Action, Change, Diagnostic, Kind, LockInfo, Severity};
pub use permits::{Permit, Permits, Priority};
use record::RunDir;
pub use record::{Ending, Operation};
use result::applied;
pub use result::{Applied, Outputs, PlanOptions, Planned, Progress, Unit};
pub use state::StateObject;
pub use version::version;

/// The longest JSON text that `show` or `output` may give, in bytes.
const TEXT_MAX: u64 = 32 * 1024 * 1024;
/// The largest plan file, in bytes.
const PLAN_MAX: u64 = 256 * 1024 * 1024;

/// The runner. Clones share permits and guards.
#[derive(Debug, Clone)]
pub struct Terragrunt {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tools: Tools,
    units: PathBuf,
    permits: Permits,
    guards: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
    progress: Mutex<BTreeMap<String, Progress>>,
    observer: OnceLock<Observer>,
}

/// Held while a run of a unit goes on: runs of one unit never overlap.
type Guard = OwnedMutexGuard<()>;

impl Terragrunt {
    /// A runner that keeps its units under `units`, with as many permits as
    /// memory allows now.
    pub fn new(tools: Tools, units: PathBuf) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let count = permits::count_for(permits::memory_available(), tools.memory_per_run, cores);
        Self::with_permits(tools, units, Permits::new(count))
    }

    /// A runner with a given number of permits.
    pub fn with_permits(tools: Tools, units: PathBuf, permits: Permits) -> Self {
        Self {
            inner: Arc::new(Inner {
                tools,
                units,
                permits,
                guards: Mutex::default(),
                progress: Mutex::default(),
                observer: OnceLock::new(),
            }),
        }
    }

    /// Tells `observer` about every run from now on. The first one stays.
    pub fn observed_by(&self, observer: Observer) {
        let _ = self.inner.observer.set(observer);
    }

    /// How many runs are under way, and how many wait for memory.
    pub fn load(&self) -> (usize, usize) {
        (
            lock(&self.inner.progress).len(),
            self.inner.permits.waiting(),
        )
    }

    /// The unit of an app whose exported terragrunt folder is `work`.
    pub fn unit(&self, app: &str, work: PathBuf) -> Unit {
        Unit {
            app: app.to_owned(),
            dir: self.inner.units.join(app.replace('/', "-")),
            work,
            env: BTreeMap::new(),
            env_without: Vec::new(),
        }
    }

    /// Plans. Dropping the future kills the run, which is harmless.
    pub async fn plan(
        &self,
        unit: &Unit,
        vars: &Vars,
        options: PlanOptions,
    ) -> Result<Planned, RunError> {
        let _guard = self.begin(unit).await?;
        let _permit = self.inner.permits.acquire(options.priority).await;
        let (finished, healed) = self
            .run_healed(unit, Operation::Plan, Some(vars), |run| {
                let out = format!("-out={}", command::text(&run.plan())?);
                let mut args = vec![
                    "plan",
                    "-input=false",
                    "-lock=false",
                    &out,
                    "-detailed-exitcode",
                    "-json",
                ];
                if !options.refresh {
                    args.push("-refresh=false");
                }
                Ok(command::arguments(unit, &args))
            })
            .await?;
        let plan_file = finished.run.plan();
        let report = finished.report;
        Ok(Planned {
            sha256: digest(&plan_file)?,
            plan_file,
            outputs_changed: report.outputs_changed(),
            changes: report.changes,
            diagnostics: report.diagnostics,
            overflowed: report.overflowed,
            drift_lines: report.drift_lines,
            skipped_lines: report.skipped_lines,
            duration: finished.duration,
            peak_memory: finished.peak_memory,
            healed,
            vars: vars.clone(),
            priority: options.priority,
        })
    }

    /// The whole plan as JSON, with values. Takes seconds.
    pub async fn show(&self, unit: &Unit, planned: &Planned) -> Result<Value, RunError> {
        let _guard = self.begin(unit).await?;
        let _permit = self.inner.permits.acquire(planned.priority).await;
        let plan = command::text(&planned.plan_file)?;
        let (finished, _) = self
            .run_healed(unit, Operation::Show, Some(&planned.vars), |_| {
                Ok(command::arguments(unit, &["show", "-json", &plan]))
            })
            .await?;
        read_json(&finished.run.stdout())
    }

    /// Applies a saved plan. The run goes on when the future is dropped, and
    /// when the controller ends; [`Terragrunt::orphan`] finds it again.
    pub async fn apply(&self, unit: &Unit, planned: Planned) -> Result<Applied, RunError> {
        if digest(&planned.plan_file).ok().as_ref() != Some(&planned.sha256) {
            return Err(RunError::StalePlan);
        }
        let guard = self.begin(unit).await?;
        let permit = self.inner.permits.acquire(planned.priority).await;
        let (runner, unit) = (self.clone(), unit.clone());
        let supervised = tokio::spawn(async move {
            let applied = runner.apply_now(&unit, &planned).await;
            drop((guard, permit));
            applied
        });
        supervised.await.context("Failed to supervise an apply")?
    }

    async fn apply_now(&self, unit: &Unit, planned: &Planned) -> Result<Applied, RunError> {
        let plan = command::text(&planned.plan_file)?;
        let (finished, healed) = self
            .run_healed(unit, Operation::Apply, Some(&planned.vars), |_| {
                Ok(command::arguments(
                    unit,
                    &["apply", "-input=false", "-json", &plan],
                ))
            })
            .await?;
        Ok(applied(finished, healed))
    }

    /// The unit's outputs; `None` when it has no state yet.
    pub async fn outputs(&self, unit: &Unit) -> Result<Option<Outputs>, RunError> {
        let _guard = self.begin(unit).await?;
        let _permit = self.inner.permits.acquire(Priority::Roll).await;
        let (finished, _) = self
            .run_healed(unit, Operation::Output, None, |_| {
                Ok(command::arguments(unit, &["output", "-json"]))
            })
            .await?;
        let outputs = read_json(&finished.run.stdout())?;
        let empty = outputs.as_object().is_none_or(serde_json::Map::is_empty);
        Ok((!empty).then(|| Outputs::from_json(&outputs)))
    }

    /// A person has dealt with the states that could not be saved: the unit
    /// may run again. Returns how many there were.
    pub async fn clear_errored(&self, unit: &Unit) -> anyhow::Result<usize> {
        let _guard = self.guard(unit).await;
        heal::clear_errored(unit)
    }

    /// The state that stops this unit, if there is one.
    pub fn errored_state(&self, unit: &Unit) -> anyhow::Result<Option<PathBuf>> {
        heal::errored_state(unit)
    }

    /// What runs for this app now.
    pub fn progress(&self, app: &str) -> Option<Progress> {
        lock(&self.inner.progress).get(app).cloned()
    }

    fn guard_of(&self, unit: &Unit) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(
            lock(&self.inner.guards)
                .entry(unit.dir.clone())
                .or_default(),
        )
    }

    async fn guard(&self, unit: &Unit) -> Guard {
        self.guard_of(unit).lock_owned().await
    }

    /// Waits for this process's runs of the unit, and refuses while a run of
    /// an earlier one goes on or a state waits for a person.
    async fn begin(&self, unit: &Unit) -> Result<Guard, RunError> {
        let guard = self.guard(unit).await;
        record::make_dir(&unit.dir)?;
        if let Some(orphan) = self.open_run(unit, true)
            && let Some(pid) = orphan.pid()
        {
            return Err(RunError::Busy { pid });
        }
        if let Some(path) = heal::errored_state(unit)? {
            return Err(RunError::ErroredState(path));
        }
        if !unit.work.is_dir() {
            return Err(anyhow!(
                "The unit's folder `{}` does not exist in this commit",
                unit.work.display()
            )
            .into());
        }
        Ok(guard)
    }

    /// Runs; if terraform calls its cache broken, wipes that and runs again.
    async fn run_healed(
        &self,
        unit: &Unit,
        operation: Operation,
        vars: Option<&Vars>,
        args: impl Fn(&RunDir) -> Result<Vec<OsString>, RunError> + Send,
    ) -> Result<(Finished, Option<String>), RunError> {
        match self.run_once(unit, operation, vars, &args).await {
            Err((RunError::BrokenCache(what), started)) if !started => {
                let wiped = heal::wipe(unit)?;
                let healed = format!(
                    "Wiped {wiped} cached folders of `{}`, because terraform said: {what}",
                    unit.app
                );
                tracing::warn!(app = %unit.app, "{healed}");
                self.run_once(unit, operation, vars, &args)
                    .await
                    .map(|finished| (finished, Some(healed)))
                    .map_err(|(error, _)| error)
            }
            other => other
                .map(|finished| (finished, None))
                .map_err(|(error, _)| error),
        }
    }

    /// Runs once. The flag beside an error says that an apply may already
    /// have changed something, so that it must not be run again.
    async fn run_once(
        &self,
        unit: &Unit,
        operation: Operation,
        vars: Option<&Vars>,
        args: &(impl Fn(&RunDir) -> Result<Vec<OsString>, RunError> + Send),
    ) -> Result<Finished, (RunError, bool)> {
        let tools = &self.inner.tools;
        let prepared = (|| {
            let run = child::next_run(unit)?;
            let spec = Spec {
                operation,
                program: tools.terragrunt_path()?,
                args: args(&run)?,
                env: tools.environment(unit, operation, vars)?,
                setsid: tools.which("setsid"),
                json_lines: matches!(operation, Operation::Plan | Operation::Apply),
                timeout: match operation {
                    Operation::Apply => tools.apply_timeout,
                    _ => tools.plan_timeout,
                },
                programs: tools.program_names(),
                clock: tools.clock,
            };
            Ok((run, spec))
        })();
        let (run, spec) = prepared.map_err(|error: RunError| (error, false))?;
        let app = unit.app.clone();
        let shown = Shown {
            inner: &self.inner,
            app: &app,
        };
        shown.update(operation, &Report::default());
        let mut finished = child::run(unit, run, spec, |report| shown.update(operation, report))
            .await
            .map_err(|error| (error, false))?;
        drop(shown);
        let mut result = outcome::judge(&finished);
        let ending = outcome::ending(&finished, result.as_ref().map(|&()| ()));
        child::note_ending(&finished.run, &mut finished.record, ending, (tools.clock)());
        // Kept in every case, and it overrules every other word.
        match heal::errored_state(unit) {
            Ok(None) => {}
            Ok(Some(path)) => result = Err(RunError::ErroredState(path)),
            Err(error) => result = Err(error.into()),
        }
        if let Some(observer) = self.inner.observer.get() {
            observer.run(&finished, result.as_ref());
        }
        let may_have_changed = operation == Operation::Apply && finished.report.lines > 1;
        match result {
            Ok(()) => Ok(finished),
            Err(error) => Err((error, may_have_changed)),
        }
    }
}

/// Shows the progress of a run as long as it lives.
struct Shown<'a> {
    inner: &'a Inner,
    app: &'a str,
}

impl Shown<'_> {
    fn update(&self, operation: Operation, report: &Report) {
        let progress = Progress {
            operation,
            running: report.running.iter().take(20).cloned().collect(),
            completed: report.completed.len(),
        };
        lock(&self.inner.progress).insert(self.app.to_owned(), progress);
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        lock(&self.inner.progress).remove(self.app);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest(plan: &Path) -> anyhow::Result<String> {
    let failed = || format!("Failed to read the plan `{}`", plan.display());
    let mut file = fs::File::open(plan).with_context(failed)?.take(PLAN_MAX);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).with_context(failed)? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn read_json(path: &Path) -> Result<Value, RunError> {
    let file =
        fs::File::open(path).with_context(|| format!("Failed to open `{}`", path.display()))?;
    let mut text = Vec::new();
    file.take(TEXT_MAX + 1)
        .read_to_end(&mut text)
        .with_context(|| format!("Failed to read `{}`", path.display()))?;
    if text.len() as u64 > TEXT_MAX {
        return Err(RunError::OutputTooLarge);
    }
    let value = serde_json::from_slice(&text).context("Failed to read terraform's JSON")?;
    Ok(value)
}

#[cfg(test)]
mod tests;
