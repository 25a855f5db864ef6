//! Which roll is under way, and how many healthy instances it asks for.
//!
//! The health timers ([`crate::history`]) and the decision have to agree on
//! both, so both ask here.

use std::collections::BTreeMap;

use super::Requirements;
use crate::manifest::Manifest;
use crate::model::{CommitId, Made, ReleaseKey};
use crate::observe::{Desired, Observed};
use crate::step::Roll;

/// The roll that is under way. The apply that ends one may have written its
/// memory and then failed: two releases without a word are such a roll still.
pub(super) fn roll_under_way(observed: &Observed, commit: &CommitId) -> Option<Roll> {
    let memory = &observed.memory;
    let mut live = observed.made.iter();
    let (None, Some((a, first)), Some((b, second))) = (&memory.roll, live.next(), live.next())
    else {
        return memory.roll.clone();
    };
    // What is drained goes; else the one that has a size, that served last or
    // at least did not fail, stays until the other is proven.
    let standing = |key: &ReleaseKey| {
        let failed = memory.failed.iter().any(|failed| failed.key == *key);
        let served = memory.served.iter().rposition(|served| served == key);
        let sized = observed.group(key).is_some_and(|group| group.max > 0);
        (sized, served, !failed)
    };
    let (from, to) = match (first.drain, second.drain) {
        (true, false) => (a, b),
        (false, true) => (b, a),
        _ if standing(b) > standing(a) => (b, a),
        _ => (a, b),
    };
    Some(Roll {
        from: from.clone(),
        to: to.clone(),
        commit: commit.clone(),
        recreate: false,
        carry: None,
    })
}

/// The healthy instances that each live release needs now. Releases whose
/// health decides nothing are left out.
pub fn requirements(desired: &Desired, observed: &Observed) -> Requirements {
    let Desired::Wanted { manifest, commit } = desired else {
        return BTreeMap::new();
    };
    let roll = roll_under_way(observed, commit);
    let release = match &roll {
        Some(roll) => observed.made.get_key_value(&roll.to),
        None => observed.made.first_key_value(),
    };
    let Some((key, made)) = release else {
        return BTreeMap::new();
    };
    let from = roll.as_ref().and_then(|roll| {
        let live = observed.group(&roll.from).map(|group| group.desired);
        roll.carry.or(live)
    });
    let required = if roll.is_some() {
        Needs::of(manifest, made, from).required
    } else {
        // A fleet that is scaled to zero on purpose has no health.
        manifest.min_size
    };
    if required == 0 {
        return BTreeMap::new();
    }
    BTreeMap::from([(key.clone(), required)])
}

/// The size at which a new release takes over from a group of `live` desired
/// capacity: at least one instance, since zero proves nothing.
pub(crate) fn full_size(manifest: &Manifest, live: Option<u32>) -> u32 {
    live.unwrap_or(0)
        .max(manifest.min_size)
        .min(manifest.max_size)
        .max(1)
}

/// What a release on its way in has to reach.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    /// Healthy instances, now.
    pub(super) required: u32,
    /// The size at which it takes over.
    pub(super) full: u32,
    /// Whether it is still held at canary size.
    pub(super) canary: bool,
}

impl Needs {
    /// Of a release that follows one of `live` desired capacity.
    pub(super) fn of(manifest: &Manifest, made: &Made, live: Option<u32>) -> Self {
        let full = full_size(manifest, live);
        let canary = manifest.roll.canary;
        // The size that it was made with counts: git may name another since.
        let size = made.max_size;
        let canary = canary > 0 && size < full && made.pin == 0 && size <= canary;
        let required = if canary { size } else { full };
        Self {
            required,
            full,
            canary,
        }
    }
}
