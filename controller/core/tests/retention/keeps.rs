use crate::account::Account;
use crate::account::{ami, disk};
use crate::{branch, check, history, instance, version};
use amid_core::retention::{
    CopiedImage, Evidence, ImageState, Permission, Reference, Source, Span, Target,
};

/// A version's disks have snapshots of their own; what the version launches is its image.
#[test]
fn who_launches_a_version_with_a_disk_of_its_own_keeps_its_image() {
    let mut account = Account::new();
    let version = version(1, true, true, 9, &account);
    let list = Source::LaunchTemplates;
    account.name(list, Target::Image(ami(1)), version.clone());
    account.name(list, Target::Snapshot(disk(9)), version);
    let template = Target::Template {
        template: "lt-1".to_owned(),
        version: None,
    };
    let group = Evidence::Group {
        name: "web".to_owned(),
        part: "launch template".to_owned(),
    };
    account.name(Source::Groups, template, group);
    let cleaning = account.run();
    let keeps = &cleaning.image(&ami(1)).unwrap().keeps;
    let labels: Vec<_> = keeps.iter().map(|keep| keep.label()).collect();
    assert_eq!(labels, ["launch_templates", "groups"]);
}

#[test]
fn what_names_an_image_keeps_it() {
    check(&[
        ("nothing", |_| {}, "mark"),
        (
            "a stopped instance",
            |a| a.name(Source::Instances, Target::Image(ami(1)), instance()),
            "instances",
        ),
        (
            "an image of others",
            |a| a.name(Source::Instances, Target::Image(ami(9)), instance()),
            "mark",
        ),
        (
            "a parameter that is resolved",
            |a| {
                let parameters = &mut a.inventory.references.parameters;
                parameters.insert("/ami".to_owned(), Some(ami(1)));
                a.name(
                    Source::Groups,
                    Target::of_image_id("resolve:ssm:/ami"),
                    instance(),
                );
            },
            "instances",
        ),
        (
            "a parameter that does not exist names nothing",
            |a| {
                let parameters = &mut a.inventory.references.parameters;
                parameters.insert("/ami".to_owned(), None);
                a.name(
                    Source::Groups,
                    Target::of_image_id("resolve:ssm:/ami"),
                    instance(),
                );
            },
            "mark",
        ),
        (
            "its snapshot",
            |a| {
                a.name(
                    Source::TerraformState,
                    Target::Snapshot(disk(1)),
                    instance(),
                )
            },
            "instances",
        ),
        (
            "a volume of a build that is over",
            |a| {
                let created = Some(a.ago(2));
                let id = "vol-1".to_owned();
                let volume = Evidence::Volume { id, created };
                a.name(Source::Volumes, Target::Snapshot(disk(1)), volume);
            },
            "mark",
        ),
        (
            "a volume of a build under way",
            |a| {
                let created = Some(a.now);
                let id = "vol-1".to_owned();
                let volume = Evidence::Volume { id, created };
                a.name(Source::Volumes, Target::Snapshot(disk(1)), volume);
            },
            "volumes",
        ),
        (
            "the copy of it in another account is used there",
            |a| {
                let there = a.elsewhere("222222222222");
                let (ami, of) = (ami(7), ami(1));
                there.copies.items.push(CopiedImage {
                    ami: ami.clone(),
                    of,
                });
                let list = there.references.lists.get_mut(&Source::Instances).unwrap();
                let target = Target::Image(ami);
                let evidence = instance();
                list.items.push(Reference { target, evidence });
            },
            "elsewhere",
        ),
    ]);
}

#[test]
fn old_template_versions_and_branches_stop_to_count_where_the_policy_says_so() {
    fn old(a: &mut Account, default: bool, latest: bool) {
        let evidence = version(1, default, latest, 100, a);
        a.name(Source::LaunchTemplates, Target::Image(ami(1)), evidence);
    }
    fn weak(a: &mut Account) {
        a.policy.weak.template_versions = Some(Span::days(90));
        a.policy.weak.branches = Some(Span::days(90));
    }
    check(&[
        ("no policy", |a| old(a, false, false), "launch_templates"),
        ("old", |a| (weak(a), old(a, false, false)).1, "mark"),
        (
            "default",
            |a| (weak(a), old(a, true, false)).1,
            "launch_templates",
        ),
        (
            "latest",
            |a| (weak(a), old(a, false, true)).1,
            "launch_templates",
        ),
        (
            "a group names the number",
            |a| {
                weak(a);
                old(a, false, false);
                let template = Target::Template {
                    template: "web".to_owned(),
                    version: Some("1".to_owned()),
                };
                let group = Evidence::Group {
                    name: "web".to_owned(),
                    part: "override m7g.large".to_owned(),
                };
                a.name(Source::Groups, template, group);
            },
            "launch_templates",
        ),
        (
            "too young to be weak",
            |a| {
                weak(a);
                let evidence = version(1, false, false, 80, a);
                a.name(Source::LaunchTemplates, Target::Image(ami(1)), evidence);
            },
            "launch_templates",
        ),
        (
            "a branch without a commit for long",
            |a| {
                weak(a);
                let evidence = branch(false, 100, a);
                a.name(Source::Branches, Target::Image(ami(1)), evidence);
            },
            "mark",
        ),
        (
            "the deployed branch",
            |a| {
                weak(a);
                let evidence = branch(true, 100, a);
                a.name(Source::Branches, Target::Image(ami(1)), evidence);
            },
            "branches",
        ),
    ]);
}

