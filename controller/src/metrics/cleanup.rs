//! The metrics of clean-up: how many images there are and what keeps them, what
//! was deleted, and why a run was not completed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use amid_core::retention::{Blocker, Cleaning, Keep, Stage, Wait};
use anyhow::Result;
use jiff::Timestamp;
use prometheus::core::GenericGaugeVec;
use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::catalogue::Label;
use super::make::Maker;
use super::{MAX_APPS, lock, seconds};
use crate::aws::SnapshotResult;
use crate::cleanup::report::{Run, RunResult};

/// Words for a run that ended between two requests, beside those of
/// [`Blocker`].
const STOPPED: &[&str] = &["stopping", "git_moved", "throttled", "failed"];

fn stages() -> Vec<&'static str> {
    Stage::ALL.iter().map(|stage| stage.label()).collect()
}

fn snapshot_results() -> Vec<&'static str> {
    SnapshotResult::ALL.iter().map(|one| one.label()).collect()
}

fn run_results() -> Vec<&'static str> {
    RunResult::ALL.iter().map(|one| one.label()).collect()
}

fn abort_reasons() -> Vec<&'static str> {
    Blocker::LABELS.iter().chain(STOPPED).copied().collect()
}

/// The metrics of clean-up.
pub struct CleanupMetrics {
    images: IntGaugeVec,
    protected: IntGaugeVec,
    deregistered: IntCounter,
    snapshots: IntCounterVec,
    runs: IntCounterVec,
    aborted: IntCounterVec,
    last_complete: Gauge,
    waiting_bytes: IntGauge,
    freed_bytes: IntCounter,
    waiting_cost: Gauge,
    disagreements: IntCounter,
    newest: GaugeVec,
    /// By account and region: gauges are sums over all of them.
    places: Mutex<BTreeMap<String, Figures>>,
}

/// The figures of one account and region.
#[derive(Default)]
struct Figures {
    images: BTreeMap<String, BTreeMap<Stage, u32>>,
    newest: BTreeMap<String, Timestamp>,
    protected: BTreeMap<String, u32>,
    waiting_bytes: u64,
    waiting_cost: f64,
    /// Images that the second opinion disagrees on: each counts once as long
    /// as that lasts.
    disagreements: BTreeSet<String>,
}

