//! What is measured of notifications.

use anyhow::Result as Made;
use prometheus::{IntCounterVec, IntGauge};

use super::catalogue::Label;
use super::labels::labels;
use super::make::Maker;

labels! {
    /// What kind of receiver it is.
    Kind {
        /// A webhook with a signature.
        Webhook = "webhook",
        /// A webhook as Slack takes it.
        Slack = "slack",
        /// The forge, for commit statuses.
        Status = "status",
        /// Not a receiver: an event on its way to where messages are decided.
        Event = "event",
    }
}

labels! {
    /// What became of a notification.
    Result {
        /// The receiver took it.
        Sent = "sent",
        /// The receiver refused it.
        Refused = "refused",
        /// The receiver could not be reached for so long that it is old news.
        Failed = "failed",
    }
}

/// The kinds that are receivers.
fn receivers() -> Vec<&'static str> {
    let all = Kind::ALL.iter().filter(|kind| **kind != Kind::Event);
    all.map(|kind| kind.label()).collect()
}

/// The metrics of notifications.
pub struct Notify {
    total: IntCounterVec,
    dropped: IntCounterVec,
    waiting: IntGauge,
}

impl Notify {
    pub(super) fn new(make: &Maker<'_>) -> Made<Self> {
        let this = Self {
            total: make.counters(
                "amid_notifications_total",
                "Notifications that were sent, or given up.",
                &[
                    Label::one_of("kind", receivers),
                    Label::one_of("result", Result::labels),
                ],
            )?,
            dropped: make.counters(
                "amid_notifications_dropped_total",
                "Notifications that made room for newer ones.",
                &[Label::one_of("kind", Kind::labels)],
            )?,
            waiting: make.gauge(
                "amid_notifications_waiting",
                "Notifications that wait to be sent.",
            )?,
        };
        for kind in Kind::ALL {
            this.dropped.with_label_values(&[kind.label()]);
            for result in Result::ALL {
                if *kind != Kind::Event {
                    this.total
                        .with_label_values(&[kind.label(), result.label()]);
                }
            }
        }
        Ok(this)
    }

    /// A notification came to its end.
    pub fn sent(&self, kind: Kind, result: Result) {
        self.total
            .with_label_values(&[kind.label(), result.label()])
            .inc();
    }

    /// Notifications made room for newer ones.
    pub fn dropped(&self, kind: Kind, number: u64) {
        self.dropped
            .with_label_values(&[kind.label()])
            .inc_by(number);
    }

    /// So many wait.
    pub fn waiting(&self, number: usize) {
        self.waiting.set(i64::try_from(number).unwrap_or(i64::MAX));
    }
}
