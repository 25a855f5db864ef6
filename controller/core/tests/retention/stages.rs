use crate::account::{Account, ami, disk, kinds, place};
use crate::{Change, DEPRECATED, DISABLED, STALE, check, disabled, instance};
use amid_core::retention::{
    ActionKind, Call, ImageState, Keep, Launchable, Listing, Permission, Snapshot, Source, Stage,
    Target, preflight,
};
use jiff::SignedDuration;

#[test]
fn each_stage_waits_its_time() {
    check(&[
        ("stale for 8 days", |a| a.stage(STALE), "deprecate"),
        (
            "stale for 6 days",
            |a| a.stage(&[("amid:stale", 6)]),
            "wait stage",
        ),
        (
            "deprecated for 8 days",
            |a| {
                a.stage(DEPRECATED);
                a.image().deprecated = Some(a.ago(8));
            },
            "disable",
        ),
        (
            "disabled for 15 days",
            |a| disabled(a, DISABLED),
            "deregister",
        ),
        (
            "disabled for 13 days",
            |a| disabled(a, &[("amid:stale", 50), ("amid:disabled", 13)]),
            "wait stage",
        ),
        (
            "killed before it was disabled",
            |a| {
                a.stage(DEPRECATED);
                a.tag("amid:permissions", "none");
                a.image().deprecated = Some(a.ago(8));
            },
            "disable",
        ),
        (
            "killed after it was disabled",
            |a| disabled(a, DEPRECATED),
            "disable",
        ),
        (
            "enabled by hand",
            |a| {
                disabled(a, DISABLED);
                a.image().state = ImageState::Available;
            },
            "heal",
        ),
        (
            "its deprecation cancelled by hand",
            |a| a.stage(DEPRECATED),
            "heal",
        ),
        (
            "a mark that nobody can read",
            |a| {
                a.stage(STALE);
                a.tag("amid:stale", "soon");
            },
            "heal",
        ),
        (
            "what was built from it is not gone yet",
            |a| {
                disabled(a, DISABLED);
                a.add(2).source = Some(ami(1));
            },
            "wait descendant",
        ),
        (
            "permissions that do not fit",
            |a| {
                a.stage(DEPRECATED);
                a.image().deprecated = Some(a.ago(8));
                for n in 0..400 {
                    let account = format!("{n:012}");
                    a.elsewhere(&account);
                    let account = Permission::Account(account);
                    a.image().permissions.insert(account);
                }
            },
            "wait permissions",
        ),
    ]);
}

#[test]
fn what_is_needed_again_comes_back_with_all_it_had() {
    let mut account = Account::new();
    disabled(&mut account, DISABLED);
    let deprecated = account.now + SignedDuration::from_hours(1000);
    account.tag("amid:deprecating", deprecated);
    account.name(Source::History, Target::Image(ami(1)), instance());
    // It comes back also when the run only reports.
    account.inventory.snapshots = Listing::incomplete(Vec::new(), "throttled");
    let cleaning = account.run();
    assert_eq!(kinds(&cleaning), [ActionKind::Heal]);
    let calls = &cleaning.actions[0].calls;
    let permissions = [Permission::Account("222222222222".to_owned())].into();
    assert_eq!(
        calls[..3],
        [
            Call::EnableImage { ami: ami(1) },
            Call::AddPermissions {
                ami: ami(1),
                permissions
            },
            Call::EnableDeprecation {
                ami: ami(1),
                at: deprecated
            },
        ]
    );
    assert!(matches!(&calls[3..], [Call::DeleteTags { keys, .. }] if keys.len() == 6));
}

