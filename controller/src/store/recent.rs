//! The newest entries of the journal, for `amid history`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};

/// How many entries are kept.
const REMEMBERED: usize = 5_000;

/// The newest entries of the journal as JSON text: as values they would take
/// several times the memory.
#[derive(Clone, Debug, Default)]
pub struct Recent(Arc<Mutex<VecDeque<Box<str>>>>);

impl Recent {
    /// Keeps an entry among the newest.
    pub fn remember(&self, at: Timestamp, mut entry: Value) {
        entry["at"] = json!(at.to_string());
        let text = entry.to_string().into_boxed_str();
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(text);
    }

    /// The newest `limit` of the entries that are wanted, oldest first.
    pub fn newest(&self, limit: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = recent
            .iter()
            .rev()
            .filter_map(|text| serde_json::from_str(text).ok());
        let mut entries: Vec<Value> = entries.filter(wanted).take(limit).collect();
        entries.reverse();
        entries
    }
}