#[test]
fn the_revert_window_is_so_many_changes_or_so_many_days() {
    for (changes, days, kept) in [(10, 1000, true), (11, 89, true), (11, 90, false)] {
        let mut account = Account::new();
        let evidence = history(changes, days, &account);
        account.name(Source::History, Target::Image(ami(1)), evidence);
        let expected = if kept { "history" } else { "mark" };
        assert_eq!(account.word(), expected, "{changes} changes, {days} days");
    }
}

#[test]
fn the_policy_and_its_own_fields_keep_an_image() {
    check(&[
        ("no claim", |a| a.policy.claims.clear(), "unclaimed"),
        (
            "an empty claim claims nothing",
            |a| a.policy.claims = vec![Default::default()],
            "unclaimed",
        ),
        ("the newest", |a| a.policy.default.keep_newest = 1, "newest"),
        (
            "not the newest",
            |a| {
                a.policy.default.keep_newest = 1;
                a.add(2);
            },
            "mark",
        ),
        (
            "a failed image is nobody's newest",
            |a| {
                a.policy.default.keep_newest = 1;
                a.add(2).state = ImageState::Failed;
            },
            "newest",
        ),
        ("young", |a| a.image().created = Some(a.now), "young"),
        ("no date", |a| a.image().created = None, "age_unknown"),
        (
            "launched a week ago",
            |a| a.image().last_launched = Some(a.ago(7)),
            "launched",
        ),
        (
            "launched long ago",
            |a| a.image().last_launched = Some(a.ago(31)),
            "mark",
        ),
        ("kept for ever", |a| a.tag("amid:keep", ""), "protected"),
        (
            "kept until a date",
            |a| a.tag("amid:keep", "2026-11-25 audit"),
            "protected",
        ),
        (
            "kept until yesterday",
            |a| a.tag("amid:keep", "2026-11-24 audit"),
            "mark",
        ),
        (
            "what is no date keeps for ever",
            |a| a.tag("amid:keep", "2026-13-45"),
            "protected",
        ),
        (
            "protected in EC2",
            |a| a.image().protection = Some("enabled-with-cooldown".to_owned()),
            "deregistration_protection",
        ),
        (
            "pending",
            |a| a.image().state = ImageState::Pending,
            "build",
        ),
        (
            "a state of tomorrow",
            |a| a.image().state = ImageState::of("asleep"),
            "unknown_state",
        ),
        (
            "disabled by a person",
            |a| a.image().state = ImageState::Disabled,
            "disabled_by_others",
        ),
        (
            "shared with everybody",
            |a| a.image().permissions = [Permission::Everybody].into(),
            "shared_outside",
        ),
        (
            "shared with an account that is not read",
            |a| {
                let account = Permission::Account("333333333333".to_owned());
                a.image().permissions.insert(account);
            },
            "shared_outside",
        ),
        (
            "shared with an account that is read",
            |a| {
                a.elsewhere("222222222222");
                let account = Permission::Account("222222222222".to_owned());
                a.image().permissions.insert(account);
            },
            "mark",
        ),
        (
            "another controller's mark",
            |a| {
                a.stage(&[("amid:stale", 100)]);
                a.tag("amid:cleanup-by", "them");
            },
            "other_controller",
        ),
        (
            "the base of a kept image",
            |a| {
                let base = ami(1).to_string();
                let child = a.add(2);
                child.tags.insert("amid:base".to_owned(), base);
                child.tags.insert("amid:keep".to_owned(), String::new());
            },
            "base",
        ),
        (
            "the base of the base of a kept image",
            |a| {
                a.add(2).source = Some(ami(1));
                let child = a.add(3);
                child.source = Some(ami(2));
                child.tags.insert("amid:keep".to_owned(), String::new());
            },
            "base",
        ),
    ]);
}
