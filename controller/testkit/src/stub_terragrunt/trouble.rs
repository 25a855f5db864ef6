//! The points of a run at which it may be disturbed: by a fault of the control file, or by a signal.
//!
//! One SIGINT or SIGTERM lets the run stop at its next point with everything saved, a second one ends it on
//! the spot with the lock left behind, as with terraform. A signal also ends a pause.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Signal, getpid, kill_process};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
    time::sleep,
};

use super::{
    control::{Control, FaultKind, Point},
    core::Run,
    ui,
};

/// How often a run at a closed gate looks at it.
const GATE_LOOK: Duration = Duration::from_millis(10);

/// The file that opens the gate.
pub(super) fn gate(dir: &Path) -> PathBuf {
    dir.join("gate-is-open")
}

/// Why a run goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It has said what is wrong: what is done is saved, the lock let go, exit 1.
    Failed,
    /// The same, but the state goes to `errored.tfstate`.
    Unsaved,
    /// It ends well without another word; saved, lock let go.
    Silent,
    /// It ends with exit 0 at once; nothing saved, lock kept.
    Abrupt,
}

/// Signals that came.
#[derive(Debug, Default)]
pub(super) struct Signals {
    count: AtomicU32,
    ignore: AtomicBool,
    came: Notify,
}

impl Run {
    /// The point before a run's first word.
    pub(super) async fn start(&self) -> Result<Option<Stop>> {
        for fault in Control::take(&self.dir, &self.command, &self.unit, Point::Start)? {
            if let Some(stop) = self.play(fault).await? {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    /// A point of the run, after so many resources: pauses, plays faults, looks for signals.
    pub(super) async fn point(&self, done: usize) -> Result<Option<Stop>> {
        let control = Control::read(&self.dir)?;
        if control.pause_ms > 0 {
            self.signals
                .unless_came(sleep(Duration::from_millis(control.pause_ms)))
                .await;
        }
        for fault in Control::take(&self.dir, &self.command, &self.unit, Point::After(done))? {
            if let Some(stop) = self.play(fault).await? {
                return Ok(Some(stop));
            }
        }
        if self.signals.count.load(Ordering::SeqCst) > 0 {
            ui::remark(
                "\nInterrupt received.\nPlease wait for Terraform to exit or data loss may occur.\nGracefully shutting down...\n",
            )?;
            ui::remark("Stopping operation...")?;
            ui::error("execution halted", "", None)?;
            return Ok(Some(Stop::Failed));
        }
        Ok(None)
    }

    async fn play(&self, fault: FaultKind) -> Result<Option<Stop>> {
        match fault {
            FaultKind::Fail { summary, detail } => {
                ui::error(&summary, &detail, None)?;
                return Ok(Some(Stop::Failed));
            }
            FaultKind::Stderr(text) => {
                eprintln!("{text}");
                return Ok(Some(Stop::Failed));
            }
            FaultKind::ErroredState => return Ok(Some(Stop::Unsaved)),
            FaultKind::ExitZero => return Ok(Some(Stop::Abrupt)),
            FaultKind::HalfJson => {
                ui::raw(b"{\"@level\":\"info\",\"type\":\"planned_change\",\"change\":{\"resource\":{\"addr\":\"aws_auto")?;
                return Ok(Some(Stop::Silent));
            }
            FaultKind::Flood(bytes) => pour(
                bytes,
                b"This line is no JSON, and there are many of its kind.\n",
            )?,
            FaultKind::LongLine(bytes) => {
                pour(bytes, &[b'x'; 4_096])?;
                ui::raw(b"\n")?;
            }
            FaultKind::Binary(bytes) => {
                let all: Vec<u8> = (0..=255).collect();
                pour(bytes, &all)?;
                ui::raw(b"\n")?;
            }
            FaultKind::Hang => self.signals.unless_came(std::future::pending()).await,
            FaultKind::Gate => {
                while !gate(&self.dir).exists() {
                    sleep(GATE_LOOK).await;
                }
            }
            FaultKind::IgnoreSignals => self.signals.ignore.store(true, Ordering::SeqCst),
            FaultKind::Kill => {
                kill_process(getpid(), Signal::KILL).context("Failed to kill myself")?;
                std::future::pending::<()>().await;
            }
        }
        Ok(None)
    }
}

impl Stop {
    /// The exit code of a command that holds no lock.
    pub(super) fn code(self) -> u8 {
        match self {
            Stop::Failed | Stop::Unsaved => 1,
            Stop::Silent | Stop::Abrupt => 0,
        }
    }
}

impl Signals {
    /// Counts SIGINT and SIGTERM from now on; the second ends the process on the spot.
    pub(super) fn listen() -> Result<Arc<Signals>> {
        let signals = Arc::new(Signals::default());
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let mut stream = signal(kind).context("Failed to listen for signals")?;
            let signals = Arc::clone(&signals);
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    if signals.ignore.load(Ordering::SeqCst) {
                        continue;
                    }
                    if signals.count.fetch_add(1, Ordering::SeqCst) > 0 {
                        std::process::exit(1);
                    }
                    signals.came.notify_one();
                }
            });
        }
        Ok(signals)
    }

    /// Waits for something unless a signal comes, or came, first.
    async fn unless_came(&self, wait: impl Future<Output = ()>) {
        if self.count.load(Ordering::SeqCst) == 0 {
            tokio::select! {
                () = wait => {}
                () = self.came.notified() => {}
            }
        }
    }
}

/// Prints so many bytes of a pattern.
fn pour(bytes: u64, pattern: &[u8]) -> Result<()> {
    let block = pattern.repeat((1 << 16) / pattern.len().max(1));
    let mut left = bytes;
    while left > 0 {
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        ui::raw(block.get(..take).unwrap_or_default())?;
        left -= u64::try_from(take).unwrap_or(left);
    }
    Ok(())
}
