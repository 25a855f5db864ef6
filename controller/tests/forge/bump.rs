//! `amid bump`: one pull request, however often it is run.

use std::fs;

use super::*;

const BRANCH: &str = "amid/bump/demo-web";

#[test]
fn bumping_twice_makes_one_pull_request_and_a_newer_image_updates_it() {
    for kind in Kind::ALL {
        let world = World::new(kind);
        let head = world.small.bare.head().unwrap();
        let bump = ["bump", APP, "--ami", OTHER_IMAGE, "--commit", "9f3c2e1"];
        let said = world.says(&bump);
        assert!(
            said.starts_with("Pull request opened: https://forge.example.com/"),
            "{said}"
        );
        let tip = world.message(BRANCH);
        assert_eq!(
            tip,
            format!(
                "Bump demo/web to {OTHER_IMAGE}\n\n{IMAGE} becomes {OTHER_IMAGE}.\n\n\
                Amid-App: demo/web\nAmid-From-Ami: {IMAGE}\nAmid-To-Ami: {OTHER_IMAGE}\n\
                Amid-App-Commit: 9f3c2e1\n"
            )
        );
        let mut expected = world.manifest("main");
        expected["ami"] = json!(OTHER_IMAGE);
        expected["image"] = json!({ "commit": "9f3c2e1" });
        assert_eq!(world.manifest(BRANCH), expected);

        let repo = git2::Repository::open_bare(world.small.bare.path()).unwrap();
        let tip = repo.revparse_single(BRANCH).unwrap().id();
        let said = world.says(&bump);
        assert!(said.starts_with("Pull request is there: "), "{said}");
        assert_eq!(
            repo.revparse_single(BRANCH).unwrap().id(),
            tip,
            "no second commit"
        );
        assert_eq!(world.forge.pulls().len(), 1);

        world.says(&["bump", APP, "--ami", BAD]);
        let pulls = world.forge.pulls();
        assert_eq!(
            pulls.len(),
            1,
            "the newer image is in the same one: {pulls:?}"
        );
        assert_eq!(pulls[0].title, format!("Bump demo/web to {BAD}"));
        assert_eq!(
            (pulls[0].head.as_str(), pulls[0].base.as_str()),
            (BRANCH, "main")
        );
        assert!(pulls[0].body.contains(&format!("Amid-To-Ami: {BAD}")));
        assert_eq!(world.manifest(BRANCH)["ami"], BAD);
        assert_eq!(
            world.small.bare.head().unwrap(),
            head,
            "nobody touched the branch"
        );

        // After it was closed, a further image gets a further one.
        world.forge.close(1);
        world.says(&bump);
        assert_eq!(world.forge.pulls().len(), 2);
        world.no_complaints();
    }
}

#[test]
fn packers_file_names_the_image_of_the_apps_region() {
    let world = World::new(Kind::Github);
    let file = world.small.folder().join("packer-manifest.json");
    let content = json!({
        "builds": [{
            "name": "app", "builder_type": "amazon-chroot", "packer_run_uuid": "u",
            "artifact_id": format!("us-east-1:{OTHER_IMAGE}"),
            "custom_data": { "version": "1.43.0", "commit": "9f3c2e1", "base": IMAGE, "build": "ci-7" },
        }],
        "last_run_uuid": "u",
    });
    fs::write(&file, content.to_string()).unwrap();
    let path = file.to_str().unwrap();
    world.says(&["bump", APP, "--manifest", path, "--build", "ci-8"]);
    let message = world.message(BRANCH);
    assert!(
        message.starts_with(&format!("Bump demo/web to 1.43.0 ({OTHER_IMAGE})\n")),
        "{message}"
    );
    assert!(
        message.contains(&format!("Amid-Base-Ami: {IMAGE}\n")),
        "{message}"
    );
    assert_eq!(
        world.manifest(BRANCH)["image"],
        json!({ "version": "1.43.0", "commit": "9f3c2e1", "build": "ci-8" })
    );
    fs::write(&file, "{}").unwrap();
    let said = world.refuses(&["bump", APP, "--manifest", path]);
    assert!(
        said.contains("packer-manifest.json") && said.contains("lists no builds"),
        "{said}"
    );
    world.no_complaints();
}

#[test]
fn where_policy_says_so_the_commit_goes_straight_to_the_branch() {
    for forge in [true, false] {
        let world = World::with(Kind::Gitea, |_, more| {
            if forge {
                more["forge"]["changes"] = json!("push");
            } else {
                more.as_object_mut().unwrap().remove("forge");
            }
        });
        let said = world.says(&["bump", APP, "--ami", OTHER_IMAGE]);
        assert!(said.contains("to branch `main`"), "{said}");
        assert_eq!(world.manifest("main")["ami"], OTHER_IMAGE);
        assert_eq!(world.small.bare.branches().unwrap(), ["main"]);
        let said = world.says(&["bump", APP, "--ami", OTHER_IMAGE]);
        assert!(said.starts_with("Nothing to do"), "{said}");
        assert!(world.forge.pulls().is_empty());
    }
}

#[test]
fn a_branch_that_refuses_the_push_gets_a_pull_request_all_the_same() {
    let world = World::with(Kind::Github, |_, more| {
        more["forge"]["changes"] = json!("push")
    });
    use std::os::unix::fs::PermissionsExt;
    let hook = world.small.bare.path().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let said = world.says(&["bump", APP, "--ami", OTHER_IMAGE]);
    assert!(said.starts_with("Pull request opened"), "{said}");
    assert_eq!(world.manifest("main")["ami"], IMAGE);
    assert_eq!(
        world.manifest(&world.forge.pulls()[0].head)["ami"],
        OTHER_IMAGE
    );
}

