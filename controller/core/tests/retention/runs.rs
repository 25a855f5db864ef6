use crate::account::{Account, ami, kinds};
use crate::{Change, DISABLED, disabled, instance, version};
use amid_core::retention::{Blocker, Mode, Referrer, Source, Span, Target, Wait};
use jiff::SignedDuration;

#[test]
fn with_the_kill_switch_nothing_is_done() {
    let mut account = Account::new();
    disabled(&mut account, DISABLED);
    account.name(Source::History, Target::Image(ami(1)), instance());
    account.policy.mode = Mode::Off;
    assert_eq!(kinds(&account.run()), []);
}

/// What lets a run only report, by its label.
fn blocked(change: Change) -> Vec<&'static str> {
    let mut account = Account::new();
    change(&mut account);
    let cleaning = account.run();
    assert_eq!(kinds(&cleaning).is_empty(), !cleaning.blockers.is_empty());
    cleaning.blockers.iter().map(Blocker::label).collect()
}

#[test]
fn a_run_that_finds_anything_odd_only_reports() {
    let rows: &[(Change, &[&str])] = &[
        (|_| {}, &[]),
        (
            |a| a.inventory.images.incomplete = Some("cut".to_owned()),
            &["incomplete"],
        ),
        (
            |a| a.inventory.snapshots.incomplete = Some("cut".to_owned()),
            &["incomplete"],
        ),
        (
            |a| {
                let twice = a.inventory.images.items[0].clone();
                a.inventory.images.items.push(twice);
            },
            &["incomplete"],
        ),
        (
            |a| {
                a.elsewhere("222222222222").copies.incomplete = Some("cut".to_owned());
            },
            &["incomplete"],
        ),
        (
            |a| {
                let target = Target::of_image_id("resolve:ssm:/unknown");
                a.name(Source::Groups, target, instance());
            },
            &["unresolved"],
        ),
        (
            |a| {
                let target = Target::of_image_id("a new form");
                a.name(Source::Groups, target, instance());
            },
            &["unresolved"],
        ),
        (
            |a| {
                let target = Target::Template {
                    template: "lt-9".to_owned(),
                    version: None,
                };
                a.name(Source::Groups, target, instance());
            },
            &["unresolved"],
        ),
        (|a| a.policy.mode = Mode::Report, &["report_mode"]),
        (|a| a.memory.runs = 2, &["first_runs"]),
        (|a| a.memory.last = Some(a.ago(4)), &["gap"]),
        (|a| a.memory.last = Some(a.ago(-1)), &["clock"]),
        (|a| a.inventory.taken_at = a.ago(1), &["inventory_old"]),
        (|a| a.inventory.taken_at = a.ago(-1), &["clock"]),
        (
            |a| {
                let error = Some(SignedDuration::from_mins(-10));
                a.inventory.circumstances.clock_error = error;
            },
            &["clock"],
        ),
        (
            |a| a.inventory.circumstances.trouble = Some(a.now),
            &["outage"],
        ),
        (
            |a| {
                a.memory.referenced.insert(Source::Groups, 10);
                a.memory.referenced_total = 10;
            },
            &["fewer_references", "fewer_references"],
        ),
        (
            |a| {
                a.memory.referenced_total = 10;
                a.memory.fewer_since = Some(a.ago(2));
            },
            &[],
        ),
    ];
    for (n, (change, expected)) in rows.iter().enumerate() {
        assert_eq!(blocked(*change), *expected, "row {n}");
    }
}

#[test]
fn every_list_has_to_be_read() {
    for source in Source::ALL {
        let mut account = Account::new();
        account.inventory.references.lists.remove(source);
        let cleaning = account.run();
        assert_eq!(kinds(&cleaning), [], "{source} is missing");
        let mut account = Account::new();
        let list = account.inventory.references.lists.get_mut(source).unwrap();
        list.incomplete = Some("cut".to_owned());
        let cleaning = account.run();
        assert_eq!(kinds(&cleaning), [], "{source} is cut");
        assert_eq!(cleaning.memory.runs, 10, "{source} does not count");
    }
    for source in Source::ELSEWHERE {
        let mut account = Account::new();
        let there = account.elsewhere("222222222222");
        there.references.lists.remove(source);
        assert_eq!(kinds(&account.run()), [], "{source} elsewhere");
    }
}

#[test]
fn the_second_opinion_stops_an_image_and_three_end_the_run() {
    for (disagree, expected) in [(0, 4), (2, 2), (3, 0)] {
        let mut account = Account::new();
        account.policy.breakers.max_percent = 100;
        account.policy.breakers.max_family_percent = 100;
        for n in 2..=4 {
            account.add(n);
        }
        for n in 1..=disagree {
            let arn = "arn:aws:ec2:eu-central-1:111111111111:instance/i-9".to_owned();
            let resource_type = "ec2:Instance".to_owned();
            let referrer = Referrer { resource_type, arn };
            let answers = &mut account.inventory.second_opinion;
            answers.insert(ami(n), vec![referrer]);
        }
        let cleaning = account.run();
        assert_eq!(cleaning.actions.len(), expected, "{disagree} disagree");
        if disagree > 0 {
            let verdict = cleaning.image(&ami(1)).unwrap();
            assert!(matches!(verdict.wait, Some(Wait::Disagreement { .. })));
        }
    }
}

#[test]
fn the_second_opinion_may_name_a_version_that_does_not_count() {
    let mut account = Account::new();
    account.policy.weak.template_versions = Some(Span::days(90));
    let evidence = version(1, false, false, 100, &account);
    account.name(Source::LaunchTemplates, Target::Image(ami(1)), evidence);
    let referrer = Referrer {
        resource_type: "ec2:LaunchTemplate".to_owned(),
        arn: "arn:aws:ec2:eu-central-1:111111111111:launch-template/lt-1".to_owned(),
    };
    let answers = &mut account.inventory.second_opinion;
    answers.insert(ami(1), vec![referrer]);
    assert_eq!(account.word(), "mark");
}

#[test]
fn one_run_does_only_so_much() {
    for (max, percent, family, expected) in [
        (25, 100, 100, 20),
        (7, 100, 100, 7),
        (25, 10, 100, 2),
        (25, 100, 25, 5),
        (25, 1, 1, 1),
    ] {
        let mut account = Account::new();
        let breakers = &mut account.policy.breakers;
        breakers.max_images = max;
        breakers.max_percent = percent;
        breakers.max_family_percent = family;
        for n in 2..=20 {
            account.add(n);
        }
        let cleaning = account.run();
        assert_eq!(cleaning.actions.len(), expected);
        // The oldest go first; who waits is told for what.
        assert_eq!(account.word(), "mark");
        let waits = cleaning.images.iter().filter(|v| v.wait.is_some());
        assert_eq!(waits.count(), 20 - expected);
    }
}
