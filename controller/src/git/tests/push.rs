use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use jiff::Timestamp;

use super::*;
use crate::git::{Change, Pushed};

pub(super) const PATH: &str = "desired/demo/todo.json";

pub(super) fn revert(base: Oid) -> Change {
    Change {
        base,
        path: PATH.to_owned(),
        content: b"old".to_vec(),
        message: "Revert demo/todo to ami-1\n\nReason".to_owned(),
        at: Timestamp::from_second(1_800_000_000).unwrap(),
    }
}

fn pushed_world() -> (World, Mirror, Oid) {
    let world = World::new();
    world.commit(&[(PATH, text("old")), ("desired/other.json", text("x"))]);
    let head = world.commit(&[(PATH, text("new"))]);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    (world, mirror, head)
}

#[test]
fn one_file_changes_in_one_commit_on_the_branch() {
    let (world, mirror, head) = pushed_world();
    let Pushed::Done(commit) = mirror.commit_and_push(revert(head)).unwrap() else {
        panic!("not pushed")
    };
    assert_eq!(world.main(), Some(commit));
    let made = world.origin.find_commit(commit).unwrap();
    assert_eq!(made.parent_id(0).unwrap(), head);
    assert_eq!(
        made.message().unwrap(),
        "Revert demo/todo to ami-1\n\nReason"
    );
    assert_eq!(
        (
            made.author().name().unwrap(),
            made.author().email().unwrap()
        ),
        ("amid", "amid@localhost")
    );
    assert_eq!(made.time().seconds(), 1_800_000_000);
    assert_eq!(mirror.fetch().unwrap(), commit);
    assert_eq!(mirror.blob_at(commit, PATH).unwrap(), Some(b"old".to_vec()));
    assert_eq!(
        mirror.blob_at(commit, "desired/other.json").unwrap(),
        Some(b"x".to_vec())
    );
}

#[test]
fn a_branch_that_moved_is_left_alone_and_its_head_is_told() {
    let (world, mirror, head) = pushed_world();
    let newer = world.commit(&[(PATH, text("newer"))]);
    assert_eq!(
        mirror.commit_and_push(revert(head)).unwrap(),
        Pushed::Moved(Some(newer))
    );
    assert_eq!(world.main(), Some(newer));
    // Rewound by a person: pushing would bring back what was taken away.
    let before = world
        .origin
        .find_commit(head)
        .unwrap()
        .parent_id(0)
        .unwrap();
    world.point("main", before);
    assert_eq!(
        mirror.commit_and_push(revert(head)).unwrap(),
        Pushed::Moved(Some(before))
    );
    assert_eq!(world.main(), Some(before));
    world
        .origin
        .find_reference("refs/heads/main")
        .unwrap()
        .delete()
        .unwrap();
    assert_eq!(
        mirror.commit_and_push(revert(head)).unwrap(),
        Pushed::Moved(None)
    );
}

#[test]
fn a_local_repository_with_a_hook_gets_a_branch_once_and_keeps_its_own() {
    for hook in ["pre-receive", "update"] {
        let (world, mirror, head) = pushed_world();
        let hooks = world.path().join("hooks");
        fs::create_dir_all(&hooks).unwrap();
        fs::write(hooks.join(hook), "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(hooks.join(hook), fs::Permissions::from_mode(0o755)).unwrap();
        let mut tries = Vec::new();
        for _ in 0..2 {
            tries.push(mirror.commit_and_push(revert(head)).unwrap());
        }
        assert_eq!(tries[0], tries[1]);
        let Pushed::Refused {
            reason,
            branch: Some(branch),
        } = &tries[0]
        else {
            panic!("{tries:?}")
        };
        assert!(reason.contains(hook), "{reason}");
        assert!(branch.starts_with("amid/demo-todo-"), "{branch}");
        assert_eq!(world.main(), Some(head));
        let made = world
            .origin
            .refname_to_id(&format!("refs/heads/{branch}"))
            .unwrap();
        assert_eq!(
            world
                .origin
                .find_commit(made)
                .unwrap()
                .parent_id(0)
                .unwrap(),
            head
        );
        // Switched off, it is no obstacle.
        fs::set_permissions(hooks.join(hook), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            mirror.commit_and_push(revert(head)).unwrap(),
            Pushed::Done(_)
        ));
    }
}

#[test]
fn only_a_plain_file_that_exists_is_replaced() {
    let world = World::new();
    let head = world.commit(&[("desired/link.json", File::Symlink("x".to_owned()))]);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    for path in [PATH, "desired/link.json", "desired"] {
        let change = Change {
            path: path.to_owned(),
            ..revert(head)
        };
        let error = mirror.commit_and_push(change).unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
    }
    assert_eq!(world.main(), Some(head));
}