#[test]
fn somebody_elses_commit_on_the_branch_is_left_alone() {
    let world = World::new(Kind::Github);
    let files = changed(|manifest| manifest["min_size"] = json!(2));
    let repo = git2::Repository::open_bare(world.small.bare.path()).unwrap();
    world.small.push(&files, "Try something").unwrap();
    let tip = repo.refname_to_id("refs/heads/main").unwrap();
    repo.reference(&format!("refs/heads/{BRANCH}"), tip, false, "")
        .unwrap();
    // `main` goes back, so that the commit is on the other branch alone.
    let before = repo.find_commit(tip).unwrap().parent_id(0).unwrap();
    repo.reference("refs/heads/main", before, true, "").unwrap();
    let said = world.refuses(&["bump", APP, "--ami", OTHER_IMAGE]);
    assert!(said.contains("which amid did not make"), "{said}");
    assert_eq!(repo.revparse_single(BRANCH).unwrap().id(), tip);
    assert!(world.forge.pulls().is_empty());
}

#[test]
fn a_forge_that_does_not_answer_well_is_said_and_the_next_run_opens_it() {
    let world = World::new(Kind::Gitlab);
    let bump = ["bump", APP, "--ami", OTHER_IMAGE];
    for (code, words) in [
        (500, "cannot be asked now: it answered 500"),
        (401, "is the token in `forge.token_file` right?"),
        (404, "access to `forge.project`"),
    ] {
        world.forge.answer_with(&[code]);
        let said = world.refuses(&bump);
        assert!(said.contains(words) && said.contains(BRANCH), "{said}");
    }
    assert!(world.forge.pulls().is_empty());
    world.says(&bump);
    assert_eq!(world.forge.pulls().len(), 1);
}

#[test]
fn a_wrong_token_or_none_is_said_without_showing_it() {
    let world = World::new(Kind::Github);
    let file = world.small.folder().join("forge-token");
    fs::write(&file, "another-secret\n").unwrap();
    let said = world.refuses(&["bump", APP, "--ami", OTHER_IMAGE]);
    assert!(
        said.contains("answered 401") && !said.contains("another-secret"),
        "{said}"
    );
    fs::write(&file, "two\nlines").unwrap();
    let said = world.refuses(&["bump", APP, "--ami", OTHER_IMAGE]);
    assert!(said.contains("does not hold a token in one line"), "{said}");
}

#[test]
fn what_is_no_app_or_no_image_is_said_before_anything_is_written() {
    let world = World::new(Kind::Github);
    for (args, words) in [
        (
            vec!["bump", "demo/none", "--ami", OTHER_IMAGE],
            "There is no `desired/demo/none.json`",
        ),
        (vec!["bump", APP, "--ami", "ami-1"], "is not an AMI id"),
        (
            vec!["bump", APP, "--ami", OTHER_IMAGE, "--commit", "a\nb"],
            "one line",
        ),
        (
            vec!["bump", APP, "--manifest", "/nowhere.json"],
            "Failed to read `/nowhere.json`",
        ),
    ] {
        let said = world.refuses(&args);
        assert!(said.contains(words), "{args:?}: {said}");
    }
    assert_eq!(world.small.bare.branches().unwrap(), ["main"]);
    assert_eq!(world.forge.requests(), 0);
}

#[test]
fn promoting_copies_the_image_and_nothing_else() {
    let world = World::new(Kind::Gitea);
    let files = Small::app_files("demo/staging", OTHER_IMAGE);
    let mut staging: Value = serde_json::from_slice(&files[0].1).unwrap();
    staging["image"] = json!({ "version": "2.0", "commit": "abc" });
    (staging["min_size"], staging["env"]) = (json!(2), json!({ "A": "1" }));
    let staging = (files[0].0.clone(), staging.to_string().into_bytes());
    world
        .small
        .push(&[staging, files[1].clone()], "Add staging")
        .unwrap();
    let said = world.says(&["promote", "demo/staging", APP]);
    assert!(said.starts_with("Pull request opened"), "{said}");
    let mut expected = world.manifest("main");
    expected["ami"] = json!(OTHER_IMAGE);
    expected["image"] = json!({ "version": "2.0", "commit": "abc" });
    assert_eq!(world.manifest("amid/promote/demo-web"), expected);
    let pulls = world.forge.pulls();
    assert_eq!(
        pulls[0].title,
        format!("Promote 2.0 ({OTHER_IMAGE}) from demo/staging to demo/web")
    );
    world.no_complaints();
}

#[test]
fn an_image_is_not_promoted_into_another_region() {
    let world = World::with(Kind::Gitea, |small, more| {
        let target = |prefix: &str, region: &str| {
            json!({
                "prefix": prefix, "account_id": amid_testkit::cloud::ACCOUNT, "region": region,
                "endpoint_url": small.standin.endpoint(),
            })
        };
        more["targets"] = json!([target("demo/", "us-east-1"), target("far/", "eu-west-1")]);
    });
    let said = world.refuses(&["promote", APP, "far/web"]);
    assert!(said.contains("an AMI id is of one region"), "{said}");
}
