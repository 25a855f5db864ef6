//! What keeps an image though nothing names it: the policy, its own tags and
//! fields, whom it is shared with, and what was built from it.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::claims::retention;
use super::fleet::Fleet;
use super::inventory::{Image, ImageState, Inventory};
use super::marks::{BY, DISABLED, KEEP, PERMISSIONS, is_marked};
use super::permissions::{Permission, from_tags};
use super::policy::Policy;
use super::reason::Keep;
use crate::model::AmiId;

/// Adds to what the references say.
pub fn keeps(
    inventory: &Inventory,
    fleet: &Fleet<'_>,
    policy: &Policy,
    now: Timestamp,
    keeps: &mut [Vec<Keep>],
) {
    for (n, image) in fleet.images.iter().enumerate() {
        let keeps = &mut keeps[n];
        if let Some(state) = state(image) {
            keeps.push(state);
        }
        keeps.extend(other_controller(image, policy));
        keeps.extend(protected(&image.tags, now));
        if let Some(state) = &image.protection {
            keeps.push(Keep::DeregistrationProtection {
                state: state.clone(),
            });
        }
        keeps.extend(shared(image, inventory));
        if image.name.starts_with("AwsBackup") || is_backup(image.tags.keys()) {
            keeps.push(Keep::Backup);
        }
        let Some(claimed) = &fleet.claimed[n] else {
            keeps.push(Keep::Unclaimed);
            continue;
        };
        let retention = retention(policy, claimed.app.as_ref());
        match image.created {
            None => keeps.push(Keep::AgeUnknown),
            Some(created) => {
                let until = retention.min_age.after(created);
                if now < until {
                    keeps.push(Keep::Young { until });
                }
            }
        }
        if let Some(at) = image.last_launched {
            let until = retention.not_launched_for.after(at);
            if now < until {
                keeps.push(Keep::Launched { at, until });
            }
        }
        if let Some(created) = image.created {
            let until = policy.longest_build.after(created);
            let untagged = image.tags.keys().all(|key| key.starts_with("aws:"));
            if untagged && now < until {
                keeps.push(Keep::Untagged { until });
            }
        }
    }
    newest(fleet, policy, keeps);
    lineage(fleet, keeps);
}

fn state(image: &Image) -> Option<Keep> {
    match &image.state {
        ImageState::Pending => Some(Keep::BuildUnderWay {
            state: image.state.as_str().to_owned(),
        }),
        ImageState::Other(state) => Some(Keep::UnknownState {
            state: state.clone(),
        }),
        // Ours leave the permissions that they had, or when it was done.
        ImageState::Disabled if !is_disabled_by_us(image) => Some(Keep::DisabledByOthers),
        ImageState::Disabled
        | ImageState::Available
        | ImageState::Failed
        | ImageState::Deregistered => None,
    }
}

/// Whether clean-up disabled it, by its tags.
pub fn is_disabled_by_us(image: &Image) -> bool {
    image.state == ImageState::Disabled
        && (image.tags.contains_key(PERMISSIONS) || image.tags.contains_key(DISABLED))
}

fn other_controller(image: &Image, policy: &Policy) -> Option<Keep> {
    let by = image.tags.get(BY)?;
    (is_marked(&image.tags) && *by != policy.controller)
        .then(|| Keep::OtherController { by: by.clone() })
}

/// The tag `amid:keep`: a date and a reason, each of them optional. What does
/// not begin with a date keeps for ever.
pub fn protected(tags: &BTreeMap<String, String>, now: Timestamp) -> Option<Keep> {
    let text = tags.get(KEEP)?.trim();
    let (first, rest) = text.split_once([' ', ':']).unwrap_or((text, ""));
    let end_of_day = |date: Date| {
        let next = date.checked_add(1.day()).ok()?;
        TimeZone::UTC.to_timestamp(next.at(0, 0, 0, 0)).ok()
    };
    let until = first.parse::<Date>().ok().and_then(end_of_day);
    if until.is_some_and(|until| until <= now) {
        return None;
    }
    let why = if until.is_some() { rest } else { text };
    Some(Keep::Protected {
        why: why.trim().to_owned(),
        until,
    })
}

/// AWS Backup's own tags.
pub fn is_backup<'k>(mut keys: impl Iterator<Item = &'k String>) -> bool {
    keys.any(|key| key.starts_with("aws:backup:"))
}

/// Accounts that are read say for themselves what they use. Of others nobody
/// knows. A disabled image's permissions are in its tags.
fn shared(image: &Image, inventory: &Inventory) -> Vec<Keep> {
    let saved = from_tags(&image.tags).unwrap_or_default();
    let here = &inventory.place;
    let is_read = |account: &str| {
        account == here.account
            || inventory.elsewhere.iter().any(|elsewhere| {
                elsewhere.place.account == account && elsewhere.place.region == here.region
            })
    };
    image
        .permissions
        .union(&saved)
        .filter_map(|permission| match permission {
            Permission::Account(account) if is_read(account) => None,
            Permission::Account(account) => Some(format!("account {account}")),
            Permission::Everybody => Some("everybody".to_owned()),
            Permission::Organization(arn) => Some(arn.clone()),
        })
        .map(|with| Keep::SharedOutside { with })
        .collect()
}

/// The newest of each family that can be launched, or could be when they come
/// back.
fn newest(fleet: &Fleet<'_>, policy: &Policy, keeps: &mut [Vec<Keep>]) {
    let mut families: HashMap<&str, Vec<usize>> = HashMap::new();
    for (n, image) in fleet.images.iter().enumerate() {
        let Some(claimed) = &fleet.claimed[n] else {
            continue;
        };
        let usable = image.state == ImageState::Available || is_disabled_by_us(image);
        if usable && other_controller(image, policy).is_none() {
            families.entry(&claimed.family).or_default().push(n);
        }
    }
    for (family, mut members) in families {
        members.sort_unstable_by_key(|n| {
            let image = fleet.images[*n];
            std::cmp::Reverse((image.created, &image.ami))
        });
        let app = members.first().and_then(|n| fleet.claimed[*n].as_ref());
        let of = retention(policy, app.and_then(|claimed| claimed.app.as_ref())).keep_newest;
        for (rank, n) in (1..=of).zip(members) {
            keeps[n].push(Keep::Newest {
                family: family.to_owned(),
                rank,
                of,
            });
        }
    }
}

/// What a kept image was built from is kept, by as many steps as it takes.
fn lineage(fleet: &Fleet<'_>, keeps: &mut [Vec<Keep>]) {
    let mut kept: Vec<usize> = (0..keeps.len()).filter(|n| !keeps[*n].is_empty()).collect();
    while let Some(n) = kept.pop() {
        for base in &fleet.bases[n] {
            if keeps[*base].is_empty() {
                kept.push(*base);
            }
            keeps[*base].push(Keep::BaseOf {
                ami: fleet.images[n].ami.clone(),
            });
        }
    }
}

/// An image that was built from this one and is on its way out itself: this
/// one goes after it. Only what is younger counts, so that tags that point in
/// a circle hold nothing for ever.
pub fn descendants<'f>(fleet: &'f Fleet<'_>) -> Vec<Option<&'f AmiId>> {
    let mut descendants = vec![None; fleet.images.len()];
    for (n, image) in fleet.images.iter().enumerate() {
        for base in &fleet.bases[n] {
            let older = fleet.images[*base];
            if (older.created, &older.ami) < (image.created, &image.ami) {
                descendants[*base] = Some(&image.ami);
            }
        }
    }
    descendants
}
