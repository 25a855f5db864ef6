//! What time does to a release, and what is remembered: timers, back-offs and
//! bounds.

#![allow(
    missing_docs,
    dead_code,
    reason = "the table is shared by tests that use parts of it"
)]

mod table;

use std::collections::BTreeMap;

use amid_core::decide::decide;
use amid_core::history::{
    AppHistory, Event, LONGEST_BACK_OFF, LONGEST_GAP, LONGEST_PAUSE, Retry, Timer, back_off, later,
};
use amid_core::model::{CommitId, LaunchCause};
use amid_core::observe::Desired;
use amid_core::reason::Failure;
use amid_core::step::{Action, ApplyKind, Change, Failed, Memory, Step, addresses};
use jiff::{SignedDuration, Timestamp};
use table::{app, case, commit, key};

/// Looks at release `b` with so many healthy instances of so many required,
/// at these seconds.
fn looks(looks: &[(i64, u32, u32)]) -> Timer {
    let mut history = AppHistory::default();
    for (second, healthy, required) in looks {
        let observed = case(&format!("live b 2-4 {healthy}/4")).observed;
        let required = BTreeMap::from([(key("b"), *required)]);
        history.look(&observed, &required, at(*second));
    }
    history.timers[&key("b")].clone()
}

fn at(second: i64) -> Timestamp {
    later(Timestamp::UNIX_EPOCH, SignedDuration::from_secs(second))
}

fn seconds(timer: &Timer) -> (i64, Option<i64>) {
    let since = timer.healthy_since.map(|at| at.as_second());
    (timer.waited.as_secs(), since)
}

#[test]
fn time_without_health_adds_up() {
    assert_eq!(
        seconds(&looks(&[(0, 0, 3), (30, 2, 3), (50, 1, 3)])),
        (50, None)
    );
}

#[test]
fn time_that_nobody_observed_counts_for_one_gap_only() {
    let gap = LONGEST_GAP.as_secs();
    assert_eq!(seconds(&looks(&[(0, 0, 3), (86_400, 0, 3)])), (gap, None));
}

#[test]
fn a_clock_that_is_set_back_takes_nothing_away_and_gives_nothing() {
    assert_eq!(
        seconds(&looks(&[(100, 0, 3), (130, 0, 3), (10, 0, 3)])),
        (30, None)
    );
    let timer = looks(&[(100, 3, 3), (130, 3, 3), (10, 3, 3)]);
    // It was seen healthy for 30 s, and has been so for 30 s now.
    assert_eq!(seconds(&timer), (0, Some(-20)));
}

#[test]
fn a_bake_goes_on_without_the_time_that_nobody_observed() {
    assert_eq!(seconds(&looks(&[(0, 3, 3), (60, 3, 3)])).1, Some(0));
    assert_eq!(seconds(&looks(&[(0, 3, 3), (61, 3, 3)])).1, Some(61));
    // Baked for 40 s, then nothing could be asked for two minutes.
    let blind = [(0, 3, 3), (40, 3, 3), (160, 3, 3), (170, 3, 3)];
    assert_eq!(seconds(&looks(&blind)).1, Some(120));
    // What was ill afterwards begins anew.
    let ill = [(0, 3, 3), (40, 3, 3), (160, 2, 3), (170, 3, 3)];
    assert_eq!(seconds(&looks(&ill)).1, Some(170));
}

#[test]
fn a_bake_that_nobody_observed_for_long_starts_again() {
    let long = 40 + LONGEST_PAUSE.as_secs();
    let pause = [(0, 3, 3), (40, 3, 3), (long, 3, 3)];
    assert_eq!(seconds(&looks(&pause)).1, Some(long - 40));
    let lost = [(0, 3, 3), (40, 3, 3), (long + 1, 3, 3)];
    assert_eq!(seconds(&looks(&lost)).1, Some(long + 1));
}

/// What is decided for a slow drain, by a history that remembers what came
/// out before.
#[test]
fn a_slow_drain_is_journalled_once() {
    let words =
        "git b · live a 2-4 1/1 pin 3 drained · live b 2-4 3/3 pin 3 · roll a b · draining a 16m";
    let mut case = case(words);
    let told = |case: &table::Case| {
        decide(
            &app(),
            &case.desired,
            &case.observed,
            &case.history,
            case.now,
        )
        .record
    };
    let record = told(&case);
    assert_eq!(
        record,
        [Event::DrainSlow {
            key: key("a"),
            instances: 1
        }]
    );
    case.history.record(&record[0], case.now);
    assert_eq!(told(&case), []);
    // Another drain of the same release is another one.
    let drained = Event::Finished {
        step: ApplyKind::Drain,
        key: key("a"),
        millis: 1,
        error: None,
    };
    case.history
        .record(&drained, later(case.now, SignedDuration::from_mins(-17)));
    assert_eq!(told(&case).len(), 1);
}

