//! `amid rollback`, and the revert that waits in a pull request.

use super::*;

const BRANCH: &str = "amid/rollback/demo-web";

#[test]
fn a_rollback_brings_the_release_before_back_and_keeps_the_sizes() {
    let world = World::new(Kind::Github);
    let next = changed(|manifest| {
        manifest["ami"] = json!(OTHER_IMAGE);
        manifest["env"] = json!({ "A": "1" });
        manifest["max_size"] = json!(5);
    });
    world.small.push(&next, "Bump demo/web").unwrap();
    let said = world.says(&["rollback", APP]);
    assert!(said.starts_with("Pull request opened"), "{said}");
    let rolled = world.manifest(BRANCH);
    assert_eq!(rolled["ami"], IMAGE);
    assert_eq!(rolled.get("env"), None);
    assert_eq!(rolled["max_size"], 5, "sizes are not the release's");
    let pulls = world.forge.pulls();
    assert_eq!(pulls[0].title, format!("Roll demo/web back to {IMAGE}"));

    let said = world.refuses(&["rollback", APP, "--to", OTHER_IMAGE]);
    assert!(said.contains("already"), "{said}");
    let said = world.refuses(&["rollback", APP, "--to", BAD]);
    assert!(said.contains("`amid bump`"), "{said}");
    let first = world
        .small
        .bare
        .log()
        .unwrap()
        .last()
        .unwrap()
        .id
        .to_string();
    let said = world.says(&["rollback", APP, "--to", &first[..10]]);
    assert!(said.starts_with("Pull request is there"), "{said}");
    world.no_complaints();
}

#[test]
fn an_image_that_was_taken_back_is_not_rolled_back_to() {
    let world = World::with(Kind::Github, |_, more| {
        more["forge"]["changes"] = json!("push")
    });
    let bad = changed(|manifest| manifest["ami"] = json!(BAD));
    let bad = world.small.push(&bad, "Bump demo/web").unwrap();
    world.small.person.revert(bad).unwrap();
    world.small.person.push().unwrap();
    let said = world.refuses(&["rollback", APP]);
    assert!(said.contains("nobody took back"), "{said}");
    assert_eq!(world.manifest("main")["ami"], IMAGE);
}

#[test]
fn where_nobody_may_push_the_revert_waits_in_a_pull_request() {
    let mut world = World::new(Kind::Gitlab);
    let good = changed(|manifest| checked(manifest, IMAGE));
    world.small.push(&good, "Check demo/web").unwrap();
    world.small.start().unwrap();
    world.small.until_deployed(APP, IMAGE).unwrap();
    let bad = changed(|manifest| checked(manifest, BAD));
    let commit = world.small.push(&bad, "Bump demo/web").unwrap();
    let said = world
        .small
        .until_held(APP, "the revert waits to be merged")
        .unwrap();
    let pulls = world.forge.pulls();
    assert_eq!(pulls.len(), 1);
    assert_eq!(pulls[0].title, format!("Revert demo/web to {IMAGE}"));
    assert!(
        said.contains("https://forge.example.com/you/desired/-/merge_requests/1"),
        "{said}"
    );
    assert_eq!(
        world.small.bare.head().unwrap(),
        Some(commit),
        "nobody pushed to the branch"
    );
    assert_eq!(world.manifest(&pulls[0].head), world.manifest("main~1"));
    world
        .small
        .until("the bad group is gone", |small| {
            Ok(small.stub.cloud()?.groups.len() == 1)
        })
        .unwrap();
    assert_eq!(outcome(&world, commit), None, "it has not come to its end");

    // A person merges it, with whatever subject the forge writes.
    let merged = changed(|manifest| checked(manifest, IMAGE));
    world
        .small
        .push(&merged, "Merge branch 'amid/revert/…'")
        .unwrap();
    world.small.until_deployed(APP, IMAGE).unwrap();
    world
        .small
        .until("the commit has its end", |small| {
            Ok(ended(small, commit) == Some("failed_reverted".to_owned()))
        })
        .unwrap();
    assert_eq!(
        world.forge.pulls().len(),
        1,
        "a pull request is opened once"
    );
    world.no_complaints();
}

#[test]
fn a_dead_forge_does_not_keep_the_bad_group_alive() {
    let mut world = World::with(Kind::Github, |_, more| {
        more["forge"]["statuses"] = json!(false);
    });
    let good = changed(|manifest| checked(manifest, IMAGE));
    world.small.push(&good, "Check demo/web").unwrap();
    world.small.start().unwrap();
    world.small.until_deployed(APP, IMAGE).unwrap();
    world.forge.answer_with(&[503]);
    let bad = changed(|manifest| checked(manifest, BAD));
    world.small.push(&bad, "Bump demo/web").unwrap();
    let said = world
        .small
        .until_held(APP, "a pull request could not be opened")
        .unwrap();
    assert!(said.contains("amid/revert/demo-web-"), "{said}");
    world
        .small
        .until("the bad group is gone", |small| {
            Ok(small.stub.cloud()?.groups.len() == 1)
        })
        .unwrap();
    world.small.still_well().unwrap();
}

/// A manifest whose health is asked for, and whose revert is a pull request.
fn checked(manifest: &mut Value, image: &str) {
    manifest["ami"] = json!(image);
    manifest["health"] = json!({ "type": "load_balancer", "timeout": "4s" });
    manifest["on_failure"] = json!("pull_request");
}

fn outcome(world: &World, commit: git2::Oid) -> Option<String> {
    ended(&world.small, commit)
}

fn ended(small: &Small, commit: git2::Oid) -> Option<String> {
    let output = small
        .cli(&["history", APP, "-o", "json", "-n", "500"])
        .unwrap();
    let entries: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    entries.iter().find_map(|entry| {
        let event = &entry["event"];
        (event["event"] == "ended" && event["commit"] == commit.to_string())
            .then(|| event["outcome"].as_str().unwrap().to_owned())
    })
}
