//! Every metric: its name, help text, labels and buckets.
//!
//! Gauges of apps are computed from the [`Status`] snapshot, which is also
//! what page and command line show; counters and histograms are fed by typed
//! methods. Label values come from closed sets ([`labels`] and the enums of
//! `amid-core`); the only open one is the app's name, and of those at most
//! [`MAX_APPS`] are shown. There is no label for commits, images, paths or
//! users: their number only grows.

mod apps;
pub mod cleanup;
pub mod labels;
mod make;
pub mod notify;
mod process;
#[cfg(test)]
mod tests;

use std::time::Duration;

use amid_core::decide::Phase;
use amid_core::step::ApplyKind;
use anyhow::Result;
use jiff::Timestamp;
use prometheus::{Gauge, Histogram, HistogramVec, IntCounterVec, IntGauge, Registry, TextEncoder};
use tokio::sync::watch;

use crate::status::Status;
use labels::{AwsCode, AwsService, PassResult, RunCommand, RunResult, WebhookResult};
use make::Maker;

/// The most apps that have series of their own; `amid_apps_not_shown` counts
/// the others.
pub const MAX_APPS: usize = 2_000;

/// The most holds of one app that have series.
const MAX_HOLDS: usize = 8;

/// Seconds of a look: a fetch, a pass, a sweep.
const LOOK_BUCKETS: &[f64] = &[
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Seconds of one terragrunt run.
const RUN_BUCKETS: &[f64] = &[
    1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 900.0, 3600.0,
];
/// Seconds of a roll, up to eight hours.
const ROLL_BUCKETS: &[f64] = &[
    30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0,
];
/// Seconds from push to detection.
const DETECT_BUCKETS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
];

/// The metrics of one daemon, in a registry of their own.
pub struct Metrics {
    registry: Registry,
    /// What the series of apps are written from.
    apps: std::sync::Mutex<apps::Apps>,
    cleanup: cleanup::CleanupMetrics,

    apps_not_shown: IntGauge,
    repository_readable: IntGauge,
    repository_fetched: Gauge,
    repository_head: Gauge,
    swept: Gauge,

    passes: IntCounterVec,
    pass_duration: Histogram,
    sweep_duration: Histogram,
    loop_moved: Gauge,
    steps: IntCounterVec,
    runs: IntCounterVec,
    run_duration: HistogramVec,
    running: IntGauge,
    fetches: IntCounterVec,
    fetch_duration: Histogram,
    aws_requests: IntCounterVec,
    webhooks: IntCounterVec,
    roll_duration: Histogram,
    roll_phase: HistogramVec,
    commit_to_detected: Histogram,
    commit_to_healthy: Histogram,

    notify: notify::Notify,

    resident: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
}