#[test]
fn a_drain_whose_beginning_is_lost_begins_with_the_first_look() {
    let mut history = AppHistory::default();
    let draining = case("live a 2-4 1/1 drained · live b 2-4 3/3").observed;
    history.look(&draining, &BTreeMap::new(), at(5));
    history.look(&draining, &BTreeMap::new(), at(35));
    let since: Vec<i64> = history
        .drains
        .values()
        .map(|drain| drain.since.as_second())
        .collect();
    assert_eq!(since, [5]);
    let empty = case("live a 2-4 0/0 drained · live b 2-4 3/3").observed;
    history.look(&empty, &BTreeMap::new(), at(65));
    assert!(history.drains.is_empty());
}

#[test]
fn an_older_release_is_journalled_once_and_so_is_its_end() {
    let mut case = case("git a · live a 2-4 3/3 · wiring changed");
    for (older, expected) in [(true, 1), (true, 0), (false, 1), (false, 0)] {
        case.observed.wiring = Some(if older { "1" } else { "0" }.to_owned());
        let plan = decide(
            &app(),
            &case.desired,
            &case.observed,
            &case.history,
            case.now,
        );
        assert_eq!(plan.record.len(), expected, "{:?}", plan.record);
        assert_eq!(plan.notes.len(), usize::from(older));
        for event in &plan.record {
            case.history.record(event, case.now);
        }
    }
}

#[test]
fn an_apply_takes_the_accepted_commit_along_and_a_check_does_not() {
    for (words, expected) in [
        ("git b · live a 2-4 3/3", true),
        ("git a 3-6 · live a 2-4 3/3", true),
        ("git a", true),
        ("git a · live a 2-4 3/3 · code changed", false),
    ] {
        let mut case = case(words);
        case.observed.head = Some(commit());
        let plan = decide(
            &app(),
            &case.desired,
            &case.observed,
            &case.history,
            case.now,
        );
        let Some(Step::Apply(apply)) = plan.steps.first() else {
            panic!("no apply for {words}");
        };
        assert_eq!(apply.memory.accepted, expected.then(commit), "{words}");
    }
}

#[test]
fn a_step_that_a_gate_let_through_looks_at_it_again() {
    let case = case("git b gate · live a 2-4 3/3 · gate open");
    let plan = decide(
        &app(),
        &case.desired,
        &case.observed,
        &case.history,
        case.now,
    );
    let Some(Step::Apply(apply)) = plan.steps.first() else {
        panic!("no apply");
    };
    assert!(!apply.guard.is_empty());
    assert!(apply.guard.holds(&case.observed));
    let closed = table::case("git b gate · live a 2-4 3/3 · gate closed").observed;
    assert!(!apply.guard.holds(&closed));
}

#[test]
fn a_bake_starts_again_when_more_is_required_but_not_when_less_is() {
    assert_eq!(seconds(&looks(&[(0, 4, 3), (30, 4, 4)])).1, Some(30));
    assert_eq!(seconds(&looks(&[(0, 4, 4), (30, 4, 3)])).1, Some(0));
}

#[test]
fn an_interruption_does_not_end_a_bake_while_enough_are_healthy() {
    assert_eq!(seconds(&looks(&[(0, 4, 3), (30, 3, 3)])).1, Some(0));
    assert_eq!(
        seconds(&looks(&[(0, 4, 3), (30, 2, 3), (60, 3, 3)])).1,
        Some(60)
    );
}

#[test]
fn a_release_that_is_healthy_now_and_then_uses_up_its_time() {
    let flapping: Vec<_> = (0..60)
        .map(|n| (n * 30, if n % 3 == 0 { 3 } else { 0 }, 3))
        .collect();
    assert!(looks(&flapping).waited > SignedDuration::from_mins(15));
}

#[test]
fn zero_is_never_healthy() {
    assert_eq!(looks(&[(0, 0, 0), (30, 0, 0)]).first_healthy, None);
}

