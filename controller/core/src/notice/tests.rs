//! A sequence of moments in, what is told out. Each line is a moment:
//! `12:00 held image_missing`, `12:01 phase baking`, `12:02 asked 1`,
//! `12:02 began`, `12:03 ended 1 applied`, `12:04 gone`.

use super::*;
use crate::model::ReleaseKey;
use crate::reason::{Failure, Reason};
use crate::step::{ApplyKind, Failed};

const POLICY: Policy = Policy {
    settle: SignedDuration::from_secs(60),
    repeat: SignedDuration::from_hours(4),
};

fn at(clock: &str) -> Timestamp {
    format!("2026-11-25T{clock}:00Z").parse().unwrap()
}

fn commit(n: &str) -> CommitId {
    CommitId::parse(&n.repeat(40)).unwrap()
}

fn ami() -> AmiId {
    AmiId::parse("ami-00000000000000001").unwrap()
}

fn key() -> ReleaseKey {
    ReleaseKey::parse("0123456789").unwrap()
}

fn event(words: &[&str], now: Timestamp) -> Option<Event> {
    Some(match words {
        ["asked", n, age @ ..] => Event::Asked {
            commit: commit(n),
            key: None,
            ami: Some(ami()),
            committed: now
                .checked_sub(SignedDuration::from_hours(if age.is_empty() {
                    0
                } else {
                    25
                }))
                .ok(),
            author: Some("robin".to_owned()),
            subject: Some("Bump web".to_owned()),
        },
        ["began"] => Event::Began {
            step: ApplyKind::Add,
            key: key(),
            reason: Reason::FirstRelease { ami: ami() },
        },
        ["abandoned", n, rest @ ..] => Event::Abandoned(Failed {
            key: key(),
            commit: commit(n),
            failure: match rest {
                [] => Failure::LaunchFailed {
                    message: "no such key".to_owned(),
                },
                _ => Failure::Unavailable {
                    cause: crate::model::LaunchCause::Capacity,
                    message: "no capacity".to_owned(),
                },
            },
            at: now,
        }),
        ["ended", n, outcome] => Event::Ended {
            commit: commit(n),
            outcome: *Outcome::ALL
                .iter()
                .find(|one| one.label() == *outcome)
                .unwrap(),
            why: None,
        },
        _ => return None,
    })
}

fn told(moments: &[&str]) -> Vec<String> {
    let mut notices = Notices::default();
    let mut lines = Vec::new();
    for moment in moments {
        let (clock, words) = moment.split_once(' ').unwrap();
        let now = at(clock);
        let words: Vec<&str> = words.split(' ').collect();
        let due = match event(&words, now) {
            Some(event) => notices.happened("web", &event, now),
            None => {
                let (phase, held) = match words.as_slice() {
                    ["phase", phase] => (
                        *Phase::ALL.iter().find(|one| one.label() == *phase).unwrap(),
                        None,
                    ),
                    ["held", label] => (Phase::Held, Some(*label)),
                    ["fine" | "gone"] => (Phase::Steady, None),
                    other => panic!("no such words: {other:?}"),
                };
                let hold = |label| Hold {
                    label,
                    text: "it does not exist",
                    frees: Some("name another image"),
                };
                let seen = Seen {
                    app: "web",
                    owner: Some("team"),
                    phase,
                    state: None,
                    held: held.map(hold).into_iter().collect(),
                };
                let seen = if words == ["gone"] {
                    vec![]
                } else {
                    vec![seen]
                };
                notices.look(&seen, POLICY, now)
            }
        };
        for notice in due {
            lines.push(match notice {
                Notice::Message(message) => {
                    let (kind, again) = (message.kind, message.again);
                    let n = message
                        .commit
                        .map_or(String::new(), |c| c.short()[..1].to_owned());
                    format!("{clock} {kind:?} {} {n} {again}", message.reason)
                }
                Notice::Status(status) => {
                    let n = &status.commit.short()[..1];
                    format!("{clock} {n} {:?} {}", status.state, status.text)
                }
            });
        }
        // What is kept is what a restart finds.
        let text = serde_json::to_string(&notices).unwrap();
        notices = serde_json::from_str(&text).unwrap();
    }
    lines
}

