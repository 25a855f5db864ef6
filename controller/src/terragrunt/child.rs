//! One child from start to end.
//!
//! Every child has a session of its own, no stdin, and files for its output,
//! which are read as they grow: a child never notices whether its supervisor
//! lives. Dropping the supervision of a child that only reads kills its
//! process group; an apply is never signalled, except for one interrupt to
//! terraform alone when it has run past its limit.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::process::{Child, Command};
use tokio::time::{Instant, MissedTickBehavior};

use super::Unit;
use super::error::RunError;
use super::output::{Log, Report};
use super::process;
use super::record::{self, Ending, Operation, Record, RunDir};
use super::tail::Tail;

/// How often the files of a running child are looked at.
const TICK: Duration = Duration::from_millis(200);
/// Every so many ticks memory and the sign of life are looked after.
const SLOW_TICKS: u32 = 5;
/// Output beyond this ends a plan and shortens an apply's file.
pub(super) const OUTPUT_MAX: u64 = 64 * 1024 * 1024;
/// Read at one look; what comes faster is lost in an apply.
const READ_MAX: u64 = 16 * 1024 * 1024;

/// What to run.
#[derive(Debug)]
pub(super) struct Spec {
    pub operation: Operation,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: BTreeMap<String, String>,
    /// The `setsid` program, if there is one.
    pub setsid: Option<PathBuf>,
    /// Stdout is JSON lines; otherwise it is one text, left in its file.
    pub json_lines: bool,
    pub timeout: Duration,
    /// The file names of terragrunt and terraform.
    pub programs: [String; 2],
    pub clock: fn() -> Timestamp,
}

/// Why the supervisor ended a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    Timeout,
    TooLarge,
}

/// A child that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub run: RunDir,
    pub record: Record,
    /// `None` when it was not our child any more.
    pub exit: Option<ExitStatus>,
    pub report: Report,
    pub log: Log,
    pub stopped: Option<Stopped>,
    pub duration: Duration,
    /// Most memory that its process group had at one look, in bytes.
    pub peak_memory: u64,
    /// Part of an apply's output was dropped.
    pub output_lost: bool,
}

/// A started child. Dropping it kills what may be killed.
#[derive(Debug)]
struct Running {
    child: Child,
    pid: u32,
    run: RunDir,
    record: Record,
    clock: fn() -> Timestamp,
    ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended || !self.record.operation.may_be_killed() {
            return;
        }
        process::kill_group(self.pid);
        self.record.ended_at = Some((self.clock)());
        self.record.ending = Some(Ending::Killed);
        if let Err(error) = self.run.write(&self.record) {
            tracing::warn!(error = %format!("{error:#}"), "Failed to note the end of a run");
        }
    }
}

/// Runs one child to its end. `run` is its folder, made beforehand.
pub(super) async fn run(
    unit: &Unit,
    run: RunDir,
    spec: Spec,
    mut progress: impl FnMut(&Report) + Send,
) -> Result<Finished, RunError> {
    let mut running = start(unit, run, &spec)?;
    let started = Instant::now();
    let mut watch = Watch::new(&running.run, &spec)?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut exit = None;
    loop {
        tokio::select! {
            ended = running.child.wait(), if exit.is_none() => {
                exit = Some(ended.context("Failed to wait for a child")?);
            }
            _ = tick.tick() => {}
        }
        watch.look(&mut running, &spec, started.elapsed()).await;
        progress(&watch.report);
        if exit.is_some() && !left_behind(&running, &spec) {
            break;
        }
    }
    watch.finish().await;
    running.ended = true;
    running.record.exit_code = exit.and_then(|exit| exit.code());
    Ok(Finished {
        run: running.run.clone(),
        record: running.record.clone(),
        exit,
        report: watch.report,
        log: watch.log,
        stopped: watch.stopped,
        duration: started.elapsed(),
        peak_memory: watch.peak_memory,
        output_lost: watch.stdout.lost,
    })
}

