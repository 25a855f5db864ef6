//! Two manifests in, sentences out.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::manifest::parse::{Source, parse_one};

const OLD: &str = "ami-00000000000000001";
const NEW: &str = "ami-00000000000000002";

fn manifest(change: Value) -> Manifest {
    let mut value = json!({
        "unit": "live/web/app", "ami": OLD, "instance_types": ["t3.small"],
        "min_size": 2, "max_size": 6, "roll": {"bake": "2m"},
    });
    for (name, new) in change.as_object().unwrap() {
        value[name] = new.clone();
    }
    let text = value.to_string();
    let source = Source {
        path: "desired/web.json",
        bytes: text.as_bytes(),
    };
    parse_one(&source).unwrap()
}

fn group(manifest: &Manifest, desired: u32) -> Group {
    Group {
        key: manifest.settings().key(),
        name: "web".to_owned(),
        min: 2,
        max: 6,
        desired,
        instances: Vec::new(),
        target_groups: Vec::new(),
        template_version: None,
        deleting: false,
        failures: Vec::new(),
    }
}

fn facts<'a>(before: Option<&'a Manifest>, after: &'a Manifest) -> Facts<'a> {
    Facts {
        before,
        after: After::Manifest(after),
        both: false,
        covered: true,
        unit: true,
        aws: None,
    }
}

fn available() -> ImageFact {
    ImageFact::Available {
        architecture: "x86_64".to_owned(),
        misfit: None,
    }
}

#[test]
fn a_new_image_is_told_with_its_instances_its_capacity_and_the_way_back() {
    let (before, after) = (manifest(json!({})), manifest(json!({"ami": NEW})));
    let mut facts = facts(Some(&before), &after);
    facts.aws = Some(Aws {
        groups: vec![group(&before, 4)],
        image: available(),
        old_image: available(),
    });
    let told = preview(&facts);
    assert_eq!(
        told.says,
        [
            "Rolls from ami-00000000000000001 to ami-00000000000000002, because of ami: 4 instances replaced",
            "Capacity stays at 4 or more and reaches 8: new beside old, 4 instances at once, healthy for 2m, then the old group drains",
            "Not healthy within 15m: amid takes the new group away and commits the revert",
            "A later revert needs ami-00000000000000001, which is there",
        ]
    );
    assert_eq!(
        (told.effect, told.replaced, told.least, told.most),
        (Effect::Roll, Some(4), Some(4), Some(8))
    );
    assert!(told.problems.is_empty());
}

#[test]
fn without_aws_the_size_is_the_one_in_git_and_that_is_said() {
    let before = manifest(json!({}));
    let after = manifest(json!({"env": {"A": "1"}, "roll": {"bake": "1m", "canary": 1}}));
    let told = preview(&facts(Some(&before), &after));
    assert_eq!(
        told.says[0],
        "Rolls ami-00000000000000001 anew, because of env, roll.bake, roll.canary: 2 instances replaced (as git has it)"
    );
    assert!(
        told.says[1].contains("1 instance first, healthy for 1m, then 2, healthy for 1m"),
        "{:?}",
        told.says
    );
}

#[test]
fn an_app_that_cannot_run_twice_has_no_capacity_meanwhile() {
    let before = manifest(json!({}));
    let after =
        manifest(json!({"ami": NEW, "roll": {"strategy": "recreate"}, "on_failure": "hold"}));
    let told = preview(&facts(Some(&before), &after));
    assert_eq!((told.least, told.most), (Some(0), Some(2)));
    assert!(told.says[1].starts_with("Capacity falls to 0"));
    assert!(told.says[2].ends_with("waits for a person"));
}

#[test]
fn sizes_are_changed_in_place() {
    let before = manifest(json!({}));
    let after = manifest(json!({"max_size": 3}));
    let mut facts = facts(Some(&before), &after);
    facts.aws = Some(Aws {
        groups: vec![group(&before, 5)],
        ..Aws::default()
    });
    let told = preview(&facts);
    assert_eq!(told.effect, Effect::InPlace);
    assert_eq!(
        told.says,
        ["Size 2–6 becomes 2–3 in place, no instance is replaced; autoscaling terminates 2 of 5"]
    );
    assert_eq!(told.replaced, None);
}

#[test]
fn behaviour_first_releases_deletions_and_nothing_are_told_apart() {
    let before = manifest(json!({}));
    let owned = manifest(json!({"owner": "team"}));
    let told = preview(&facts(Some(&before), &owned));
    assert_eq!(
        (told.effect, told.says),
        (
            Effect::Behaviour,
            vec!["No instance is touched, owner counts from then on".to_owned()]
        )
    );
    assert_eq!(
        preview(&facts(Some(&before), &before)).effect,
        Effect::Nothing
    );
    let told = preview(&facts(None, &before));
    assert_eq!(told.effect, Effect::First);
    assert_eq!(
        told.says[0],
        "Makes the app's first group: 2 instances of ami-00000000000000001, 2–6"
    );
    let mut deleted = facts(Some(&before), &before);
    deleted.after = After::Deleted;
    assert_eq!(preview(&deleted).effect, Effect::Unmanaged);
}

#[test]
fn what_would_never_work_is_a_problem() {
    let (before, after) = (manifest(json!({})), manifest(json!({"ami": NEW})));
    let mut misfit = BTreeMap::new();
    misfit.insert("does not exist", ImageFact::Missing);
    misfit.insert(
        "its state is `pending`",
        ImageFact::NotAvailable {
            state: "pending".to_owned(),
        },
    );
    misfit.insert(
        "`t3.small` needs x86_64",
        ImageFact::Available {
            architecture: "arm64".to_owned(),
            misfit: Some(("t3.small".to_owned(), "x86_64".to_owned())),
        },
    );
    for (words, image) in misfit {
        let mut facts = facts(Some(&before), &after);
        facts.aws = Some(Aws {
            image,
            ..Aws::default()
        });
        let problems = preview(&facts).problems;
        assert!(
            problems.len() == 1 && problems[0].contains(words),
            "{problems:?}"
        );
    }
    let mut nowhere = facts(Some(&before), &after);
    (nowhere.covered, nowhere.unit) = (false, false);
    assert_eq!(preview(&nowhere).problems.len(), 2);
    let mut invalid = facts(Some(&before), &after);
    invalid.after = After::Invalid(vec!["desired/web.json:1:1: no".to_owned()]);
    let told = preview(&invalid);
    assert_eq!((told.effect, told.problems.len()), (Effect::Refused, 1));
}

#[test]
fn a_way_back_that_is_gone_is_said() {
    let (before, after) = (manifest(json!({})), manifest(json!({"ami": NEW})));
    let mut facts = facts(Some(&before), &after);
    facts.both = true;
    facts.aws = Some(Aws {
        image: available(),
        old_image: ImageFact::Missing,
        ..Aws::default()
    });
    let says = preview(&facts).says.join("\n");
    assert!(says.contains("there is no way back"), "{says}");
    assert!(says.contains("merge or rebase first"), "{says}");
}
