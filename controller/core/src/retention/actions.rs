//! The requests that each step is made of.
//!
//! What is about to be changed is written down before, that it is done after
//! ([`super::marks`] has the table); so a step that was killed in between is
//! done again, and undone from what was written down.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::cleaning::{Action, ActionKind, Call, Resource};
use super::fleet::Fleet;
use super::inventory::{Image, ImageState, Snapshot, SnapshotId};
use super::keeps::{is_backup, protected};
use super::marks::{
    BECAUSE, BY, DEPRECATED, DEPRECATING, DEREGISTERING, DISABLED, IMAGE, PERMISSIONS, STALE,
    is_marked,
};
use super::permissions::{self, Permission};
use super::policy::Policy;
use crate::history::later;
use crate::model::AmiId;

/// AWS rounds a deprecation to the minute and refuses one in the past.
const SOON: SignedDuration = SignedDuration::from_mins(5);

/// The text that stands for no deprecation at all.
const NONE: &str = "none";

fn tags<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn at(now: Timestamp) -> String {
    format!("{now:.0}")
}

fn tag_image(ami: &AmiId, tags: BTreeMap<String, String>) -> Call {
    Call::CreateTags {
        resources: vec![Resource::Image(ami.clone())],
        tags,
    }
}

/// The tags of the first mark.
pub fn stale_tags(policy: &Policy, now: Timestamp) -> BTreeMap<String, String> {
    tags([
        (BY, policy.controller.clone()),
        (STALE, at(now)),
        (BECAUSE, "no reference in AWS, terraform or git".to_owned()),
    ])
}

/// Marks an image as stale.
pub fn mark(image: &Image, policy: &Policy, now: Timestamp) -> Vec<Call> {
    vec![tag_image(&image.ami, stale_tags(policy, now))]
}

/// Deprecates an image.
pub fn deprecate(image: &Image, now: Timestamp) -> Vec<Call> {
    let ami = &image.ami;
    let mut calls = Vec::new();
    // What a killed step wrote down is what it had before; by now the
    // deprecation may be ours.
    if !image.tags.contains_key(DEPRECATING) {
        let had = image.deprecated.map_or(NONE.to_owned(), at);
        calls.push(tag_image(ami, tags([(DEPRECATING, had)])));
    }
    calls.push(Call::EnableDeprecation {
        ami: ami.clone(),
        at: later(now, SOON),
    });
    calls.push(tag_image(ami, tags([(DEPRECATED, at(now))])));
    calls
}

/// Disables an image; `None` when its launch permissions do not fit into
/// tags.
pub fn disable(image: &Image, now: Timestamp) -> Option<Vec<Call>> {
    let ami = &image.ami;
    let done = tag_image(ami, tags([(DISABLED, at(now))]));
    if image.state == ImageState::Disabled {
        return Some(vec![done]);
    }
    Some(vec![
        tag_image(ami, permissions::to_tags(&all_permissions(image))?),
        Call::DisableImage { ami: ami.clone() },
        done,
    ])
}

/// Those that it has and those that its tags remember.
pub fn all_permissions(image: &Image) -> BTreeSet<Permission> {
    let mut all = permissions::from_tags(&image.tags).unwrap_or_default();
    all.extend(image.permissions.iter().cloned());
    all
}

/// Deregisters an image with those of its snapshots that may go.
pub fn deregister(fleet: &Fleet<'_>, n: usize, policy: &Policy, now: Timestamp) -> Vec<Call> {
    let image = fleet.images[n];
    let ami = &image.ami;
    let (mut own, mut shared, mut stay) = (Vec::new(), Vec::new(), false);
    for id in &image.snapshots {
        let Some(snapshot) = fleet.snapshots.get(id) else {
            continue;
        };
        if stays(snapshot, policy, now) {
            stay = true;
        } else if fleet.with_snapshot(id).len() > 1 {
            shared.push(id.clone());
        } else {
            own.push(id.clone());
        }
    }
    let belongs = || [(IMAGE, ami.to_string()), (BY, policy.controller.clone())];
    let on = |ids: &[SnapshotId]| ids.iter().cloned().map(Resource::Snapshot).collect();
    let mut calls = Vec::new();
    if !own.is_empty() {
        let mut tags = tags(belongs());
        tags.insert(DEREGISTERING.to_owned(), at(now));
        calls.push(Call::CreateTags {
            resources: on(&own),
            tags,
        });
    }
    if !shared.is_empty() {
        calls.push(Call::CreateTags {
            resources: on(&shared),
            tags: tags(belongs()),
        });
    }
    // One request cannot leave some of them.
    let (together, one_by_one) = if stay {
        (Vec::new(), own)
    } else {
        (own, Vec::new())
    };
    calls.push(Call::Deregister {
        ami: ami.clone(),
        snapshots: together,
    });
    let delete = |snapshot| Call::DeleteSnapshot { snapshot };
    calls.extend(one_by_one.into_iter().map(delete));
    calls
}

