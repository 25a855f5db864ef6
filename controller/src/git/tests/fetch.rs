use std::fs;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::git::{CommitInfo, FetchError};

#[test]
fn a_pushed_commit_arrives_and_is_an_ancestor_of_the_next() {
    let world = World::new();
    let mirror = world.mirror();
    let first = world.commit(&[("desired/a.json", text("1"))]);
    assert_eq!(mirror.head(), None);
    assert_eq!(mirror.fetch().unwrap(), first);
    let second = world.commit(&[("desired/a.json", text("2"))]);
    assert_eq!(mirror.fetch().unwrap(), second);
    assert_eq!(mirror.head(), Some(second));
    assert!(mirror.is_ancestor(first, second).unwrap());
    assert!(mirror.is_ancestor(second, second).unwrap());
    assert!(!mirror.is_ancestor(second, first).unwrap());
}

#[test]
fn a_force_push_is_not_a_descendant_and_the_head_before_stays_readable() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.commit(&[("desired/a.json", text("1"))]);
    let lost = world.commit(&[("desired/a.json", text("2"))]);
    mirror.fetch().unwrap();
    let rewritten = world.loose(&[base], &[("desired/a.json", text("3"))]);
    world.point("main", rewritten);
    assert_eq!(mirror.fetch().unwrap(), rewritten);
    assert!(!mirror.is_ancestor(lost, rewritten).unwrap());
    assert_eq!(
        mirror.blob_at(lost, "desired/a.json").unwrap(),
        Some(b"2".to_vec())
    );
    // Back to an older commit: nothing new to copy, still not a descendant.
    world.point("main", base);
    assert_eq!(mirror.fetch().unwrap(), base);
    assert!(!mirror.is_ancestor(rewritten, base).unwrap());
}

#[test]
fn only_the_branch_is_copied() {
    let world = World::new();
    let mirror = world.mirror();
    let main = world.commit(&[("desired/a.json", text("1"))]);
    let other = world.loose(&[main], &[("big", text("of another branch"))]);
    world.point("feature", other);
    world.commit(&[("desired/a.json", text("2"))]);
    mirror.fetch().unwrap();
    assert!(mirror.blob_at(other, "big").is_err());
}

#[test]
fn an_empty_repository_a_missing_branch_and_a_deleted_one_are_told_apart() {
    let world = World::new();
    let mirror = world.mirror();
    assert!(matches!(mirror.fetch(), Err(FetchError::Empty { .. })));
    let commit = world.loose(&[], &[("a", text("1"))]);
    world.point("trunk", commit);
    let error = mirror.fetch().unwrap_err();
    assert!(
        matches!(&error, FetchError::BranchMissing { others, .. } if others == &["trunk"]),
        "{error}"
    );
    assert!(
        error.to_string().contains("`main`") && error.to_string().contains("`trunk`"),
        "{error}"
    );
    world.point("main", commit);
    mirror.fetch().unwrap();
    world
        .origin
        .find_reference("refs/heads/main")
        .unwrap()
        .delete()
        .unwrap();
    assert!(matches!(
        mirror.fetch(),
        Err(FetchError::BranchMissing { .. })
    ));
    assert_eq!(mirror.head(), Some(commit));
}

#[test]
fn a_repository_that_went_away_is_unreachable_and_the_last_head_stays() {
    let world = World::new();
    let mirror = world.mirror();
    let commit = world.commit(&[("desired/a.json", text("1"))]);
    mirror.fetch().unwrap();
    fs::rename(world.path(), world.dir.path().join("elsewhere")).unwrap();
    let error = mirror.fetch().unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("repository.url"), "{error}");
    assert_eq!(mirror.head(), Some(commit));
    assert_eq!(mirror.manifests(commit).unwrap().files.len(), 1);
}

#[test]
fn a_fetch_above_the_byte_limit_changes_nothing() {
    let world = World::new();
    let mut remote = world.remote();
    remote.limits.bytes = 10_000;
    let mirror = Mirror::open(&world.dir.path().join("state"), remote).unwrap();
    let small = world.commit(&[("desired/a.json", text("1"))]);
    mirror.fetch().unwrap();
    // Random enough to stay large when compressed.
    let noise: String = (0..1000_u32)
        .map(|n| hex::encode(Sha256::digest(n.to_le_bytes())))
        .collect();
    world.commit(&[("noise", text(&noise))]);
    assert!(matches!(
        mirror.fetch(),
        Err(FetchError::TooLarge { limit: 10_000 })
    ));
    assert_eq!(mirror.head(), Some(small));
    drop(mirror);
    assert_eq!(residue(&world), Vec::<String>::new());
}

