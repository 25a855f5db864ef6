//! Every metric: its name, help text, labels and buckets.
//!
//! Gauges of apps are computed from the [`Status`] snapshot, which is also
//! what page and command line show; counters and histograms are fed by typed
//! methods. Label values come from closed sets ([`labels`] and the enums of
//! `amid-core`); the only open one is the app's name, and of those at most
//! [`MAX_APPS`] are shown. There is no label for commits, images, paths or
//! users: their number only grows. Whatever is registered stands on the
//! [`catalogue`], which documents and dashboards are checked against.

mod apps;
pub mod catalogue;
pub mod cleanup;
pub mod labels;
mod looks;
mod make;
pub mod notify;
mod process;
mod requests;
mod rolls;
#[cfg(test)]
mod tests;

use anyhow::Result;
use jiff::Timestamp;
use prometheus::{IntGaugeVec, Registry, TextEncoder};
use tokio::sync::watch;

use crate::status::Status;
use catalogue::{Family, Label};
use make::Maker;
pub use requests::{AwsRequest, TerragruntRun};

/// The most apps that have series of their own; `amid_apps_not_shown` counts
/// the others.
pub const MAX_APPS: usize = 2_000;

/// The most holds of one app that have series.
const MAX_HOLDS: usize = 8;

/// The metrics of one daemon, in a registry of their own.
pub struct Metrics {
    registry: Registry,
    catalogue: Vec<Family>,
    config: IntGaugeVec,
    /// What the series of apps are written from.
    apps: std::sync::Mutex<apps::Apps>,
    cleanup: cleanup::CleanupMetrics,
    notify: notify::Notify,
    looks: looks::Looks,
    requests: requests::Requests,
    rolls: rolls::Rolls,
    process: process::Gauges,
}

impl Metrics {
    /// Registers every metric. A series that appears with its first event
    /// hides that event from `rate()`, so every closed set is there from the
    /// start.
    ///
    /// # Errors
    ///
    /// A name stands here twice.
    pub fn new(version: &str, revision: &str) -> Result<Self> {
        let registry = Registry::new();
        let make = Maker::new(&registry);
        let what = [
            Label::bounded("version", "amid's version"),
            Label::bounded("revision", "the commit that amid was built from"),
        ];
        make.gauges("amid_build_info", "What runs: always 1.", &what)?
            .with_label_values(&[version, revision])
            .set(1);
        let hash = Label::bounded("hash", "the first digits of the SHA-256 of `amid.json`");
        let config = make.gauges(
            "amid_config_info",
            "The config that the process read at its start: always 1.",
            &[hash],
        )?;
        let looks = looks::Looks::new(&make)?;
        let requests = requests::Requests::new(&make)?;
        let rolls = rolls::Rolls::new(&make)?;
        let process = process::Gauges::new(&make)?;
        let cleanup = cleanup::CleanupMetrics::new(&make)?;
        let notify = notify::Notify::new(&make)?;
        let mut catalogue = make.catalogue();
        catalogue.extend(apps::families());
        catalogue.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self {
            registry,
            catalogue,
            config,
            apps: std::sync::Mutex::default(),
            cleanup,
            notify,
            looks,
            requests,
            rolls,
            process,
        })
    }

    /// Every family that can be exported, by name.
    pub fn catalogue(&self) -> &[Family] {
        &self.catalogue
    }

    /// Says by its hash which config was read.
    pub fn configured(&self, hash: &str) {
        self.config.with_label_values(&[hash]).set(1);
    }

    /// Those of clean-up.
    pub fn cleanup(&self) -> &cleanup::CleanupMetrics {
        &self.cleanup
    }

    /// The metrics of notifications.
    pub fn notify(&self) -> &notify::Notify {
        &self.notify
    }

    /// Makes the gauges say what `status` says, and drops the series of apps
    /// that are gone.
    pub fn observe_status(&self, status: &Status) {
        let shown = &status.apps[..status.apps.len().min(MAX_APPS)];
        lock(&self.apps).show(shown);
        self.looks.observe(status, status.apps.len() - shown.len());
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
        self.process.read();
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
