//! `amid preview`: what a branch would do, said and published.

use super::*;

/// Puts files on a branch beside `main`.
fn branch(world: &World, name: &str, files: &[(String, Vec<u8>)]) {
    let repo = git2::Repository::open_bare(world.small.bare.path()).unwrap();
    let before = repo.refname_to_id("refs/heads/main").unwrap();
    let tip = world.small.push(files, "Change something").unwrap();
    repo.reference(&format!("refs/heads/{name}"), tip, true, "")
        .unwrap();
    repo.reference("refs/heads/main", before, true, "").unwrap();
    world.small.person.pull().unwrap();
}

fn json_of(world: &World, args: &[&str]) -> Value {
    let output = world.run(args);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn a_branch_is_told_in_words_and_runs_nothing() {
    let mut world = World::new(Kind::Github);
    world.small.start().unwrap();
    world.small.until_deployed(APP, IMAGE).unwrap();
    world.small.stop().unwrap();
    let requests = world.forge.requests();
    let plans = world.small.stub.started("plan").unwrap();
    let mut files = changed(|manifest| manifest["ami"] = json!(OTHER_IMAGE));
    files.push((
        "terraform/live/demo/web/app/terragrunt.hcl".to_owned(),
        b"# evil\n".to_vec(),
    ));
    branch(&world, "next", &files);
    let said = world.says(&["preview", "next"]);
    for words in [
        "into main: rolls: 1",
        "demo/web: rolls",
        "because of ami: 1 instance replaced",
        "Capacity stays at 1 or more and reaches 2",
        &format!("A later revert needs {IMAGE}, which is there"),
        "nothing here has run: 1",
        "terraform/live/demo/web/app/terragrunt.hcl",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(world.small.stub.started("plan").unwrap(), plans);
    let asked = world.forge.requests() - requests;
    assert_eq!(asked, 0, "nothing is published unasked");
    let told = json_of(&world, &["preview", "next", "-o", "json"]);
    assert_eq!(told["ok"], true);
    let app = &told["apps"][APP];
    assert_eq!(
        (&app["effect"], &app["replaced"]),
        (&json!("roll"), &json!(1))
    );
    assert_eq!(app["revert_ami"], IMAGE);
}

#[test]
fn what_would_not_work_is_a_problem_and_the_exit_code_says_so() {
    let world = World::new(Kind::Github);
    let missing = changed(|manifest| manifest["ami"] = json!("ami-0fffffffffffffffe"));
    branch(&world, "missing", &missing);
    let told = json_of(&world, &["preview", "missing", "-o", "json"]);
    assert_eq!(told["ok"], false);
    assert!(
        told["apps"][APP]["problems"][0]
            .as_str()
            .unwrap()
            .contains("does not exist")
    );
    assert_eq!(world.run(&["preview", "missing"]).status.code(), Some(1));
    // Without AWS nobody knows.
    assert!(
        world
            .says(&["preview", "missing", "--offline"])
            .contains("AWS was not asked")
    );

    let invalid = changed(|manifest| manifest["min_sise"] = json!(1));
    branch(&world, "invalid", &invalid);
    let told = json_of(&world, &["preview", "invalid", "-o", "json"]);
    assert_eq!(told["apps"][APP]["effect"], "refused");
    let shared = vec![(
        "desired/demo/twin.json".to_owned(),
        Small::app_files(APP, IMAGE)[0].1.clone(),
    )];
    branch(&world, "shared", &shared);
    let told = json_of(&world, &["preview", "shared", "-o", "json"]);
    assert_eq!(
        told["apps"]["demo/twin"]["effect"], "refused",
        "one unit, two apps: {told}"
    );
    let said = world.refuses(&["preview", "fork"]);
    assert!(
        said.contains("branches of forks are not looked at"),
        "{said}"
    );
}

#[test]
fn a_branch_that_lags_behind_is_not_blamed_for_what_it_lacks() {
    let world = World::new(Kind::Github);
    let files = changed(|manifest| manifest["owner"] = json!("team"));
    branch(&world, "lags", &files);
    world
        .small
        .push(&Small::app_files("demo/new", IMAGE), "Add demo/new")
        .unwrap();
    let told = json_of(&world, &["preview", "lags", "--offline", "-o", "json"]);
    let apps: Vec<&String> = told["apps"].as_object().unwrap().keys().collect();
    assert_eq!(apps, [APP]);
    assert_eq!(told["apps"][APP]["effect"], "behaviour");
}

#[test]
fn the_comment_is_updated_and_not_repeated() {
    for kind in Kind::ALL {
        let world = World::new(kind);
        let said = world.refuses(&["preview", "amid/bump/demo-web", "--publish"]);
        assert!(said.contains("no branch"), "{said}");
        world.says(&["bump", APP, "--ami", OTHER_IMAGE]);
        let preview = ["preview", "amid/bump/demo-web", "--publish"];
        for n in 0..120 {
            world.forge.say(1, &format!("chat {n}"));
        }
        world.says(&preview);
        world.says(&preview);
        let ours = |world: &World| -> Vec<String> {
            let comments = world.forge.pulls()[0].comments.clone();
            let texts = comments.into_iter().map(|(_, text)| text);
            texts.filter(|text| text.contains("amid preview")).collect()
        };
        let comments = ours(&world);
        assert_eq!(comments.len(), 1, "{comments:?}");
        assert!(comments[0].contains("1 instance replaced"), "{comments:?}");
        world.says(&["bump", APP, "--ami", BAD]);
        world.says(&preview);
        let comments = ours(&world);
        assert!(
            comments.len() == 1 && comments[0].contains(BAD),
            "{comments:?}"
        );
        let statuses = world.forge.statuses();
        let last = statuses.last().unwrap();
        assert_eq!(
            (last.state.as_str(), last.context.as_str()),
            ("success", "amid/preview")
        );
        assert_eq!(last.text, "rolls: 1");
        world.no_complaints();
    }
}

#[test]
fn publishing_needs_a_pull_request() {
    let world = World::new(Kind::Github);
    branch(
        &world,
        "next",
        &changed(|manifest| manifest["ami"] = json!(OTHER_IMAGE)),
    );
    let said = world.refuses(&["preview", "next", "--publish"]);
    assert!(
        said.contains("There is no open pull request from `next`"),
        "{said}"
    );
}