/// One request to AWS that was answered.
#[derive(Clone, Copy, Debug)]
pub struct AwsRequest {
    /// Who was asked.
    pub service: AwsService,
    /// What was asked, as the API names it: `DescribeInstances`. A literal,
    /// so that the set stays closed.
    pub operation: &'static str,
    /// What came back.
    pub code: AwsCode,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    ///
    /// A name stands here twice.
    pub fn new(version: &str, revision: &str) -> Result<Self> {
        let registry = Registry::new();
        let make = Maker(&registry);
        make.gauges(
            "amid_build_info",
            "What runs: always 1.",
            &["version", "revision"],
        )?
        .with_label_values(&[version, revision])
        .set(1);
        let metrics = Self {
            apps_not_shown: make.gauge(
                "amid_apps_not_shown",
                "Apps without series of their own, because there are too many.",
            )?,
            repository_readable: make.gauge(
                "amid_repository_readable",
                "1 when the last attempt to read the repository worked.",
            )?,
            repository_fetched: make.float(
                "amid_repository_fetched_timestamp_seconds",
                "When the repository was read last without an error.",
            )?,
            repository_head: make.float(
                "amid_repository_head_timestamp_seconds",
                "When the accepted commit was made.",
            )?,
            swept: make.float(
                "amid_swept_timestamp_seconds",
                "When the last look at every app ended.",
            )?,
            passes: make.counters("amid_passes_total", "Passes over one app.", &["result"])?,
            pass_duration: make.histogram(
                "amid_pass_duration_seconds",
                "Duration of a pass over one app.",
                LOOK_BUCKETS,
            )?,
            sweep_duration: make.histogram(
                "amid_sweep_duration_seconds",
                "Duration of a look at every app.",
                LOOK_BUCKETS,
            )?,
            loop_moved: make.float(
                "amid_loop_last_moved_timestamp_seconds",
                "When the controller's loop moved last.",
            )?,
            steps: make.counters(
                "amid_steps_total",
                "Steps of rolls that came to their end.",
                &["step", "result"],
            )?,
            runs: make.counters(
                "amid_terragrunt_runs_total",
                "Runs of terragrunt that came to their end.",
                &["command", "result"],
            )?,
            run_duration: make.histograms(
                "amid_terragrunt_run_duration_seconds",
                "Duration of a run of terragrunt.",
                &["command"],
                RUN_BUCKETS,
            )?,
            running: make.gauge("amid_terragrunt_running", "Runs of terragrunt under way.")?,
            fetches: make.counters("amid_git_fetches_total", "Fetches from git.", &["result"])?,
            fetch_duration: make.histogram(
                "amid_git_fetch_duration_seconds",
                "Duration of a fetch from git.",
                LOOK_BUCKETS,
            )?,
            aws_requests: make.counters(
                "amid_aws_requests_total",
                "Requests to AWS, by what was answered.",
                &["service", "operation", "code"],
            )?,
            webhooks: make.counters(
                "amid_webhook_requests_total",
                "Requests to the webhook listener.",
                &["result"],
            )?,
            roll_duration: make.histogram(
                "amid_roll_duration_seconds",
                "Duration of a roll, from its first step to its last.",
                ROLL_BUCKETS,
            )?,
            roll_phase: make.histograms(
                "amid_roll_phase_seconds",
                "Time that a roll spent in a phase.",
                &["phase"],
                ROLL_BUCKETS,
            )?,
            commit_to_detected: make.histogram(
                "amid_commit_to_detected_seconds",
                "Time from commit to its detection.",
                DETECT_BUCKETS,
            )?,
            commit_to_healthy: make.histogram(
                "amid_commit_to_healthy_seconds",
                "Time from commit until its release is healthy.",
                ROLL_BUCKETS,
            )?,
            notify: notify::Notify::new(&make)?,
            resident: make.gauge(
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
            )?,
            open_fds: make.gauge("process_open_fds", "Number of open file descriptors.")?,
            max_fds: make.gauge(
                "process_max_fds",
                "Maximum number of open file descriptors.",
            )?,
            apps: std::sync::Mutex::default(),
            cleanup: cleanup::CleanupMetrics::new(&make)?,
            registry: registry.clone(),
        };
        metrics.start_at_zero();
        Ok(metrics)
    }

    /// A series that appears with its first event hides that event from
    /// `rate()`, so every closed set is there from the start.
    fn start_at_zero(&self) {
        for result in PassResult::ALL {
            self.passes.with_label_values(&[result.label()]);
        }
        for result in WebhookResult::ALL {
            self.webhooks.with_label_values(&[result.label()]);
        }
        for result in [RunResult::Ok, RunResult::Failed] {
            self.fetches.with_label_values(&[result.label()]);
        }
        for result in RunResult::ALL {
            for command in RunCommand::ALL {
                self.runs
                    .with_label_values(&[command.label(), result.label()]);
            }
            for step in ApplyKind::ALL {
                self.steps
                    .with_label_values(&[step.label(), result.label()]);
            }
        }
    }

    /// Those of clean-up.
    pub fn cleanup(&self) -> &cleanup::CleanupMetrics {
        &self.cleanup
    }

