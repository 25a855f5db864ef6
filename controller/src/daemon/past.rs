//! What the journal tells a daemon that starts, and what it shows of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use amid_core::history::Event;
use amid_core::model::AppName;

use crate::reconcile::Slot;
use crate::socket::{self, HistoryQuery};
use crate::store::{Recent, Record};

/// What the journal said at start.
#[derive(Default)]
pub(super) struct Replay {
    /// The apps, with what happened to each.
    pub(super) slots: BTreeMap<AppName, Arc<Slot>>,
    /// The commit that was acted on last.
    pub(super) accepted: Option<git2::Oid>,
    /// Heads of rewritten branches that a person approved.
    pub(super) approved: Vec<git2::Oid>,
}

impl Replay {
    /// Takes in one entry, oldest first.
    pub(super) fn take(&mut self, record: Record, recent: &Recent) {
        recent.remember(record.at, record.entry.clone());
        if let Some(commit) = record.entry["accepted"].as_str() {
            self.accepted = commit.parse().ok();
        }
        if let Some(head) = record.entry["approved_head"].as_str() {
            self.approved.extend(head.parse::<git2::Oid>().ok());
        }
        // An entry of a newer version is history, but decides nothing.
        let Some(app) = record.entry["app"]
            .as_str()
            .and_then(|app| AppName::parse(app).ok())
        else {
            return;
        };
        let Ok(event) = serde_json::from_value::<Event>(record.entry["event"].clone()) else {
            return;
        };
        let slot = self
            .slots
            .entry(app.clone())
            .or_insert_with(|| Arc::new(Slot::new(app, record.at)));
        let mut state = slot.state();
        state.history.record(&event, record.at);
        // What was measured in an earlier life was counted there.
        let measurable = self.accepted.is_some();
        let _ = state.course.record(&event, record.at, measurable);
    }
}

/// What `amid history` is answered.
pub(super) fn history(recent: &Recent) -> socket::History {
    let recent = recent.clone();
    Arc::new(move |query: &HistoryQuery| {
        let wanted = |entry: &Value| {
            entry["event"].is_object()
                && query
                    .app
                    .as_ref()
                    .is_none_or(|app| entry["app"].as_str() == Some(app))
        };
        recent.newest(query.limit, wanted)
    })
}