#[test]
fn first_health_is_told_once() {
    let mut history = AppHistory::default();
    let observed = case("live b 2-4 3/3").observed;
    let required = BTreeMap::from([(key("b"), 3)]);
    assert_eq!(history.look(&observed, &required, at(0)).len(), 1);
    assert_eq!(history.look(&observed, &required, at(30)).len(), 0);
}

#[test]
fn a_release_that_nobody_asks_about_has_no_timer() {
    let mut history = AppHistory::default();
    let observed = case("live b 2-4 3/3").observed;
    history.look(&observed, &BTreeMap::from([(key("b"), 3)]), at(0));
    history.look(&observed, &BTreeMap::new(), at(30));
    assert!(history.timers.is_empty());
}

#[test]
fn a_back_off_doubles_up_to_its_end() {
    let waits: Vec<i64> = (1..=9).map(|n| back_off(n).as_secs()).collect();
    assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
    assert_eq!(back_off(u32::MAX), LONGEST_BACK_OFF);
}

#[test]
fn a_retry_is_not_waited_for_longer_than_any_back_off() {
    let retry = |second| Retry {
        until: at(second),
        attempt: 1,
        error: String::new(),
    };
    assert!(retry(900).is_ahead(at(0)));
    assert!(!retry(901).is_ahead(at(0)));
    assert!(!retry(0).is_ahead(at(0)));
}

fn unavailable(second: i64) -> Event {
    Event::Abandoned(Failed {
        key: key("b"),
        commit: commit(),
        failure: Failure::Unavailable {
            cause: LaunchCause::Capacity,
            message: String::new(),
        },
        at: at(second),
    })
}

fn attempt(history: &AppHistory) -> Option<u32> {
    history.unavailable.as_ref().map(|(_, retry)| retry.attempt)
}

#[test]
fn the_wait_for_capacity_grows_and_ends_with_health_or_a_commit() {
    let mut history = AppHistory::default();
    for n in 1..=3 {
        history.record(&unavailable(n), at(n));
        assert_eq!(attempt(&history), u32::try_from(n).ok());
    }
    let mut healthy = history.clone();
    healthy.record(
        &Event::Healthy {
            key: key("b"),
            healthy: 3,
        },
        at(9),
    );
    assert_eq!(attempt(&healthy), None);
    let asked = Event::Asked {
        commit: commit(),
        key: None,
        ami: None,
        committed: None,
        author: None,
        subject: None,
    };
    history.record(&asked, at(9));
    assert_eq!(attempt(&history), None);
}

#[test]
fn what_is_remembered_is_bounded_and_the_newest_is_kept() {
    let mut history = AppHistory::default();
    let nth = |n: u32| CommitId::parse(&format!("{n:040x}")).unwrap();
    // The newest has the smallest id: it must not be the one to go.
    for n in (0..100).rev() {
        history.record(
            &Event::RevertRefused {
                answers: nth(n),
                message: String::new(),
                branch: None,
            },
            at(0),
        );
        history.record(&unavailable(i64::from(n)), at(0));
        assert!(history.refused.contains_key(&nth(n)));
    }
    assert_eq!((history.refused.len(), history.abandoned.len()), (16, 16));
}