fn check(moments: &[&str], expected: &[&str]) {
    assert_eq!(told(moments), expected, "{moments:#?}");
}

#[test]
fn a_hold_is_told_once_it_stands_and_once_it_is_over() {
    check(
        &[
            "12:00 held image_missing",
            "12:01 held image_missing",
            "12:02 held image_missing",
            "12:30 fine",
            "12:31 fine",
            "12:32 fine",
        ],
        &[
            "12:01 Held image_missing  0",
            "12:31 Recovered image_missing  0",
        ],
    );
}

#[test]
fn what_is_over_before_it_settled_is_not_told_at_all() {
    check(
        &["12:00 held aws_unreadable", "12:00 fine", "12:05 fine"],
        &[],
    );
}

#[test]
fn a_hold_that_is_gone_for_a_moment_goes_on() {
    check(
        &[
            "12:00 held drifted",
            "12:01 held drifted",
            "12:02 fine",
            "12:02 held drifted",
            "12:10 held drifted",
        ],
        &["12:01 Held drifted  0"],
    );
}

#[test]
fn a_hold_that_stays_is_told_again_after_a_long_while() {
    check(
        &[
            "08:00 held drifted",
            "08:01 held drifted",
            "12:00 held drifted",
            "12:01 held drifted",
            "16:01 held drifted",
        ],
        &[
            "08:01 Held drifted  0",
            "12:01 Held drifted  1",
            "16:01 Held drifted  2",
        ],
    );
}

#[test]
fn a_hold_that_comes_and_goes_is_told_once() {
    check(
        &[
            "12:00 held drifted",
            "12:01 held drifted",
            "12:05 fine",
            "12:06 fine",
            "12:10 held drifted",
            "12:11 held drifted",
            "12:15 fine",
            "12:16 fine",
        ],
        &["12:01 Held drifted  0", "12:06 Recovered drifted  0"],
    );
}

#[test]
fn the_same_hold_for_another_commit_is_told_again() {
    check(
        &[
            "12:00 asked 1 old",
            "12:00 held image_missing",
            "12:01 held image_missing",
            "12:05 ended 1 superseded",
            "12:05 asked 2 old",
            "12:05 held image_missing",
            "12:06 held image_missing",
        ],
        &[
            "12:01 Held image_missing 1 0",
            "12:06 Held image_missing 2 0",
        ],
    );
}

#[test]
fn a_hold_that_a_commit_ends_is_told_to_be_over() {
    // The snapshot after the commit still shows what the last pass found.
    check(
        &[
            "12:00 asked 1 old",
            "12:00 held image_missing",
            "12:01 held image_missing",
            "12:05 ended 1 superseded",
            "12:05 asked 2 old",
            "12:05 held image_missing",
            "12:05 fine",
            "12:06 fine",
            "12:07 fine",
        ],
        &[
            "12:01 Held image_missing 1 0",
            "12:06 Recovered image_missing 2 0",
        ],
    );
}

#[test]
fn an_app_that_is_gone_is_held_no_more() {
    check(
        &[
            "12:00 held manifest_deleted",
            "12:01 held manifest_deleted",
            "12:02 gone",
            "12:03 gone",
        ],
        &[
            "12:01 Held manifest_deleted  0",
            "12:03 Recovered manifest_deleted  0",
        ],
    );
}

#[test]
fn a_commit_hears_of_its_way() {
    check(
        &[
            "12:00 asked 1",
            "12:00 began",
            "12:01 phase adding",
            "12:02 phase starting",
            "12:02 phase starting",
            "12:03 phase baking",
            "12:04 phase draining",
            "12:05 phase removing",
            "12:06 fine",
            "12:06 ended 1 applied",
            "12:07 fine",
        ],
        &[
            "12:00 1 Pending seen, asks for ami-00000000000000001",
            "12:01 1 Pending making the new group",
            "12:02 1 Pending the new group starts",
            "12:03 1 Pending the new group bakes",
            "12:04 1 Pending the old group drains",
            "12:05 1 Pending the old group is removed",
            "12:06 1 Deployed deployed: ami-00000000000000001 is live",
            "12:06 Deployed applied 1 0",
        ],
    );
}

