//! What rolls come to, all apps together: steps, phases, the parts of the way
//! from a commit to its end, failures and reverts.

use std::time::Duration;

use amid_core::course::Measured;
use amid_core::decide::Phase;
use amid_core::history::Outcome;
use amid_core::reason::{FAILURE_LABELS, Failure};
use amid_core::step::ApplyKind;
use anyhow::Result;
use jiff::SignedDuration;
use prometheus::{Histogram, HistogramVec, IntCounterVec};

use super::Metrics;
use super::catalogue::Label;
use super::labels::{RevertResult, RunResult};
use super::make::Maker;

/// Seconds of a roll, up to eight hours.
const ROLL_BUCKETS: &[f64] = &[
    30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0,
];
/// Seconds from commit to detection.
const DETECT_BUCKETS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
];

pub(super) struct Rolls {
    steps: IntCounterVec,
    duration: HistogramVec,
    phase: HistogramVec,
    failed: IntCounterVec,
    reverts: IntCounterVec,
    detected: Histogram,
    group_made: Histogram,
    healthy: Histogram,
    done: Histogram,
}

/// A commit's way to an end.
pub(super) fn outcomes() -> Vec<&'static str> {
    Outcome::ALL.iter().map(|one| one.label()).collect()
}

/// The phases of a roll. The others last as long as nobody does anything.
fn rolling() -> Vec<&'static str> {
    Phase::ALL
        .iter()
        .filter(|phase| is_rolling(**phase))
        .map(|phase| phase.label())
        .collect()
}

fn is_rolling(phase: Phase) -> bool {
    !matches!(phase, Phase::Steady | Phase::Held)
}

fn steps() -> Vec<&'static str> {
    ApplyKind::ALL.iter().map(|one| one.label()).collect()
}

fn step_results() -> Vec<&'static str> {
    vec![RunResult::Ok.label(), RunResult::Failed.label()]
}

impl Rolls {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        let made = Self {
            steps: make.counters(
                "amid_steps_total",
                "Steps of rolls that came to their end.",
                &[
                    Label::one_of("step", steps),
                    Label::one_of("result", step_results),
                ],
            )?,
            duration: make.histograms(
                "amid_roll_duration_seconds",
                "Duration of a roll, from its first step until its commit came to its end.",
                &[Label::one_of("outcome", outcomes)],
                ROLL_BUCKETS,
            )?,
            phase: make.histograms(
                "amid_roll_phase_seconds",
                "Time that a roll spent in a phase.",
                &[Label::one_of("phase", rolling)],
                ROLL_BUCKETS,
            )?,
            failed: make.counters(
                "amid_rolls_failed_total",
                "Releases that were given up, by reason.",
                &[Label::one_of("reason", || FAILURE_LABELS.to_vec())],
            )?,
            reverts: make.counters(
                "amid_reverts_total",
                "Revert commits that amid wrote, by what became of them.",
                &[Label::one_of("result", RevertResult::labels)],
            )?,
            detected: make.histogram(
                "amid_commit_to_detected_seconds",
                "Time from a commit until amid saw it.",
                DETECT_BUCKETS,
            )?,
            group_made: make.histogram(
                "amid_commit_to_group_seconds",
                "Time from a commit until the group of its release was made.",
                ROLL_BUCKETS,
            )?,
            healthy: make.histogram(
                "amid_commit_to_healthy_seconds",
                "Time from a commit until its release was healthy.",
                ROLL_BUCKETS,
            )?,
            done: make.histogram(
                "amid_commit_to_done_seconds",
                "Time from a commit until its release was live and the one before it gone.",
                ROLL_BUCKETS,
            )?,
        };
        for step in ApplyKind::ALL {
            for result in step_results() {
                made.steps.with_label_values(&[step.label(), result]);
            }
        }
        for outcome in outcomes() {
            made.duration.with_label_values(&[outcome]);
        }
        for phase in rolling() {
            made.phase.with_label_values(&[phase]);
        }
        for reason in FAILURE_LABELS {
            made.failed.with_label_values(&[reason]);
        }
        for result in RevertResult::ALL {
            made.reverts.with_label_values(&[result.label()]);
        }
        Ok(made)
    }
}

impl Metrics {
    /// A step of a roll ended.
    pub fn step(&self, step: ApplyKind, ok: bool) {
        let result = if ok { RunResult::Ok } else { RunResult::Failed };
        self.rolls
            .steps
            .with_label_values(&[step.label(), result.label()])
            .inc();
    }

    /// A roll left `phase`.
    pub fn roll_phase(&self, phase: Phase, took: Duration) {
        if is_rolling(phase) {
            self.rolls
                .phase
                .with_label_values(&[phase.label()])
                .observe(took.as_secs_f64());
        }
    }

    /// A release was given up.
    pub fn roll_failed(&self, failure: &Failure) {
        self.rolls
            .failed
            .with_label_values(&[failure.label()])
            .inc();
    }

    /// A revert commit was pushed, or refused.
    pub fn revert(&self, result: RevertResult) {
        self.rolls
            .reverts
            .with_label_values(&[result.label()])
            .inc();
    }

    /// A part of a commit's way came to its end.
    pub fn measured(&self, app: &str, measured: Measured) {
        let rolls = &self.rolls;
        match measured {
            Measured::Detected(took) => rolls.detected.observe(in_seconds(took)),
            Measured::GroupMade(took) => rolls.group_made.observe(in_seconds(took)),
            Measured::Healthy(took) => rolls.healthy.observe(in_seconds(took)),
            Measured::Done(took) => {
                rolls.done.observe(in_seconds(took));
                self.lead_time(app, in_seconds(took));
            }
            Measured::Rolled(outcome, took) => rolls
                .duration
                .with_label_values(&[outcome.label()])
                .observe(in_seconds(took)),
            Measured::Restored(took) => self.restored(app, in_seconds(took)),
        }
    }
}

/// Times between two clocks are kept in milliseconds; more would be made up.
fn in_seconds(took: SignedDuration) -> f64 {
    Duration::try_from(took).unwrap_or_default().as_secs_f64()
}