/// Whether a snapshot is not to be deleted, whatever becomes of its image.
pub fn stays(snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> bool {
    snapshot.backup
        || snapshot.locked.is_some()
        || !snapshot.shared_with.is_empty()
        || is_backup(snapshot.tags.keys())
        || protected(&snapshot.tags, now).is_some()
        || snapshot
            .tags
            .get(BY)
            .is_some_and(|by| *by != policy.controller)
}

/// Undoes everything that clean-up did to an image; `None` when it did
/// nothing. A roll that needs the image performs it before it goes on.
///
/// `snapshots` are those of the image that carry [`DEREGISTERING`].
pub fn heal(image: &Image, snapshots: &[SnapshotId], now: Timestamp) -> Option<Action> {
    let ami = &image.ami;
    if !is_marked(&image.tags) && snapshots.is_empty() {
        return None;
    }
    let has = |key: &str| image.tags.contains_key(key);
    let mut calls = Vec::new();
    if !snapshots.is_empty() {
        calls.push(Call::DeleteTags {
            resources: snapshots.iter().cloned().map(Resource::Snapshot).collect(),
            keys: vec![DEREGISTERING.to_owned()],
        });
    }
    if image.state == ImageState::Disabled && (has(PERMISSIONS) || has(DISABLED)) {
        calls.push(Call::EnableImage { ami: ami.clone() });
    }
    let lost: BTreeSet<_> = all_permissions(image)
        .difference(&image.permissions)
        .cloned()
        .collect();
    if !lost.is_empty() {
        calls.push(Call::AddPermissions {
            ami: ami.clone(),
            permissions: lost,
        });
    }
    if has(DEPRECATING) || has(DEPRECATED) {
        let had = image.tags.get(DEPRECATING);
        let had = had.and_then(|text| text.parse::<Timestamp>().ok());
        // One that is in the past by now cannot be put back, and would hide
        // what is needed.
        match had.filter(|had| *had > later(now, SOON)) {
            Some(had) if image.deprecated != Some(had) => calls.push(Call::EnableDeprecation {
                ami: ami.clone(),
                at: had,
            }),
            None if image.deprecated.is_some() => {
                calls.push(Call::DisableDeprecation { ami: ami.clone() });
            }
            _ => {}
        }
    }
    let keys: Vec<String> = image
        .tags
        .keys()
        .filter(|key| is_mark(key))
        .cloned()
        .collect();
    if !keys.is_empty() {
        calls.push(Call::DeleteTags {
            resources: vec![Resource::Image(ami.clone())],
            keys,
        });
    }
    Some(Action {
        kind: ActionKind::Heal,
        resource: Resource::Image(ami.clone()),
        calls,
        bytes: 0,
    })
}

fn is_mark(key: &str) -> bool {
    [BY, STALE, BECAUSE, DEPRECATING, DEPRECATED, DISABLED].contains(&key)
        || key.starts_with(PERMISSIONS)
}

/// Takes our marks off a snapshot.
pub fn heal_snapshot(snapshot: &Snapshot, leftover: bool) -> Option<Vec<Call>> {
    let keys: Vec<String> = [STALE, BECAUSE]
        .iter()
        .chain(leftover.then_some(&DEREGISTERING))
        .filter(|key| snapshot.tags.contains_key(**key))
        .map(|key| (*key).to_owned())
        .collect();
    (!keys.is_empty()).then(|| {
        vec![Call::DeleteTags {
            resources: vec![Resource::Snapshot(snapshot.id.clone())],
            keys,
        }]
    })
}
