//! What has come of the rules so far: sizes that were withheld from moto, and instances that linger.
//!
//! moto knows nothing of these. They are kept by group name and instance id, bounded, and forgotten when the
//! group goes or the time is over.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::rules::RefuseLaunches;
use crate::wire::Element;

/// Departures that are remembered for the scaling activities.
const MAX_DEPARTED: usize = 1_000;

/// The sizes of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) desired: u32,
}

/// A group whose launches are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Withheld {
    /// What the client asked for, and is shown.
    pub(crate) wished: Sizes,
    /// How many instances the group had when it asked.
    pub(crate) had: u32,
    /// When the first launch was refused.
    pub(crate) since: Timestamp,
    /// How it was refused.
    pub(crate) refusal: RefuseLaunches,
}

/// An instance that left its group.
#[derive(Debug, Clone)]
pub(crate) struct Departed {
    pub(crate) group: String,
    pub(crate) instance: String,
    /// The target groups of its group at that time.
    pub(crate) target_groups: Vec<String>,
    /// How the group showed it, its state already changed.
    pub(crate) shown: Element,
    pub(crate) since: Timestamp,
    /// It is shown until then.
    pub(crate) until: Timestamp,
}

/// The state behind the rules.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    withheld: BTreeMap<String, Withheld>,
    departed: VecDeque<Departed>,
}

impl Ledger {
    pub(crate) fn withheld(&self, group: &str) -> Option<Withheld> {
        self.entries().withheld.get(group).cloned()
    }

    pub(crate) fn withhold(&self, group: &str, withheld: Option<Withheld>) {
        let mut entries = self.entries();
        match withheld {
            Some(withheld) => entries.withheld.insert(group.to_owned(), withheld),
            None => entries.withheld.remove(group),
        };
    }

    pub(crate) fn all_withheld(&self) -> Vec<(String, Withheld)> {
        self.entries()
            .withheld
            .iter()
            .map(|(group, withheld)| (group.clone(), withheld.clone()))
            .collect()
    }

    /// The instances of this group that may be about to leave it; they linger if the answer to the request
    /// shows that they did, see [`Ledger::settle`].
    pub(crate) fn may_depart(&self, group: &Element, linger: Duration, now: Timestamp) {
        let name = group.text_at(&["AutoScalingGroupName"]);
        let target_groups: Vec<String> = group
            .items(&["TargetGroupARNs"])
            .iter()
            .map(|arn| arn.text.clone())
            .collect();
        let mut entries = self.entries();
        for member in group.items(&["Instances"]) {
            let mut shown = member.clone();
            shown.set("LifecycleState", "Terminating:Wait");
            if entries.departed.len() >= MAX_DEPARTED {
                entries.departed.pop_front();
            }
            entries.departed.push_back(Departed {
                group: name.to_owned(),
                instance: member.text_at(&["InstanceId"]).to_owned(),
                target_groups: target_groups.clone(),
                shown,
                since: now,
                until: now.checked_add(linger).unwrap_or(Timestamp::MAX),
            });
        }
    }

    /// The instances that the group still has did not leave it.
    pub(crate) fn settle(&self, after: Option<&Element>) {
        let Some(after) = after else { return };
        let name = after.text_at(&["AutoScalingGroupName"]);
        let stay: Vec<&str> = after
            .items(&["Instances"])
            .iter()
            .map(|member| member.text_at(&["InstanceId"]))
            .collect();
        self.entries().departed.retain(|departed| {
            departed.group != name || !stay.contains(&departed.instance.as_str())
        });
    }

    /// All departures that are remembered, the lingering ones among them.
    pub(crate) fn departed(&self) -> Vec<Departed> {
        self.entries().departed.iter().cloned().collect()
    }

    /// The instances that are still to be shown.
    pub(crate) fn lingering(&self, now: Timestamp) -> Vec<Departed> {
        self.entries()
            .departed
            .iter()
            .filter(|departed| now < departed.until)
            .cloned()
            .collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing is left half done under this lock, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