impl CleanupMetrics {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        let metrics = Self {
            images: make.gauges(
                "amid_images",
                "Own images by app and by where they stand on their way out; the app is empty where no rule claims them.",
                &[Label::APP, Label::one_of("stage", stages)],
            )?,
            protected: make.gauges(
                "amid_images_protected",
                "Images that are kept, by what keeps them; one image may have several reasons.",
                &[Label::one_of("reason", || Keep::LABELS.to_vec())],
            )?,
            deregistered: make.register(IntCounter::new(
                "amid_images_deregistered_total",
                "Images that clean-up deregistered.",
            ))?,
            snapshots: make.counters(
                "amid_image_snapshots_deleted_total",
                "Snapshots of images whose deletion was asked for, by how that ended.",
                &[Label::one_of("result", snapshot_results)],
            )?,
            runs: make.counters(
                "amid_cleanup_runs_total",
                "Runs of clean-up by how they ended.",
                &[Label::one_of("result", run_results)],
            )?,
            aborted: make.counters(
                "amid_cleanup_aborted_total",
                "Runs of clean-up that took nothing more away, by why.",
                &[Label::one_of("reason", abort_reasons)],
            )?,
            last_complete: make.float(
                "amid_cleanup_last_complete_timestamp_seconds",
                "When a run of clean-up last read everything and did what it decided, or only reported because it is told to.",
            )?,
            waiting_bytes: make.gauge(
                "amid_cleanup_waiting_bytes",
                "Full size of snapshots on their way out.",
            )?,
            freed_bytes: make.register(IntCounter::new(
                "amid_cleanup_freed_bytes_total",
                "Full size of snapshots that were deleted.",
            ))?,
            waiting_cost: make.float(
                "amid_cleanup_waiting_cost_upper_bound_dollars",
                "What snapshots on their way out cost a month at the most: their full size times the configured price.",
            )?,
            disagreements: make.register(IntCounter::new(
                "amid_cleanup_disagreements_total",
                "Images that were about to go and that AWS knows a user of which no list named.",
            ))?,
            newest: make.register(GenericGaugeVec::new(
                Opts::new(
                    "amid_images_newest_timestamp_seconds",
                    "When the newest image of an app was made.",
                ),
                &["app"],
            ))?,
            places: Mutex::default(),
        };
        for reason in Keep::LABELS {
            metrics.protected.with_label_values(&[reason]).set(0);
        }
        for result in SnapshotResult::ALL {
            metrics.snapshots.with_label_values(&[result.label()]);
        }
        for result in RunResult::ALL {
            metrics.runs.with_label_values(&[result.label()]);
        }
        for reason in Blocker::LABELS.iter().chain(STOPPED) {
            metrics.aborted.with_label_values(&[reason]);
        }
        Ok(metrics)
    }

    /// One account and region was decided on.
    pub fn decided(&self, cleaning: &Cleaning) {
        let by_config = ["off", "report_mode", "first_runs"];
        for blocker in &cleaning.blockers {
            if !by_config.contains(&blocker.label()) {
                self.aborted(blocker.label());
            }
        }
        let disagreements = cleaning
            .images
            .iter()
            .filter(|image| matches!(image.wait, Some(Wait::Disagreement { .. })))
            .map(|image| image.ami.to_string())
            .collect();
        let mut places = lock(&self.places);
        let before = places
            .get(&cleaning.place.to_string())
            .map(|figures| figures.disagreements.clone())
            .unwrap_or_default();
        let figures = Figures {
            images: cleaning.summary.images.clone(),
            newest: cleaning.summary.newest.clone(),
            protected: cleaning.summary.protected.clone(),
            waiting_bytes: cleaning.summary.waiting_bytes,
            waiting_cost: cleaning.summary.waiting_cost_upper_bound,
            disagreements,
        };
        let new = figures.disagreements.difference(&before).count();
        self.disagreements.inc_by(u64::try_from(new).unwrap_or(0));
        places.insert(cleaning.place.to_string(), figures);
        self.show(&places);
    }

    /// Makes the gauges say what all places together have.
    fn show(&self, places: &BTreeMap<String, Figures>) {
        let mut images: BTreeMap<(&str, Stage), i64> = BTreeMap::new();
        let mut newest: BTreeMap<&str, Timestamp> = BTreeMap::new();
        let mut protected: BTreeMap<&str, i64> = BTreeMap::new();
        for figures in places.values() {
            for (app, stages) in figures.images.iter().take(MAX_APPS) {
                for stage in Stage::ALL {
                    let count = stages.get(stage).copied().unwrap_or(0);
                    *images.entry((app, *stage)).or_default() += i64::from(count);
                }
            }
            for (app, at) in figures.newest.iter().take(MAX_APPS) {
                let newest = newest.entry(app).or_insert(*at);
                *newest = (*newest).max(*at);
            }
            for (reason, count) in &figures.protected {
                *protected.entry(reason).or_default() += i64::from(*count);
            }
        }
        self.images.reset();
        for ((app, stage), count) in images {
            self.images
                .with_label_values(&[app, stage.label()])
                .set(count);
        }
        self.newest.reset();
        for (app, at) in newest {
            self.newest.with_label_values(&[app]).set(seconds(at));
        }
        for reason in Keep::LABELS {
            let count = protected.get(reason).copied().unwrap_or(0);
            self.protected.with_label_values(&[reason]).set(count);
        }
        let bytes = places
            .values()
            .map(|figures| figures.waiting_bytes)
            .sum::<u64>();
        self.waiting_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let cost = places.values().map(|figures| figures.waiting_cost).sum();
        self.waiting_cost.set(cost);
    }

    /// What one run deleted.
    pub fn deleted(
        &self,
        deregistered: u64,
        snapshots: &BTreeMap<SnapshotResult, u64>,
        freed: u64,
    ) {
        self.deregistered.inc_by(deregistered);
        self.freed_bytes.inc_by(freed);
        for (result, count) in snapshots {
            self.snapshots
                .with_label_values(&[result.label()])
                .inc_by(*count);
        }
    }

    /// A run takes nothing more away.
    pub fn aborted(&self, reason: &str) {
        // Only words that were there from the start: the set stays closed.
        if Blocker::LABELS.contains(&reason) || STOPPED.contains(&reason) {
            self.aborted.with_label_values(&[reason]).inc();
        }
    }

    /// When a run was last complete, by what an earlier daemon wrote down.
    pub fn complete(&self, at: Timestamp) {
        self.last_complete.set(seconds(at));
    }

    /// A run over all places ended.
    pub fn run(&self, run: &Run) {
        self.runs.with_label_values(&[run.result.label()]).inc();
        if run.result != RunResult::Aborted {
            self.last_complete.set(seconds(run.ended));
        }
    }
}