    /// One pass over one app ended.
    pub fn pass(&self, result: PassResult, took: Duration) {
        self.passes.with_label_values(&[result.label()]).inc();
        self.pass_duration.observe(took.as_secs_f64());
    }

    /// A look at every app ended.
    pub fn sweep(&self, took: Duration) {
        self.sweep_duration.observe(took.as_secs_f64());
    }

    /// The loop moved.
    pub fn loop_moved(&self, at: Timestamp) {
        self.loop_moved.set(seconds(at));
    }

    /// A step of a roll ended.
    pub fn step(&self, step: ApplyKind, result: RunResult) {
        self.steps
            .with_label_values(&[step.label(), result.label()])
            .inc();
    }

    /// A run of terragrunt ended.
    pub fn terragrunt(&self, command: RunCommand, result: RunResult, took: Duration) {
        self.runs
            .with_label_values(&[command.label(), result.label()])
            .inc();
        self.run_duration
            .with_label_values(&[command.label()])
            .observe(took.as_secs_f64());
    }

    /// So many runs of terragrunt are under way.
    pub fn terragrunt_running(&self, runs: usize) {
        self.running.set(i64::try_from(runs).unwrap_or(i64::MAX));
    }

    /// A fetch ended.
    pub fn git_fetch(&self, ok: bool, took: Duration) {
        let result = if ok { RunResult::Ok } else { RunResult::Failed };
        self.fetches.with_label_values(&[result.label()]).inc();
        self.fetch_duration.observe(took.as_secs_f64());
    }

    /// The accepted commit was made then.
    pub fn repository_head(&self, committed: Timestamp) {
        self.repository_head.set(seconds(committed));
    }

    /// AWS answered.
    pub fn aws(&self, request: AwsRequest) {
        self.aws_requests
            .with_label_values(&[
                request.service.label(),
                request.operation,
                request.code.label(),
            ])
            .inc();
    }

    /// A request to the webhook listener was answered.
    pub fn webhook(&self, result: WebhookResult) {
        self.webhooks.with_label_values(&[result.label()]).inc();
    }

    /// The metrics of notifications.
    pub fn notify(&self) -> &notify::Notify {
        &self.notify
    }

    /// A roll came to its end.
    pub fn roll(&self, took: Duration) {
        self.roll_duration.observe(took.as_secs_f64());
    }

    /// A roll left `phase`.
    pub fn roll_phase(&self, phase: Phase, took: Duration) {
        self.roll_phase
            .with_label_values(&[phase.label()])
            .observe(took.as_secs_f64());
    }

    /// A commit was seen so long after it was made.
    pub fn commit_to_detected(&self, took: Duration) {
        self.commit_to_detected.observe(took.as_secs_f64());
    }

    /// A commit's release became healthy so long after the commit was made.
    pub fn commit_to_healthy(&self, took: Duration) {
        self.commit_to_healthy.observe(took.as_secs_f64());
    }

    /// Follows the snapshots until their sender is gone.
    pub async fn follow(&self, mut status: watch::Receiver<std::sync::Arc<Status>>) {
        loop {
            let snapshot = status.borrow_and_update().clone();
            self.observe_status(&snapshot);
            if status.changed().await.is_err() {
                return;
            }
        }
    }

    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        if let Some(process) = process::read() {
            self.resident.set(process.resident);
            self.open_fds.set(process.open_fds);
            self.max_fds.set(process.max_fds);
        }
        let mut text = TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_else(|error| format!("# Failed to write the metrics: {error}\n"));
        lock(&self.apps).write(&mut text);
        text
    }
}

/// Seconds since 1970.
#[expect(
    clippy::cast_precision_loss,
    reason = "a timestamp in milliseconds fits 53 bits"
)]
fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// A poisoned lock only means that another thread panicked while it wrote
/// gauges; they are rewritten as a whole with the next snapshot.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
