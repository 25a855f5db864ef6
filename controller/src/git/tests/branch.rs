//! Branches of our own: made, replaced from where they stood, and never over somebody else's commit.

use super::push::{PATH, revert};
use super::server::Server;
use super::*;
use crate::git::{Change, Difference, Pushed};

const BRANCH: &str = "amid/bump/demo-todo";

fn bumped(base: Oid, content: &str) -> Change {
    Change {
        content: content.as_bytes().to_vec(),
        ..revert(base)
    }
}

fn done(pushed: Pushed) -> Oid {
    match pushed {
        Pushed::Done(commit) => commit,
        other => panic!("{other:?}"),
    }
}

/// The life of one branch; `mirror` is of the world's repository.
fn life(world: &World, mirror: &Mirror, head: Oid) {
    assert_eq!(mirror.fetch_branch(BRANCH).unwrap(), None);
    let first = done(
        mirror
            .commit_aside(bumped(head, "1"), BRANCH, None)
            .unwrap(),
    );
    assert_eq!(mirror.fetch_branch(BRANCH).unwrap(), Some(first));
    assert_eq!(
        world.main(),
        Some(head),
        "the watched branch stays where it is"
    );

    // A second writer that believes the branch to be new, or older, writes nothing.
    for stale in [None, Some(head)] {
        let pushed = mirror
            .commit_aside(bumped(head, "2"), BRANCH, stale)
            .unwrap();
        assert_eq!(pushed, Pushed::Moved(Some(first)), "{stale:?}");
    }
    // The newer commit is no descendant of the older one, and takes its place.
    let second = done(
        mirror
            .commit_aside(bumped(head, "2"), BRANCH, Some(first))
            .unwrap(),
    );
    assert_eq!(mirror.fetch_branch(BRANCH).unwrap(), Some(second));
    assert_eq!(mirror.blob_at(second, PATH).unwrap(), Some(b"2".to_vec()));
    let made = world.origin.find_commit(second).unwrap();
    assert_eq!(made.parent_id(0).unwrap(), head);
    assert_eq!(mirror.merge_base(head, second).unwrap(), Some(head));
    assert_eq!(
        mirror.difference(head, second).unwrap(),
        Difference {
            files: vec![PATH.to_owned()],
            more: false
        }
    );
    let (info, message) = mirror.commit(second).unwrap();
    assert_eq!(info.email, "amid@localhost");
    assert!(message.ends_with("\n\nReason"));
    assert_eq!(
        mirror.head(),
        Some(head),
        "the mirror follows its own branch"
    );
}

#[test]
fn a_branch_of_a_local_repository_is_made_and_replaced() {
    let world = World::new();
    let head = world.commit(&[(PATH, text("old"))]);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    life(&world, &mirror, head);
}

#[test]
fn a_branch_on_a_server_is_made_and_replaced() {
    let world = World::new();
    let head = world.commit(&[(PATH, text("old"))]);
    let server = Server::start(&world, false);
    let mirror = Mirror::open(&world.dir.path().join("state"), remote(&server.url)).unwrap();
    mirror.fetch().unwrap();
    life(&world, &mirror, head);
}
