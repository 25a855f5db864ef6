//! What the unit's state remembers, so that the controller's disk may be lost.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{CommitId, ReleaseKey};
use crate::reason::Failure;

/// What must not be forgotten even when the controller's disk is lost: a
/// small JSON text in the unit's state, written in the very apply that it
/// belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The roll that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll: Option<Roll>,
    /// The commit that was followed when this was written. A branch that lost
    /// it was rewritten, also for a controller that lost its disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<CommitId>,
    /// Releases that failed, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
    /// Releases that served, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub served: Vec<ReleaseKey>,
}

/// The most failed or served releases that are remembered.
const REMEMBERED: usize = 8;

impl Memory {
    /// As the text that the module keeps.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// From the text that the module keeps. What cannot be read is a newer
    /// version's or damaged; forgetting it would try failed releases again.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn from_text(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Whether `key` failed when `commit` asked for it.
    pub fn failure(&self, key: &ReleaseKey, commit: &CommitId) -> Option<&Failed> {
        self.failed
            .iter()
            .rev()
            .find(|failed| failed.key == *key && failed.commit == *commit)
    }

    pub(crate) fn remember_failed(&mut self, failed: Failed) {
        self.failed
            .retain(|f| f.key != failed.key || f.commit != failed.commit);
        self.failed.push(failed);
        trim(&mut self.failed);
    }

    pub(crate) fn remember_served(&mut self, key: &ReleaseKey) {
        self.served.retain(|k| k != key);
        self.served.push(key.clone());
        trim(&mut self.served);
    }
}

fn trim<T>(items: &mut Vec<T>) {
    let surplus = items.len().saturating_sub(REMEMBERED);
    items.drain(..surplus);
}

/// A roll that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roll {
    /// The release that serves.
    pub from: ReleaseKey,
    /// The release that is to take over.
    pub to: ReleaseKey,
    /// The commit that asked for it.
    pub commit: CommitId,
    /// The old release goes first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recreate: bool,
    /// The old group's desired capacity when it was drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry: Option<u32>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// A release that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The release.
    pub key: ReleaseKey,
    /// The commit that asked for it.
    pub commit: CommitId,
    /// Why it was given up.
    pub failure: Failure,
    /// When.
    pub at: Timestamp,
}
