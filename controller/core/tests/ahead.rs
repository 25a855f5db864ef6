//! The whole way of a roll, before anything of it is done.

#![allow(
    missing_docs,
    dead_code,
    reason = "the table is shared by tests that use parts of it"
)]

mod table;

use amid_core::ahead::{Leg, ahead};
use amid_core::step::Step;
use table::{app, case, in_letters};

fn way(words: &str) -> Vec<String> {
    let case = case(words);
    ahead(
        &app(),
        &case.desired,
        &case.observed,
        &case.history,
        case.now,
    )
    .iter()
    .map(|leg| {
        in_letters(&match leg {
            Leg::Step(Step::Apply(apply)) => format!("{} {}", apply.kind.label(), apply.key),
            Leg::Step(Step::Revert(_)) => "revert".to_owned(),
            Leg::Until(until) => until.to_string(),
            Leg::End(reason) => format!("end: {reason}"),
        })
    })
    .collect()
}

#[test]
fn a_whole_roll_goes_from_the_first_step_to_the_last() {
    assert_eq!(
        way("git b · live a 2-4 3/3"),
        [
            "add b",
            "wait until `web-b` has 3 healthy instances, and then for 5m more while they stay so",
            "drain a",
            "wait until `web-a` has no instance left",
            "remove a",
            "end: runs ami-b, as git asks",
        ]
    );
}

#[test]
fn a_canary_grows_and_a_gate_is_asked_on_the_way() {
    assert_eq!(
        way("git b canary 1 gate · live a 2-4 3/3 · gate closed"),
        [
            "wait until http://gate/ answers with a 2xx status",
            "add b",
            "wait until `web-b` has 1 healthy instances, and then for 5m more while they stay so",
            "grow b",
            "wait until `web-b` has 3 healthy instances, and then for 5m more while they stay so",
            "drain a",
            "wait until `web-a` has no instance left",
            "remove a",
            "end: runs ami-b, as git asks",
        ]
    );
}

#[test]
fn a_stateful_roll_empties_the_old_group_first() {
    assert_eq!(
        way("git b recreate · live a 2-4 3/3"),
        [
            "drain a",
            "wait until `web-a` has no instance left",
            "add b",
            "wait until `web-b` has 3 healthy instances, and then for 5m more while they stay so",
            "remove a",
            "end: runs ami-b, as git asks",
        ]
    );
}

#[test]
fn a_first_release_ends_when_it_serves() {
    assert_eq!(
        way("git a"),
        [
            "add a",
            "wait until `web-a` has 2 healthy instances, and then for 0s more while they stay so",
            "end: runs ami-a, as git asks",
        ]
    );
}

#[test]
fn a_way_back_and_a_hold_have_an_end_too() {
    assert_eq!(
        way("git a · live a 2-4 3/3 pin 3 · live b 2-4 1/3 pin 3 · roll a b"),
        [
            "drain b",
            "wait until `web-b` has no instance left",
            "remove b",
            "end: runs ami-a, as git asks",
        ]
    );
    assert_eq!(
        way("git b · live a 2-4 3/3 · image missing"),
        ["end: ami-b does not exist in this account and region"]
    );
    assert_eq!(
        way("git a · live a 2-4 3/3"),
        ["end: runs ami-a, as git asks"]
    );
    let failed = way(
        "git b · live a 2-4 3/3 pin 3 · live b 2-4 1/3 pin 3 · roll a b · waited b 16m · served a",
    );
    assert_eq!(failed, ["revert", "drain b"]);
    let deleted = way("git deleted · live a 2-4 3/3");
    assert_eq!(deleted.len(), 1);
}

#[test]
fn a_stray_is_taken_in_and_away() {
    assert_eq!(
        way("git a · live a 2-4 3/3 · live b 2-4 0/2 only · stray b"),
        [
            "adopt b",
            "drain b",
            "wait until `web-b` has no instance left",
            "remove b",
            "end: runs ami-a, as git asks",
        ]
    );
}