/// Whether terraform still runs although its terragrunt is gone. What only
/// reads is killed then; an apply is waited for.
fn left_behind(running: &Running, spec: &Spec) -> bool {
    let programs = spec.programs.each_ref().map(String::as_str);
    let living = running.record.living(&programs);
    if spec.operation.may_be_killed() {
        for one in living {
            process::kill(one.pid);
        }
        return false;
    }
    !living.is_empty()
}

/// Writes the record, starts the child, completes the record.
fn start(unit: &Unit, run: RunDir, spec: &Spec) -> Result<Running, RunError> {
    let now = (spec.clock)();
    let mut record = Record {
        run: run.number,
        operation: spec.operation,
        tag: format!("{}@{}", run.path.display(), now.as_microsecond()),
        host: process::host(),
        boot_id: process::boot_id(),
        pid: None,
        start_ticks: None,
        started_at: now,
        ended_at: None,
        ending: None,
        exit_code: None,
        interrupted: false,
    };
    let (stdout, stderr) = (output_file(&run.stdout())?, output_file(&run.stderr())?);
    run.write(&record)?;
    let spawned = command(unit, spec, &record.tag, stdout, stderr).spawn();
    let child = match spawned {
        Ok(child) => child,
        Err(error) => {
            record.ended_at = Some((spec.clock)());
            record.ending = Some(Ending::Failed);
            run.write(&record)?;
            let context = format!("Failed to start `{}`", spec.program.display());
            return Err(match error.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
                    RunError::ToolMissing(format!("{context}: {error}"))
                }
                _ => anyhow::Error::from(error).context(context).into(),
            });
        }
    };
    let pid = child.id().unwrap_or_default();
    record.pid = Some(pid);
    record.start_ticks = process::start_ticks(pid);
    // The child runs already; its tag finds it should this not be written.
    if let Err(error) = run.write(&record) {
        tracing::warn!(error = %format!("{error:#}"), "Failed to note the process of a run");
    }
    Ok(Running {
        child,
        pid,
        run,
        record,
        clock: spec.clock,
        ended: false,
    })
}

fn output_file(path: &std::path::Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("Failed to create `{}`", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts terragrunt"
)]
fn command(unit: &Unit, spec: &Spec, tag: &str, stdout: File, stderr: File) -> Command {
    let mut command = match &spec.setsid {
        Some(setsid) => {
            let mut command = Command::new(setsid);
            command.arg(&spec.program);
            command
        }
        None => {
            let mut command = Command::new(&spec.program);
            command.process_group(0);
            command
        }
    };
    command
        .args(&spec.args)
        .env_clear()
        .envs(&spec.env)
        .env(process::TAG, tag)
        .current_dir(&unit.work)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr);
    command
}

/// What is looked at while a child runs.
#[derive(Debug)]
struct Watch {
    stdout: Tail,
    stderr: Tail,
    json_lines: bool,
    report: Report,
    log: Log,
    stopped: Option<Stopped>,
    peak_memory: u64,
    ticks: u32,
}

impl Watch {
    fn new(run: &RunDir, spec: &Spec) -> anyhow::Result<Self> {
        Ok(Self {
            stdout: Tail::open(run.stdout())?,
            stderr: Tail::open(run.stderr())?,
            json_lines: spec.json_lines,
            report: Report::default(),
            log: Log::default(),
            stopped: None,
            peak_memory: 0,
            ticks: 0,
        })
    }

    async fn look(&mut self, running: &mut Running, spec: &Spec, elapsed: Duration) {
        self.read(READ_MAX).await;
        let killable = spec.operation.may_be_killed();
        for tail in [&mut self.stdout, &mut self.stderr] {
            if tail.length() > OUTPUT_MAX {
                if killable {
                    self.stopped.get_or_insert(Stopped::TooLarge);
                } else {
                    tail.shorten();
                }
            }
        }
        if elapsed > spec.timeout {
            if killable {
                self.stopped.get_or_insert(Stopped::Timeout);
            } else {
                interrupt_once(running, &spec.programs[1]);
                if running.record.interrupted {
                    self.stopped.get_or_insert(Stopped::Timeout);
                }
            }
        }
        if killable && self.stopped.is_some() {
            process::kill_group(running.pid);
        }
        if self.ticks.is_multiple_of(SLOW_TICKS) {
            self.peak_memory = self.peak_memory.max(process::group_memory(running.pid));
            // The time of this write is the sign of life.
            let _ = fs::write(running.run.heartbeat(), b"\n");
        }
        self.ticks = self.ticks.wrapping_add(1);
    }

