//! What a history of commits shows of a roll, a failure, and a crowd.

use amid_core::history::deployments::{Deployments, REMEMBERED};
use amid_core::history::{Event, Outcome};
use amid_core::manifest::Seconds;
use amid_core::model::{AmiId, CommitId, ReleaseKey};
use amid_core::reason::{Failure, Reason};
use amid_core::step::{ApplyKind, Failed};
use jiff::{SignedDuration, Timestamp};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn commit(number: usize) -> CommitId {
    CommitId::parse(&format!("{number:040x}")).expect("a commit")
}

fn key(number: usize) -> ReleaseKey {
    ReleaseKey::parse(&format!("{number:010x}")).expect("a key")
}

fn asked(number: usize) -> Event {
    Event::Asked {
        commit: commit(number),
        key: Some(key(number)),
        ami: AmiId::parse("ami-0f3a9c2b7d1e48a60").ok(),
        committed: Some(at(0)),
        author: Some("Robin".to_owned()),
        subject: Some(format!("Bump to {number}")),
    }
}

fn began(number: usize) -> Event {
    Event::Began {
        step: ApplyKind::Add,
        key: key(number),
        reason: Reason::NothingToRevertTo,
    }
}

fn ended(number: usize, outcome: Outcome) -> Event {
    Event::Ended {
        commit: commit(number),
        outcome,
        why: None,
    }
}

#[test]
fn a_roll_shows_when_it_was_seen_began_healthy_and_done() {
    let mut history = Deployments::default();
    history.record(&asked(1), at(10));
    history.record(&began(1), at(12));
    let healthy = Event::Healthy {
        key: key(1),
        healthy: 2,
    };
    history.record(&healthy, at(40));
    // It fell ill and came back: the first time counts.
    history.record(&healthy, at(60));
    history.record(&ended(1, Outcome::Applied), at(100));
    let one = history.newest_first().next().expect("an entry");
    assert_eq!(
        (one.began, one.healthy, one.ended),
        (Some(at(12)), Some(at(40)), Some(at(100)))
    );
    assert_eq!(one.outcome, Some(Outcome::Applied));
    assert_eq!(one.took(), Some(SignedDuration::from_secs(90)));
    assert_eq!(history.of_release(key(1).as_str()), Some(one));
    assert_eq!(history.of_release(key(2).as_str()), None);
}

#[test]
fn a_failure_keeps_the_engines_sentence_and_its_revert() {
    let mut history = Deployments::default();
    history.record(&asked(1), at(10));
    history.record(&asked(2), at(20));
    let failure = Failure::NeverHealthy {
        healthy: 0,
        required: 2,
        timeout: Seconds(60),
        detail: None,
    };
    history.record(
        &Event::Abandoned(Failed {
            key: key(1),
            commit: commit(1),
            failure: failure.clone(),
            at: at(80),
        }),
        at(80),
    );
    history.record(
        &Event::Reverted {
            commit: commit(9),
            answers: commit(1),
        },
        at(81),
    );
    history.record(&ended(1, Outcome::FailedReverted), at(82));
    let (newer, older) = {
        let mut entries = history.newest_first();
        (entries.next().expect("two"), entries.next().expect("two"))
    };
    assert_eq!(older.why, Some(failure.to_string()));
    assert_eq!(older.reverted_by, Some(commit(9)));
    assert_eq!((newer.why.as_ref(), newer.ended), (None, None));
    assert_eq!(newer.took(), None);
}

#[test]
fn the_oldest_entries_go_and_none_is_there_twice() {
    let mut history = Deployments::default();
    for number in 0..REMEMBERED * 3 {
        history.record(&asked(number), at(1));
        history.record(&asked(number), at(2));
        // What a snapshot holds does not change under it.
        let snapshot = history.clone();
        history.record(&ended(number, Outcome::Superseded), at(3));
        assert!(snapshot.newest_first().next().expect("one").ended.is_none());
    }
    let entries: Vec<_> = history.newest_first().map(|one| &one.commit).collect();
    assert_eq!(entries.len(), REMEMBERED);
    assert_eq!(*entries[0], commit(REMEMBERED * 3 - 1));
    assert_eq!(*entries[REMEMBERED - 1], commit(REMEMBERED * 2));
}