#[test]
fn the_memory_survives_being_written_and_is_never_guessed() {
    let memory = case("roll a b · served a · failed b · rewritten")
        .observed
        .memory;
    assert!(memory.accepted.is_some());
    assert_eq!(Memory::from_text(&memory.to_text()), Ok(memory));
    assert_eq!(Memory::from_text(" "), Ok(Memory::default()));
    // What an older version wrote has no commit in it.
    let older = Memory::from_text(r#"{"served": ["0123456789"]}"#).unwrap();
    assert_eq!((older.served.len(), older.accepted), (1, None));
    assert!(Memory::from_text("{").is_err());
    assert!(Memory::from_text(r#"{"roll": 1}"#).is_err());
}

/// What the one apply of a decision expects, for a plan that holds `changes`.
fn unexpected(words: &str, changes: &[(Action, &str, usize)]) -> Vec<String> {
    let case = case(words);
    let plan = decide(
        &app(),
        &case.desired,
        &case.observed,
        &case.history,
        case.now,
    );
    let Some(Step::Apply(apply)) = plan.steps.last() else {
        panic!("no apply for {words}");
    };
    let changes: Vec<Change> = changes
        .iter()
        .map(|(action, letter, index)| Change {
            address: match *letter {
                "memory" => "terraform_data.memory".to_owned(),
                "policy" => format!("aws_autoscaling_policy.release[\"{}/cpu\"]", key("a")),
                letter => addresses(&key(letter))[*index].clone(),
            },
            action: *action,
        })
        .collect();
    apply.expected.unexpected(&changes)
}

const REMOVES: &str = "git b · live a 2-4 0/0 drained · live b 2-4 3/3 pin 3 · roll a b";

#[test]
fn a_removal_deletes_the_whole_release_and_nothing_else() {
    use Action::{Create, Delete, Update};
    let whole = [
        (Delete, "a", 0),
        (Delete, "a", 1),
        (Delete, "a", 2),
        (Delete, "policy", 0),
        (Update, "b", 2),
        (Update, "memory", 0),
    ];
    assert_eq!(unexpected(REMOVES, &whole), [""; 0]);
    assert_eq!(unexpected(REMOVES, &whole[1..]).len(), 1);
    for more in [
        (Delete, "b", 2),
        (Create, "c", 2),
        (Update, "a", 1),
        (Action::Replace, "b", 2),
    ] {
        let changes: Vec<_> = whole.iter().copied().chain([more]).collect();
        assert_eq!(unexpected(REMOVES, &changes).len(), 1, "{more:?}");
    }
}

#[test]
fn a_woken_group_is_not_drained_while_the_other_one_shrinks() {
    for (hand, drain) in [("hand 2-4", false), ("hand 1-2", false), ("", true)] {
        let words = format!(
            "git b 1-1 · live a 1-1 3/3 drained hand 3-6 · live b 1-1 2/2 {hand} desired {} · roll a b",
            if drain { 1 } else { 2 }
        );
        let case = case(&words);
        let plan = decide(
            &app(),
            &case.desired,
            &case.observed,
            &case.history,
            case.now,
        );
        let Some(Step::Apply(apply)) = plan.steps.first() else {
            panic!("no apply for {words}");
        };
        assert_eq!(apply.releases[&key("a")].drain, drain, "{words}");
    }
}

#[test]
fn what_somebody_deleted_already_is_not_missed() {
    let words = "git b · live a 2-4 0/0 drained gone · live b 2-4 3/3 pin 3 · roll a b";
    let rest = [
        (Action::Delete, "a", 0),
        (Action::Update, "b", 2),
        (Action::Update, "memory", 0),
    ];
    assert_eq!(unexpected(words, &rest), [""; 0]);
}

#[test]
fn a_deleted_group_comes_back_with_its_policies() {
    let words = "git a · live a 2-4 0/0 gone";
    let changes = [(Action::Create, "a", 2), (Action::Create, "policy", 0)];
    assert_eq!(unexpected(words, &changes), [""; 0]);
}

#[test]
fn what_an_apply_left_in_the_state_is_not_made_twice() {
    // The record and the template stand already, the group failed.
    let words = "git b · live a 2-4 3/3 pin 3 · roll a b · served a · leftover b";
    let changes = [(Action::Create, "b", 2)];
    assert_eq!(unexpected(words, &changes).len(), 0);
    // Git asks for the old one again: what stands is taken away.
    let words = "git a · live a 2-4 3/3 pin 3 · roll a b";
    let changes = [
        (Action::Delete, "b", 0),
        (Action::Delete, "b", 1),
        (Action::Update, "a", 2),
        (Action::Update, "memory", 0),
    ];
    assert_eq!(unexpected(words, &changes), [""; 0]);
}

/// A failure is remembered with the commit that asks for it now, although
/// another began the roll: git goes back at once instead of trying again.
#[test]
fn a_commit_that_changes_something_else_does_not_hide_a_failure() {
    let words = "git b 2-4 · live a 2-4 3/3 pin 3 · live b 2-4 0/3 pin 3 · roll a b · waited b 16m";
    let mut case = case(words);
    let newer = CommitId::parse(&"2".repeat(40)).unwrap();
    if let Desired::Wanted { commit, .. } = &mut case.desired {
        *commit = newer.clone();
    }
    let plan = decide(
        &app(),
        &case.desired,
        &case.observed,
        &case.history,
        case.now,
    );
    assert!(matches!(plan.steps.first(), Some(Step::Revert(revert)) if revert.answers == newer));
    assert!(matches!(&plan.record[..], [Event::Abandoned(failed)] if failed.commit == newer));
    let memory = match plan.steps.last() {
        Some(Step::Apply(apply)) if apply.kind == ApplyKind::Drain => &apply.memory,
        other => panic!("{other:?}"),
    };
    assert!(memory.failure(&key("b"), &newer).is_some());
}