#[test]
fn a_commit_whose_release_failed_is_never_pending_again() {
    check(
        &[
            "12:00 asked 1",
            "12:01 phase starting",
            "12:02 abandoned 1",
            "12:02 phase giving_up",
            "12:03 ended 1 failed_reverted",
        ],
        &[
            "12:00 1 Pending seen, asks for ami-00000000000000001",
            "12:01 1 Pending the new group starts",
            "12:02 1 Failed failed: its instances could not be launched: no such key",
            "12:03 1 Failed failed, and git went back",
            "12:03 Failed failed_reverted 1 0",
        ],
    );
}

#[test]
fn a_lack_of_capacity_is_not_the_commits_failure() {
    check(
        &[
            "12:00 asked 1",
            "12:01 abandoned 1 capacity",
            "12:02 held unavailable",
            "12:02 held unavailable",
        ],
        &[
            "12:00 1 Pending seen, asks for ami-00000000000000001",
            "12:02 1 Pending held: it does not exist",
        ],
    );
}

#[test]
fn a_commit_from_before_amids_time_hears_nothing_and_nobody_hears_of_it() {
    check(&["12:00 asked 1 old", "12:00 ended 1 applied"], &[]);
}

#[test]
fn nothing_was_done_for_a_commit_that_asks_for_what_is_live() {
    check(
        &["12:00 asked 1", "12:00 ended 1 applied"],
        &[
            "12:00 1 Pending seen, asks for ami-00000000000000001",
            "12:00 1 Deployed deployed: ami-00000000000000001 is live",
        ],
    );
}

#[test]
fn refused_and_superseded_commits_hear_of_their_end_and_only_once() {
    check(
        &[
            "12:00 asked 1",
            "12:00 ended 1 rejected",
            "12:01 asked 2",
            "12:02 ended 2 superseded",
            "12:02 ended 2 applied",
        ],
        &[
            "12:00 1 Pending seen, asks for ami-00000000000000001",
            "12:00 1 Failed the manifest has mistakes",
            "12:01 2 Pending seen, asks for ami-00000000000000001",
            "12:02 2 Superseded a newer commit came first",
        ],
    );
}

#[test]
fn time_alone_makes_the_next_message_due() {
    let mut notices = Notices::default();
    assert_eq!(notices.wake(POLICY), None);
    let seen = |held| Seen {
        app: "web",
        owner: None,
        phase: Phase::Held,
        state: None,
        held,
    };
    let hold = Hold {
        label: "drifted",
        text: "",
        frees: None,
    };
    notices.look(&[seen(vec![hold.clone()])], POLICY, at("12:00"));
    assert_eq!(notices.wake(POLICY), Some(at("12:01")));
    notices.look(&[seen(vec![hold])], POLICY, at("12:01"));
    assert_eq!(notices.wake(POLICY), Some(at("16:01")));
    notices.look(&[seen(vec![])], POLICY, at("12:02"));
    assert_eq!(notices.wake(POLICY), Some(at("12:03")));
}

#[test]
fn what_is_kept_of_one_app_has_a_bound() {
    let labels: Vec<String> = (0..100).map(|n| format!("label-{n}")).collect();
    let held = labels
        .iter()
        .map(|label| Hold {
            label,
            text: "",
            frees: None,
        })
        .collect();
    let seen = Seen {
        app: "web",
        owner: None,
        phase: Phase::Held,
        state: None,
        held,
    };
    let mut notices = Notices::default();
    notices.look(&[seen], POLICY, at("12:00"));
    assert_eq!(notices.apps["web"].holds.len(), MAX_HOLDS);
}