#[test]
fn snapshots_that_were_ours_follow() {
    let judge = |tags: &[(&str, String)], change: fn(&mut Snapshot)| {
        let mut account = Account::new();
        account.inventory.images.items.clear();
        let snapshot = &mut account.inventory.snapshots.items[0];
        for (key, value) in tags {
            snapshot.tags.insert((*key).to_owned(), value.clone());
        }
        change(snapshot);
        let cleaning = account.run();
        let kept = cleaning.snapshots.first().and_then(|v| v.keeps.first());
        match cleaning.actions.first() {
            Some(action) => action.kind.label(),
            None => kept.map_or("nothing", Keep::label),
        }
    };
    let ours = || ("amid:image", ami(5).to_string());
    let left = || ("amid:deregistering", "2026-11-20T12:00:00Z".to_owned());
    let stale = |at: &str| ("amid:stale", at.to_owned());
    for (tags, change, expected) in [
        (vec![], (|_| {}) as fn(&mut Snapshot), "nothing"),
        (vec![ours()], |_| {}, "mark"),
        (vec![ours(), left()], |_| {}, "delete_snapshot"),
        (
            vec![ours(), stale("2026-11-20T12:00:00Z")],
            |_| {},
            "nothing",
        ),
        (
            vec![ours(), stale("2026-10-20T12:00:00Z")],
            |_| {},
            "delete_snapshot",
        ),
        (vec![ours(), left()], |s| s.backup = true, "backup"),
        (
            vec![ours(), left()],
            |s| s.locked = Some("compliance".to_owned()),
            "locked",
        ),
        (
            vec![ours(), left()],
            |s| s.shared_with = ["333333333333".to_owned()].into(),
            "shared_outside",
        ),
        (vec![ours()], |s| s.created = None, "age_unknown"),
    ] {
        assert_eq!(judge(&tags, change), expected, "{tags:?}");
    }
}

#[test]
fn an_image_leaves_the_snapshots_that_have_to_stay() {
    let mut account = Account::new();
    disabled(&mut account, DISABLED);
    account.image().snapshots.push(disk(2));
    let mut locked = account.inventory.snapshots.items[0].clone();
    locked.id = disk(2);
    locked.locked = Some("compliance".to_owned());
    account.inventory.snapshots.items.push(locked);
    let cleaning = account.run();
    let calls = &cleaning.actions[0].calls;
    assert_eq!(
        calls[1..],
        [
            Call::Deregister {
                ami: ami(1),
                snapshots: Vec::new()
            },
            Call::DeleteSnapshot { snapshot: disk(1) },
        ]
    );
    assert_eq!(cleaning.actions[0].bytes, 1 << 30);
}

#[test]
fn a_roll_is_told_what_stands_in_its_way() {
    let told = |change: Change| {
        let mut account = Account::new();
        change(&mut account);
        preflight(&account.inventory, &ami(1))
    };
    assert_eq!(told(|_| {}), Launchable::Yes);
    assert!(matches!(
        told(|a| a.stage(STALE)),
        Launchable::Leaving {
            stage: Stage::Stale,
            ..
        }
    ));
    assert!(told(|a| disabled(a, DISABLED)).needs_healing());
    assert_eq!(
        told(|a| a.image().state = ImageState::Disabled),
        Launchable::DisabledByOthers
    );
    assert_eq!(
        told(|a| a.inventory.images.items.clear()),
        Launchable::NotOurs
    );
    assert!(matches!(
        told(|a| a.inventory.images = Listing::default()),
        Launchable::Unknown { .. }
    ));
}

#[test]
fn what_is_shown_goes_through_json() {
    let mut account = Account::new();
    disabled(&mut account, DISABLED);
    account.add(2);
    account.name(Source::Instances, Target::Image(ami(2)), instance());
    account.inventory.images.incomplete = Some("cut".to_owned());
    let cleaning = account.run();
    let text = serde_json::to_string(&cleaning).unwrap();
    let back: amid_core::retention::Cleaning = serde_json::from_str(&text).unwrap();
    assert_eq!(back, cleaning);
    assert_eq!(back.place, place("111111111111"));
    let policy = serde_json::to_string(&account.policy).unwrap();
    assert_eq!(
        serde_json::from_str::<amid_core::retention::Policy>(&policy).unwrap(),
        account.policy
    );
}
