use proptest::prelude::*;

use super::*;

const A: &str = "desired/a.json";
const B: &str = "desired/x/b.json";

#[test]
fn the_last_change_is_the_newest_commit_that_touched_the_file() {
    let world = World::new();
    let first = world.commit(&[(A, text("1"))]);
    let second = world.commit(&[(B, text("1"))]);
    let third = world.commit(&[("terraform/main.tf", text("1"))]);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    let last = |head, path| mirror.last_change(head, path).unwrap().map(|info| info.id);
    assert_eq!(last(third, A), Some(first));
    assert_eq!(last(third, B), Some(second));
    assert_eq!(last(third, "desired/none.json"), None);
    assert_eq!(last(first, B), None);
    let gone = world.commit(&[(A, File::Gone)]);
    mirror.fetch().unwrap();
    assert_eq!(last(gone, A), Some(gone));
}

#[test]
fn a_merged_branch_counts_as_its_merge() {
    let world = World::new();
    let base = world.commit(&[(A, text("1")), (B, text("1"))]);
    let side = world.loose(&[base], &[(A, text("2"))]);
    let side = world.loose(&[side], &[(A, text("3"))]);
    let main = world.commit(&[(B, text("2"))]);
    // The merge takes `a` from the side branch.
    let merge = world.loose(&[main, side], &[(A, text("3"))]);
    world.point("main", merge);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    let last = |path| mirror.last_change(merge, path).unwrap().unwrap().id;
    assert_eq!(last(A), merge);
    assert_eq!(last(B), main);
    let between = |old, path| ids(mirror.commits_between(old, merge, path).unwrap());
    assert_eq!(between(base, A), [merge]);
    assert_eq!(between(base, B), [main]);
    assert_eq!(between(merge, A), []);
    // Seen from inside the merged branch, the merge still changed nothing that is not in its history but `b`.
    assert_eq!(between(side, B), [main]);
}

fn ids(commits: Vec<crate::git::CommitInfo>) -> Vec<Oid> {
    commits.into_iter().map(|info| info.id).collect()
}

#[test]
fn superseded_commits_are_listed_oldest_first() {
    let world = World::new();
    let start = world.commit(&[(A, text("0"))]);
    let one = world.commit(&[(A, text("1"))]);
    world.commit(&[(B, text("1"))]);
    let two = world.commit(&[(A, text("2"))]);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    assert_eq!(
        ids(mirror.commits_between(start, two, A).unwrap()),
        [one, two]
    );
}

#[test]
fn the_newest_matching_version_comes_with_the_commit_that_brought_it() {
    let world = World::new();
    let good = world.commit(&[(A, text("good"))]);
    world.commit(&[(B, text("1"))]);
    world.commit(&[(A, text("bad"))]);
    world.commit(&[(A, File::Gone)]);
    world.commit(&[(A, File::Symlink("good".to_owned()))]);
    let head = world.commit(&[(A, text("worse"))]);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    let mut seen = Vec::new();
    let found = mirror
        .newest_matching(head, A, 10, &mut |_, bytes| {
            seen.push(String::from_utf8(bytes.to_vec()).unwrap());
            bytes == b"good"
        })
        .unwrap();
    assert_eq!(seen, ["worse", "bad", "good"]);
    assert_eq!(
        found.map(|(info, bytes)| (info.id, bytes)),
        Some((good, b"good".to_vec()))
    );
    let within = |limit| {
        mirror
            .newest_matching(head, A, limit, &mut |_, bytes| bytes == b"good")
            .unwrap()
    };
    assert!(within(2).is_none());
    assert!(within(3).is_some());
}

#[test]
fn only_the_new_part_of_history_is_walked_when_the_head_moves() {
    let world = World::new();
    let first = world.commit(&[(A, text("1"))]);
    for n in 0..20 {
        world.commit(&[(B, text(&n.to_string()))]);
    }
    let mirror = world.mirror();
    let head = mirror.fetch().unwrap();
    assert_eq!(mirror.last_change(head, A).unwrap().unwrap().id, first);
    let next = world.commit(&[(B, text("next"))]);
    mirror.fetch().unwrap();
    // Without the old history only an incremental answer is possible.
    let blocked = world.dir.path().join("state/repo.git/objects");
    let mut inner = mirror.lock();
    let repo = Repository::init_bare(world.dir.path().join("recent.git")).unwrap();
    let (from, to) = (inner.repo.odb().unwrap(), repo.odb().unwrap());
    for commit in [next, head, first] {
        let commit = inner.repo.find_commit(commit).unwrap();
        for id in [commit.id(), commit.tree_id()] {
            let object = from.read(id).unwrap();
            to.write(object.kind(), object.data()).unwrap();
        }
        let desired = commit.tree().unwrap().get_name("desired").unwrap().id();
        for id in [
            desired,
            inner
                .repo
                .find_tree(desired)
                .unwrap()
                .get_name("x")
                .map_or(desired, |e| e.id()),
        ] {
            let object = from.read(id).unwrap();
            to.write(object.kind(), object.data()).unwrap();
        }
    }
    let parent = inner.repo.find_commit(head).unwrap().parent(0).unwrap();
    for id in [parent.id(), parent.tree_id()] {
        let object = from.read(id).unwrap();
        to.write(object.kind(), object.data()).unwrap();
    }
    drop((from, to, parent));
    assert!(blocked.exists());
    inner.repo = repo;
    drop(inner);
    assert_eq!(mirror.last_change(next, A).unwrap().unwrap().id, first);
    assert_eq!(mirror.last_change(next, B).unwrap().unwrap().id, next);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    /// Histories with merges and rewound branches, asked about at every head in turn.
    #[test]
    fn the_incremental_answer_equals_a_fresh_one(
        steps in proptest::collection::vec((0..6_u8, 0..4_usize, 0..3_u8, any::<prop::sample::Index>()), 1..25),
    ) {
        let world = World::new();
        let paths = [A, B, "desired/x/c.json", "desired/d.json"];
        let long_lived = world.mirror();
        let mut commits = vec![world.commit(&[(A, text("start"))])];
        let mut asked = Vec::new();
        for (kind, path, content, other) in steps {
            let head = *commits.last().unwrap();
            let other = commits[other.index(commits.len())];
            let file = if content == 0 { File::Gone } else { text(&content.to_string()) };
            let change = [(paths[path], file)];
            let commit = match kind {
                0 => world.loose(&[head, other], &change),
                1 => world.loose(&[other], &change),
                _ => world.loose(&[head], &change),
            };
            world.point("main", commit);
            commits.push(commit);
            let head = long_lived.fetch().unwrap();
            prop_assert_eq!(head, commit);
            // Not after every step, so that several commits are taken in at once too.
            if kind % 2 == 0 {
                let fresh = Mirror::open(&world.dir.path().join("state"), world.remote()).unwrap();
                for path in paths {
                    let (one, two) = (long_lived.last_change(head, path).unwrap(), fresh.last_change(head, path).unwrap());
                    prop_assert_eq!(&one, &two, "{}", path);
                    // And it is right: the file there is the file at the head.
                    if let Some(info) = &one {
                        prop_assert_eq!(long_lived.blob_at(info.id, path).unwrap(), long_lived.blob_at(head, path).unwrap());
                    }
                }
                asked.push(head);
            }
        }
    }
}
