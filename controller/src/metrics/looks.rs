//! What the loop does all the time: passes, sweeps, its own pace, and what it
//! knows of the repository.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge};

use super::catalogue::Label;
use super::labels::PassResult;
use super::make::Maker;
use super::{Metrics, seconds};
use crate::status::Status;

/// Seconds of a look: a pass, a sweep.
const LOOK_BUCKETS: &[f64] = &[
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Seconds by which the loop is late.
const LAG_BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

pub(super) struct Looks {
    apps_not_shown: IntGauge,
    repository_readable: IntGauge,
    repository_held: IntGauge,
    repository_problems: IntGauge,
    repository_fetched: Gauge,
    repository_head: Gauge,
    swept: Gauge,
    passes: IntCounterVec,
    passes_died: IntCounter,
    passes_running: IntGauge,
    pass_duration: Histogram,
    sweep_duration: Histogram,
    loop_moved: Gauge,
    loop_lag: Histogram,
}

impl Looks {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        let made = Self {
            apps_not_shown: make.gauge(
                "amid_apps_not_shown",
                "Apps without series of their own, because there are too many.",
            )?,
            repository_readable: make.gauge(
                "amid_repository_readable",
                "1 when the last attempt to read the repository worked.",
            )?,
            repository_held: make.gauge(
                "amid_repository_held",
                "1 while the branch was rewritten and nothing newer of it is followed.",
            )?,
            repository_problems: make.gauge(
                "amid_repository_problems",
                "Files below `desired/` that are no app's, and other mistakes outside of manifests.",
            )?,
            repository_fetched: make.float(
                "amid_repository_fetched_timestamp_seconds",
                "When the repository was read last without an error.",
            )?,
            repository_head: make.float(
                "amid_repository_accepted_timestamp_seconds",
                "When the newest commit was accepted.",
            )?,
            swept: make.float(
                "amid_swept_timestamp_seconds",
                "When the last look at every app ended.",
            )?,
            passes: make.counters(
                "amid_passes_total",
                "Passes over one app.",
                &[Label::one_of("result", PassResult::labels)],
            )?,
            passes_died: make.counter(
                "amid_passes_died_total",
                "Passes that panicked: each is a mistake in amid.",
            )?,
            passes_running: make.gauge("amid_passes_running", "Passes under way.")?,
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
            loop_lag: make.histogram(
                "amid_loop_lag_seconds",
                "How late the loop came to a tick that is due every second.",
                LAG_BUCKETS,
            )?,
        };
        for result in PassResult::ALL {
            made.passes.with_label_values(&[result.label()]);
        }
        Ok(made)
    }

    /// What the snapshot says of the repository.
    pub(super) fn observe(&self, status: &Status, hidden: usize) {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.apps_not_shown.set(whole(hidden));
        let repository = &status.repository;
        let readable = repository.error.is_none() && repository.fetched.is_some();
        self.repository_readable.set(i64::from(readable));
        self.repository_held
            .set(i64::from(repository.held.is_some()));
        self.repository_problems
            .set(whole(repository.problems.len()));
        if let Some(fetched) = repository.fetched {
            self.repository_fetched.set(seconds(fetched));
        }
        if let Some(swept) = status.swept {
            self.swept.set(seconds(swept));
        }
    }
}

impl Metrics {
    /// One pass over one app ended.
    pub fn pass(&self, result: PassResult, took: Duration) {
        self.looks.passes.with_label_values(&[result.label()]).inc();
        self.looks.pass_duration.observe(took.as_secs_f64());
    }

    /// A pass panicked.
    pub fn pass_died(&self) {
        self.looks.passes_died.inc();
    }

    /// So many passes are under way.
    pub fn passes_running(&self, passes: usize) {
        let passes = i64::try_from(passes).unwrap_or(i64::MAX);
        self.looks.passes_running.set(passes);
    }

    /// A look at every app ended.
    pub fn sweep(&self, took: Duration) {
        self.looks.sweep_duration.observe(took.as_secs_f64());
    }

    /// The loop moved.
    pub fn loop_moved(&self, at: Timestamp) {
        self.looks.loop_moved.set(seconds(at));
    }

    /// The loop came to a tick so late.
    pub fn loop_lag(&self, late: Duration) {
        self.looks.loop_lag.observe(late.as_secs_f64());
    }

    /// A commit was accepted.
    pub fn repository_head(&self, at: Timestamp) {
        self.looks.repository_head.set(seconds(at));
    }
}