    /// Reads what came, at most `max` bytes of each stream.
    async fn read(&mut self, max: u64) -> bool {
        let (report, log, json) = (&mut self.report, &mut self.log, self.json_lines);
        let more = json
            && self
                .stdout
                .read(max, |line| match line {
                    Some(line) => report.line(line),
                    None => report.too_long(),
                })
                .await;
        let more_log = self
            .stderr
            .read(max, |line| log.line(line.unwrap_or_default()))
            .await;
        more || more_log
    }

    /// The child has ended: reads the rest.
    async fn finish(&mut self) {
        let mut rounds = OUTPUT_MAX / READ_MAX + 1;
        while self.stopped != Some(Stopped::TooLarge) && rounds > 0 && self.read(READ_MAX).await {
            rounds -= 1;
        }
        let (report, log) = (&mut self.report, &mut self.log);
        self.stdout.lines.finish(|line| match line {
            Some(line) => report.line(line),
            None => report.too_long(),
        });
        self.stderr
            .lines
            .finish(|line| log.line(line.unwrap_or_default()));
    }
}

/// Sends terraform its one interrupt, noting it first.
fn interrupt_once(running: &mut Running, terraform: &str) {
    let (run, record) = (&running.run, &mut running.record);
    send_interrupt(run, record, terraform);
}

/// Longer than a process takes to become another program.
const SETTLED: Duration = Duration::from_secs(1);

/// The same for a run that is not our child any more.
pub(super) fn send_interrupt(run: &RunDir, record: &mut Record, terraform: &str) {
    if record.interrupted {
        return;
    }
    // The youngest: an older one could only be the parent of it. What terraform
    // has just forked, for a provider, still looks like it and would take the
    // one interrupt along.
    let Some(found) = process::tagged(&record.tag)
        .into_iter()
        .rfind(|one| one.program == terraform && process::age(one.pid) >= SETTLED)
    else {
        return;
    };
    record.interrupted = true;
    // Without the note a restart could send a second one, which makes
    // terraform give up without saving the state.
    if let Err(error) = run.write(record) {
        tracing::warn!(error = %format!("{error:#}"), "Failed to note an interrupt, so none is sent");
        record.interrupted = false;
        return;
    }
    tracing::warn!(pid = found.pid, run = %run.path.display(), "The apply took too long: terraform was asked to stop");
    process::interrupt(found.pid);
}

/// Reads the files of a run that ended without us.
pub(super) async fn read_ended(
    run: &RunDir,
    record: Record,
    now: Timestamp,
) -> anyhow::Result<Finished> {
    let mut watch = Watch {
        stdout: Tail::open(run.stdout())?,
        stderr: Tail::open(run.stderr())?,
        json_lines: true,
        report: Report::default(),
        log: Log::default(),
        stopped: record.interrupted.then_some(Stopped::Timeout),
        peak_memory: 0,
        ticks: 0,
    };
    watch.finish().await;
    let ended = record.ended_at.or_else(|| run.last_sign()).unwrap_or(now);
    let duration = Duration::try_from(ended.duration_since(record.started_at)).unwrap_or_default();
    Ok(Finished {
        run: run.clone(),
        record,
        exit: None,
        report: watch.report,
        log: watch.log,
        stopped: watch.stopped,
        duration,
        peak_memory: 0,
        output_lost: false,
    })
}

/// Notes how a run ended.
pub(super) fn note_ending(run: &RunDir, record: &mut Record, ending: Ending, now: Timestamp) {
    record.ending = Some(ending);
    record.ended_at = Some(now);
    if let Err(error) = run.write(record) {
        tracing::warn!(error = %format!("{error:#}"), "Failed to note the end of a run");
    }
}

/// Makes the folder of the next run of a unit.
pub(super) fn next_run(unit: &Unit) -> anyhow::Result<RunDir> {
    record::create(&unit.dir)
}
