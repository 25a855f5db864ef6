//! A commit hears of its way, on each kind of forge.

use super::*;

/// The states of one commit's status, without repetitions.
fn states(world: &World, commit: git2::Oid) -> Vec<(String, String)> {
    let commit = commit.to_string();
    let all = world.forge.statuses().into_iter();
    all.filter(|status| status.commit == commit)
        .map(|status| {
            assert_eq!(status.context, "amid/demo/web");
            (status.state, status.text)
        })
        .collect()
}

fn until_state(world: &mut World, commit: git2::Oid, state: &str) {
    let World { small, forge } = world;
    let id = commit.to_string();
    small
        .until(&format!("{id} is {state}"), |_| {
            let all = forge.statuses();
            Ok(all.iter().any(|one| one.commit == id && one.state == state))
        })
        .unwrap();
}

#[test]
fn a_roll_is_pending_then_deployed_and_links_to_the_page() {
    for (kind, pending) in [
        (Kind::Github, "pending"),
        (Kind::Gitlab, "running"),
        (Kind::Gitea, "pending"),
    ] {
        let mut world = World::with(kind, |_, more| {
            more["notify"] = json!({ "page": "https://amid.example.com" });
        });
        world.small.start().unwrap();
        world.small.until_deployed(APP, IMAGE).unwrap();
        let next = changed(|manifest| manifest["ami"] = json!(OTHER_IMAGE));
        let commit = world.small.push(&next, "Bump demo/web").unwrap();
        world.small.until_deployed(APP, OTHER_IMAGE).unwrap();
        until_state(&mut world, commit, "success");
        let told = states(&world, commit);
        let (last, way) = told.split_last().unwrap();
        assert_eq!(last.1, format!("deployed: {OTHER_IMAGE} is live"));
        assert!(
            !way.is_empty() && way.iter().all(|(state, _)| state == pending),
            "{told:?}"
        );
        if kind != Kind::Gitlab {
            // There, from running to running is no news.
            assert!(way.len() > 2, "{told:?}");
            assert_eq!(way[0].1, format!("seen, asks for {OTHER_IMAGE}"));
        }
        let statuses = world.forge.statuses();
        assert_eq!(
            statuses[0].link.as_deref(),
            Some("https://amid.example.com/apps/demo/web")
        );
        world.no_complaints();
    }
}

#[test]
fn a_failed_release_and_a_refused_manifest_fail_their_commits() {
    let mut world = World::new(Kind::Github);
    let checked = |manifest: &mut Value, image: &str| {
        manifest["ami"] = json!(image);
        manifest["health"] = json!({ "type": "load_balancer", "timeout": "4s" });
    };
    let good = changed(|manifest| checked(manifest, IMAGE));
    world.small.push(&good, "Check demo/web").unwrap();
    world.small.start().unwrap();
    world.small.until_deployed(APP, IMAGE).unwrap();
    let bad = changed(|manifest| checked(manifest, BAD));
    let bad = world.small.push(&bad, "Bump demo/web").unwrap();
    until_state(&mut world, bad, "failure");
    world.small.until_deployed(APP, IMAGE).unwrap();
    let World { small, forge } = &mut world;
    small
        .until("the end is told", |_| {
            let last = forge.statuses().into_iter().rev();
            let mut last = last.filter(|one| one.commit == bad.to_string());
            Ok(last
                .next()
                .is_some_and(|one| one.text.starts_with("failed, and git went back")))
        })
        .unwrap();
    let told = states(&world, bad);
    let failed = told
        .iter()
        .position(|(state, _)| state == "failure")
        .unwrap();
    assert!(
        told[failed..].iter().all(|(state, _)| state == "failure"),
        "never pending again: {told:?}"
    );

    world.small.person.pull().unwrap();
    let invalid = changed(|manifest| manifest["min_sise"] = json!(1));
    let invalid = world.small.push(&invalid, "Break demo/web").unwrap();
    until_state(&mut world, invalid, "failure");
    let told = states(&world, invalid);
    assert!(
        told.last().unwrap().1.contains("did you mean `min_size`"),
        "{told:?}"
    );
    world.no_complaints();
}

#[test]
fn a_forge_that_hangs_delays_no_roll() {
    let mut world = World::new(Kind::Gitea);
    world.forge.hang(true);
    world.small.start().unwrap();
    world.small.until_deployed(APP, IMAGE).unwrap();
    let next = changed(|manifest| manifest["ami"] = json!(OTHER_IMAGE));
    world.small.push(&next, "Bump demo/web").unwrap();
    world.small.until_deployed(APP, OTHER_IMAGE).unwrap();
    world.small.still_well().unwrap();
    assert!(world.forge.statuses().is_empty());
    assert!(world.forge.requests() > 0);
}
