//! Snapshots that were ours and that no image has any more.
//!
//! Those that were left over when we deregistered their image are deleted as
//! soon as nothing stands in the way; others are marked first and wait as
//! long as an image would.

use jiff::Timestamp;

use super::actions::{heal_snapshot, stale_tags};
use super::cleaning::{Action, ActionKind, Call, Resource, SnapshotVerdict};
use super::fleet::Fleet;
use super::inventory::{Inventory, Snapshot};
use super::keeps::{is_backup, protected};
use super::marks::{BY, DEREGISTERING, IMAGE, KIND, STALE, Stage};
use super::needs::Needs;
use super::policy::Policy;
use super::reason::{Keep, Limit, Wait};
use super::steps::all_waits;
use crate::model::AmiId;

/// What becomes of each, and what is to be done.
pub fn orphans(
    inventory: &Inventory,
    fleet: &Fleet<'_>,
    needs: &Needs<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Vec<(SnapshotVerdict, Option<Action>)> {
    let max = policy.breakers.max_images;
    let (mut marked, mut deleted) = (0, 0);
    let mut orphans: Vec<&Snapshot> = inventory
        .snapshots
        .items
        .iter()
        .filter(|snapshot| is_ours(snapshot) && fleet.with_snapshot(&snapshot.id).is_empty())
        .collect();
    orphans.sort_unstable_by_key(|snapshot| (snapshot.created, &snapshot.id));
    let mut out = Vec::with_capacity(orphans.len());
    for snapshot in orphans {
        let (mut verdict, calls) = judge(snapshot, fleet, needs, policy, now);
        let Some((kind, calls)) = calls else {
            out.push((verdict, None));
            continue;
        };
        let done = match kind {
            ActionKind::Mark => Some(&mut marked),
            // Leftovers belong to images that had their turn.
            ActionKind::DeleteSnapshot if !verdict.leftover => Some(&mut deleted),
            _ => None,
        };
        if let Some(done) = done {
            if *done >= max {
                let limit = Limit::Images { max };
                verdict.wait = Some(Wait::Turn { limit });
                out.push((verdict, None));
                continue;
            }
            *done += 1;
        }
        verdict.action = Some(kind);
        let bytes = if kind == ActionKind::DeleteSnapshot {
            snapshot.bytes
        } else {
            0
        };
        let action = Action {
            kind,
            resource: Resource::Snapshot(snapshot.id.clone()),
            calls,
            bytes,
        };
        out.push((verdict, Some(action)));
    }
    out
}

/// By its tags: ours on the way out, or from a build of ours.
fn is_ours(snapshot: &Snapshot) -> bool {
    [IMAGE, DEREGISTERING, STALE, KIND]
        .iter()
        .any(|key| snapshot.tags.contains_key(*key))
}

type Calls = Option<(ActionKind, Vec<Call>)>;

fn judge(
    snapshot: &Snapshot,
    fleet: &Fleet<'_>,
    needs: &Needs<'_>,
    policy: &Policy,
    now: Timestamp,
) -> (SnapshotVerdict, Calls) {
    let tag = |key: &str| snapshot.tags.get(key);
    let image = tag(IMAGE).and_then(|text| AmiId::parse(text).ok());
    let since = tag(STALE).and_then(|text| text.parse::<Timestamp>().ok());
    let leftover = tag(DEREGISTERING).is_some();
    let mut verdict = SnapshotVerdict {
        id: snapshot.id.clone(),
        keeps: keeps(snapshot, leftover, needs, policy, now),
        stage: if tag(STALE).is_some() {
            Stage::Stale
        } else {
            Stage::Kept
        },
        since,
        leftover,
        wait: None,
        action: None,
        bytes: snapshot.bytes,
        image,
    };
    // AWS shows an image a while before and after it is gone.
    if let Some(ami) = &verdict.image
        && fleet.number(ami).is_some()
    {
        verdict.wait = Some(Wait::Descendant { ami: ami.clone() });
        return (verdict, None);
    }
    let calls = if verdict.keeps.is_empty() {
        forward(snapshot, &mut verdict, policy, now)
    } else {
        heal(snapshot, &verdict)
    };
    (verdict, calls)
}

fn forward(
    snapshot: &Snapshot,
    verdict: &mut SnapshotVerdict,
    policy: &Policy,
    now: Timestamp,
) -> Calls {
    let delete = || {
        let snapshot = snapshot.id.clone();
        Some((
            ActionKind::DeleteSnapshot,
            vec![Call::DeleteSnapshot { snapshot }],
        ))
    };
    if verdict.leftover {
        return delete();
    }
    let Some(since) = verdict.since else {
        let call = Call::CreateTags {
            resources: vec![Resource::Snapshot(snapshot.id.clone())],
            tags: stale_tags(policy, now),
        };
        return Some((ActionKind::Mark, vec![call]));
    };
    let until = all_waits(policy).after(since);
    if now < until {
        verdict.wait = Some(Wait::Stage {
            stage: Stage::Disabled,
            until,
        });
        return None;
    }
    delete()
}

/// Our marks go when something needs it. What EC2 would refuse to delete
/// stays a leftover, and is tried again when that has ended.
fn heal(snapshot: &Snapshot, verdict: &SnapshotVerdict) -> Calls {
    let others = |keep: &Keep| matches!(keep, Keep::OtherController { .. });
    if verdict.keeps.iter().any(others) {
        return None;
    }
    let needed = verdict.keeps.iter().any(|keep| {
        !matches!(
            keep,
            Keep::Backup | Keep::Locked { .. } | Keep::SharedOutside { .. }
        )
    });
    Some((ActionKind::Heal, heal_snapshot(snapshot, needed)?))
}

fn keeps(
    snapshot: &Snapshot,
    leftover: bool,
    needs: &Needs<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Vec<Keep> {
    let mut keeps = needs
        .snapshots
        .get(&snapshot.id)
        .cloned()
        .unwrap_or_default();
    keeps.extend(protected(&snapshot.tags, now));
    if snapshot.backup || is_backup(snapshot.tags.keys()) {
        keeps.push(Keep::Backup);
    }
    if let Some(state) = &snapshot.locked {
        keeps.push(Keep::Locked {
            state: state.clone(),
        });
    }
    for with in &snapshot.shared_with {
        keeps.push(Keep::SharedOutside { with: with.clone() });
    }
    if let Some(by) = snapshot.tags.get(BY)
        && *by != policy.controller
    {
        keeps.push(Keep::OtherController { by: by.clone() });
    }
    if leftover {
        return keeps;
    }
    match snapshot.created {
        None => keeps.push(Keep::AgeUnknown),
        Some(created) => {
            let until = policy.default.min_age.max(policy.longest_build);
            let until = until.after(created);
            if now < until {
                keeps.push(Keep::Young { until });
            }
        }
    }
    keeps
}