/// Files of the mirror that an interrupted fetch leaves.
fn residue(world: &World) -> Vec<String> {
    let root = world.dir.path().join("state/repo.git");
    let odd =
        |name: &String| name.contains("tmp") || name.ends_with(".lock") || name.contains("_git2_");
    // Packs are not text: names only.
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            found.push(
                path.strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found.retain(odd);
    found
}

#[test]
fn what_a_killed_fetch_left_is_swept_at_the_next_start() {
    let world = World::new();
    let commit = world.commit(&[("desired/a.json", text("1"))]);
    world.mirror().fetch().unwrap();
    let root = world.dir.path().join("state/repo.git");
    let origin = fs::read_dir(root.join("refs/amid"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let leavings = [
        root.join("objects/pack/pack_git2_abc123"),
        root.join("objects/pack/tmp_pack_x7"),
        root.join("objects/pack/pack-00.idx"),
        root.join("objects/tmp_object_git2_1"),
        root.join("HEAD.lock"),
        root.join("packed-refs.lock"),
        origin.join("main.lock"),
    ];
    for file in &leavings {
        fs::write(file, "half").unwrap();
    }
    let mirror = world.mirror();
    for file in &leavings {
        assert!(!file.exists(), "{} is still there", file.display());
    }
    assert_eq!(mirror.head(), Some(commit));
    let next = world.commit(&[("desired/a.json", text("2"))]);
    assert_eq!(mirror.fetch().unwrap(), next);
}

#[test]
fn a_damaged_mirror_is_set_aside_and_copied_anew() {
    let world = World::new();
    let commit = world.commit(&[("desired/a.json", text("1"))]);
    world.mirror().fetch().unwrap();
    let state = world.dir.path().join("state");
    for damage in ["objects", "HEAD", "config"] {
        let hurt = state.join("repo.git").join(damage);
        if hurt.is_dir() {
            fs::remove_dir_all(&hurt).unwrap();
        } else {
            fs::write(&hurt, "\u{0}[nonsense").unwrap();
        }
        let mirror = world.mirror();
        assert_eq!(mirror.fetch().unwrap(), commit, "{damage}");
        assert_eq!(mirror.manifests(commit).unwrap().files.len(), 1, "{damage}");
        assert!(state.join("repo.git.damaged").exists());
    }
}

#[test]
fn damage_met_while_running_is_repaired_by_the_next_fetch() {
    let world = World::new();
    let commit = world.commit(&[("desired/a.json", text("1"))]);
    world.mirror().fetch().unwrap();
    let packs = world.dir.path().join("state/repo.git/objects/pack");
    for file in fs::read_dir(&packs).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    // Opened without looking, as a process that runs since before the damage.
    let mirror = world.mirror();
    fs::rename(
        world.dir.path().join("state/repo.git.damaged"),
        world.dir.path().join("kept"),
    )
    .unwrap();
    mirror.fetch().unwrap();
    let objects = world.dir.path().join("state/repo.git/objects");
    fs::remove_dir_all(&objects).unwrap();
    fs::create_dir_all(objects.join("pack")).unwrap();
    {
        let mut inner = mirror.lock();
        inner.repo = Repository::open_bare(world.dir.path().join("state/repo.git")).unwrap();
        inner.manifests = None;
    }
    assert!(mirror.manifests(commit).is_err());
    assert_eq!(mirror.fetch().unwrap(), commit);
    assert_eq!(mirror.manifests(commit).unwrap().files.len(), 1);
}

#[test]
fn asking_for_a_commit_that_never_was_here_is_not_taken_for_damage() {
    let world = World::new();
    world.commit(&[("desired/a.json", text("1"))]);
    let stranger = world.loose(&[], &[("desired/a.json", text("2"))]);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    assert!(mirror.manifests(stranger).is_err());
    assert!(mirror.last_change(stranger, "desired/a.json").is_err());
    mirror.fetch().unwrap();
    assert!(!world.dir.path().join("state/repo.git.damaged").exists());
}

#[test]
fn another_address_does_not_inherit_the_head() {
    let (one, two) = (World::new(), World::new());
    one.commit(&[("a", text("1"))]);
    let state = one.dir.path().join("state");
    Mirror::open(&state, one.remote()).unwrap().fetch().unwrap();
    assert_eq!(Mirror::open(&state, two.remote()).unwrap().head(), None);
    assert!(Mirror::open(&state, one.remote()).unwrap().head().is_some());
}

#[test]
fn many_small_packs_are_joined_and_nothing_is_lost() {
    let world = World::new();
    let mirror = world.mirror();
    let mut commits = Vec::new();
    for n in 0..230 {
        commits.push(world.commit(&[("desired/a.json", text(&n.to_string()))]));
        mirror.fetch().unwrap();
    }
    let packs = world.dir.path().join("state/repo.git/objects/pack");
    let count = fs::read_dir(packs).unwrap().count();
    assert!(count < 100, "{count} files for packs");
    for (n, commit) in commits.iter().enumerate() {
        assert_eq!(
            mirror.blob_at(*commit, "desired/a.json").unwrap(),
            Some(n.to_string().into_bytes())
        );
    }
    assert_eq!(world.mirror().head(), commits.last().copied());
}

#[test]
fn a_commit_cannot_put_control_characters_into_what_people_see() {
    let world = World::new();
    let commit = world.commit(&[("desired/a.json", text("1"))]);
    let old = world.origin.find_commit(commit).unwrap();
    let odd = format!("Hide \u{1b}[2K{}", "x".repeat(1000));
    let commit = world
        .origin
        .commit(
            None,
            &old.author(),
            &old.author(),
            &odd,
            &old.tree().unwrap(),
            &[],
        )
        .unwrap();
    world.point("main", commit);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    let CommitInfo {
        subject,
        author,
        email,
        time,
        ..
    } = mirror
        .last_change(commit, "desired/a.json")
        .unwrap()
        .unwrap();
    assert!(
        !subject.contains(char::is_control) && subject.len() <= 200,
        "{subject:?}"
    );
    assert_eq!(
        (author.as_str(), email.as_str()),
        ("Ann", "ann@example.com")
    );
    assert_eq!(time.as_second(), old.time().seconds());
}
