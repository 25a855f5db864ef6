//! When a run only reports, and what the next one has to know of it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::cleaning::Memory;
use super::fleet::Fleet;
use super::inventory::{Inventory, Listing, Place, References};
use super::needs::Needs;
use super::policy::{Breakers, Mode, Policy};
use super::reason::{Blocker, List};
use super::reference::{Reference, Source};
use super::span::Span;

/// Fewer references than this many less are everyday life: an app went to its
/// next image.
const NOTICED: u32 = 2;

/// Everything that lets this run only report, and the memory for the next.
pub fn check(
    inventory: &Inventory,
    fleet: &Fleet<'_>,
    needs: &Needs<'_>,
    policy: &Policy,
    memory: &Memory,
    now: Timestamp,
) -> (Vec<Blocker>, Memory) {
    let breakers = &policy.breakers;
    let mut blockers = incomplete(inventory, fleet);
    blockers.extend(needs.blockers.iter().cloned());
    let complete = blockers.is_empty();
    blockers.extend(time(inventory, breakers, memory, now));
    match policy.mode {
        Mode::Off => blockers.push(Blocker::Off),
        Mode::Report => blockers.push(Blocker::ReportMode),
        Mode::On => {}
    }
    if memory.runs < breakers.first_runs {
        blockers.push(Blocker::FirstRuns {
            done: memory.runs,
            of: breakers.first_runs,
        });
    }
    let mut next = memory.clone();
    if complete {
        next.runs = memory.runs.saturating_add(1);
        next.last = Some(now);
        let fewer = fewer(needs, breakers, memory, now);
        if fewer.is_empty() {
            next.referenced = needs.referenced.clone();
            next.referenced_total = needs.referenced_total;
            next.fewer_since = None;
        } else {
            next.fewer_since = memory.fewer_since.or(Some(now));
            blockers.extend(fewer);
        }
    }
    (blockers, next)
}

fn incomplete(inventory: &Inventory, fleet: &Fleet<'_>) -> Vec<Blocker> {
    let mut blockers = Vec::new();
    let mut add = |list, place: Option<&Place>, why: &str| {
        blockers.push(Blocker::Incomplete {
            list,
            place: place.cloned(),
            why: why.to_owned(),
        });
    };
    if let Some(why) = &inventory.images.incomplete {
        add(List::Images, None, why);
    } else if let Some(ami) = fleet.twice {
        add(List::Images, None, &format!("{ami} is in it twice"));
    }
    if let Some(why) = &inventory.snapshots.incomplete {
        add(List::Snapshots, None, why);
    }
    for (source, why) in unread(&inventory.references, Source::ALL) {
        add(List::Source(source), None, why);
    }
    for elsewhere in &inventory.elsewhere {
        let place = Some(&elsewhere.place);
        if let Some(why) = &elsewhere.copies.incomplete {
            add(List::Copies, place, why);
        }
        for (source, why) in unread(&elsewhere.references, Source::ELSEWHERE) {
            add(List::Source(source), place, why);
        }
    }
    blockers
}

/// The sources that have to be read and were not, or not to their end.
fn unread<'r>(references: &'r References, sources: &[Source]) -> Vec<(Source, &'r str)> {
    let why = |list: Option<&'r Listing<Reference>>| match list {
        None => Some("it was not read"),
        Some(list) => list.incomplete.as_deref(),
    };
    let given = references.lists.keys().copied();
    let all: BTreeSet<Source> = sources.iter().copied().chain(given).collect();
    all.into_iter()
        .filter_map(|source| Some((source, why(references.lists.get(&source))?)))
        .collect()
}

fn time(
    inventory: &Inventory,
    breakers: &Breakers,
    memory: &Memory,
    now: Timestamp,
) -> Vec<Blocker> {
    let mut blockers = Vec::new();
    let max_error = breakers.max_clock_error.as_duration();
    let age = now.duration_since(inventory.taken_at);
    let back = memory.last.map(|last| last.duration_since(now));
    let errors = [
        inventory.circumstances.clock_error.map(SignedDuration::abs),
        Some(-age),
        back,
    ];
    if let Some(error) = errors.into_iter().flatten().max()
        && error > max_error
    {
        blockers.push(Blocker::Clock { error });
    }
    if age > breakers.max_inventory_age.as_duration() {
        blockers.push(Blocker::InventoryOld {
            age: Span(age.as_secs().unsigned_abs()),
            max: breakers.max_inventory_age,
        });
    }
    if let Some(last) = memory.last
        && now > breakers.longest_gap.after(last)
    {
        blockers.push(Blocker::Gap { last });
    }
    if let Some(trouble) = inventory.circumstances.trouble {
        let until = breakers.settle.after(trouble);
        if now < until {
            blockers.push(Blocker::Outage { until });
        }
    }
    blockers
}

/// Sources that name far fewer images than last time. A list that comes back
/// empty and says that it is complete looks like this, too.
fn fewer(needs: &Needs<'_>, breakers: &Breakers, memory: &Memory, now: Timestamp) -> Vec<Blocker> {
    let until = breakers
        .fewer_references_for
        .after(memory.fewer_since.unwrap_or(now));
    if now >= until {
        return Vec::new();
    }
    let percent = u64::from(breakers.fewer_references_percent.min(100));
    let fell = |before: u32, now: u32| {
        before >= now.saturating_add(NOTICED)
            && u64::from(now) * 100 < u64::from(before) * (100 - percent)
    };
    let mut blockers = Vec::new();
    let mut add = |source, before, now| {
        if fell(before, now) {
            blockers.push(Blocker::FewerReferences {
                source,
                before,
                now,
                until,
            });
        }
    };
    add(None, memory.referenced_total, needs.referenced_total);
    for (source, before) in &memory.referenced {
        // Builds come and go.
        if *source != Source::Volumes {
            let now = needs.referenced.get(source).copied().unwrap_or(0);
            add(Some(*source), *before, now);
        }
    }
    blockers
}
