//! When the images were made that apps run. It never changes, and nothing is
//! decided by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use amid_core::model::AmiId;

/// What is known; nothing for an image that AWS does not show.
#[derive(Debug, Default)]
pub struct ImageDates(Mutex<BTreeMap<AmiId, Option<Timestamp>>>);

impl ImageDates {
    /// When this image was made.
    pub fn of(&self, ami: &str) -> Option<Timestamp> {
        let ami = AmiId::parse(ami).ok()?;
        self.lock().get(&ami).copied().flatten()
    }

    /// Forgets what is not wanted any more, and leaves of `wanted` what is not
    /// known yet.
    pub(super) fn narrow(&self, wanted: &mut BTreeMap<usize, BTreeSet<AmiId>>) {
        let mut known = self.lock();
        let all: BTreeSet<&AmiId> = wanted.values().flatten().collect();
        known.retain(|ami, _| all.contains(ami));
        for amis in wanted.values_mut() {
            amis.retain(|ami| !known.contains_key(ami));
        }
        wanted.retain(|_, amis| !amis.is_empty());
    }

    /// Takes in what AWS said of `amis`.
    pub(super) fn learn(&self, amis: BTreeSet<AmiId>, dates: &BTreeMap<AmiId, Timestamp>) {
        let dated = amis.into_iter().map(|ami| {
            let date = dates.get(&ami).copied();
            (ami, date)
        });
        self.lock().extend(dated);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AmiId, Option<Timestamp>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
