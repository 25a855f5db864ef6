//! How far the newest commit of an app has come, and how long each part took.
//!
//! A [`Course`] is a fold over the same journalled [`Event`]s as the history,
//! so that a restart in the middle of a roll loses no figure. It decides
//! nothing: nobody but the metrics reads it. A commit that was there before
//! amid looked for the first time has no beginning that could be measured, and
//! one that only changed sizes or words is no roll.

use jiff::{SignedDuration, Timestamp};

use crate::history::{Event, Outcome};
use crate::model::ReleaseKey;
use crate::step::ApplyKind;

/// A part of the way that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// From the commit until amid saw it.
    Detected(SignedDuration),
    /// From the commit until its group was made.
    GroupMade(SignedDuration),
    /// From the commit until its release was healthy.
    Healthy(SignedDuration),
    /// From the commit until its release was live and nothing else.
    Done(SignedDuration),
    /// From a roll's first step until its commit came to its end.
    Rolled(Outcome, SignedDuration),
    /// From a release that was given up until the app was as git asks again.
    Restored(SignedDuration),
}

/// How far the newest commit of an app has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    committed: Option<Timestamp>,
    key: Option<ReleaseKey>,
    began: Option<Timestamp>,
    added: bool,
    group_made: bool,
    healthy: bool,
    failed: Option<Timestamp>,
}

impl Course {
    /// Takes in what happened at `at`. With `measurable` unset the commit that
    /// is asked for has no beginning: amid met it when it looked for the first
    /// time.
    pub fn record(&mut self, event: &Event, at: Timestamp, measurable: bool) -> Vec<Measured> {
        let mut measured = Vec::new();
        match event {
            Event::Asked { key, committed, .. } => {
                let committed = committed.filter(|_| measurable);
                *self = Self {
                    committed,
                    key: key.clone(),
                    failed: self.failed,
                    ..Self::default()
                };
                measured.extend(self.since_commit(at).map(Measured::Detected));
            }
            // With the strategy `recreate` a roll begins with a drain.
            Event::Began {
                step: step @ (ApplyKind::Add | ApplyKind::Drain),
                ..
            } => {
                self.began.get_or_insert(at);
                self.added |= *step == ApplyKind::Add;
            }
            Event::Finished {
                step: ApplyKind::Add,
                key,
                error: None,
                ..
            } if self.asks_for(key) && !self.group_made => {
                self.group_made = true;
                measured.extend(self.since_commit(at).map(Measured::GroupMade));
            }
            // A release that was live before is healthy again after a restart.
            Event::Healthy { key, .. }
                if self.group_made && self.asks_for(key) && !self.healthy =>
            {
                self.healthy = true;
                measured.extend(self.since_commit(at).map(Measured::Healthy));
            }
            Event::Abandoned(failed) if failed.failure.blames_release() => {
                self.failed.get_or_insert(failed.at);
            }
            Event::Ended { outcome, .. } => self.ended(*outcome, at, &mut measured),
            _ => {}
        }
        measured
    }

    fn ended(&mut self, outcome: Outcome, at: Timestamp, measured: &mut Vec<Measured>) {
        // A revert commit drains what failed, and makes no release.
        let added = std::mem::take(&mut self.added);
        if let Some(began) = self.began.take().filter(|_| added) {
            measured.push(Measured::Rolled(outcome, positive(at, began)));
            if outcome == Outcome::Applied {
                measured.extend(self.since_commit(at).map(Measured::Done));
            }
        }
        if outcome == Outcome::Applied
            && let Some(failed) = self.failed.take()
        {
            measured.push(Measured::Restored(positive(at, failed)));
        }
    }

    fn asks_for(&self, key: &ReleaseKey) -> bool {
        self.key.as_ref() == Some(key)
    }

    fn since_commit(&self, at: Timestamp) -> Option<SignedDuration> {
        self.committed.map(|committed| positive(at, committed))
    }
}

/// The clock of whoever made the commit may be ahead of ours.
fn positive(at: Timestamp, since: Timestamp) -> SignedDuration {
    at.duration_since(since).max(SignedDuration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CommitId;
    use crate::reason::Failure;
    use crate::step::Failed;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn took(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn key(text: &str) -> ReleaseKey {
        ReleaseKey::parse(text).unwrap()
    }

    fn commit() -> CommitId {
        CommitId::parse(&"c".repeat(40)).unwrap()
    }

    fn asked(new: &str, committed: i64) -> Event {
        Event::Asked {
            commit: commit(),
            key: Some(key(new)),
            ami: None,
            committed: Some(at(committed)),
            author: None,
            subject: None,
        }
    }

    fn began(step: ApplyKind) -> Event {
        Event::Began {
            step,
            key: key("0123456789"),
            reason: crate::reason::Reason::NothingToRevertTo,
        }
    }

    fn finished(step: ApplyKind, of: &str, error: Option<&str>) -> Event {
        Event::Finished {
            step,
            key: key(of),
            millis: 1,
            error: error.map(ToOwned::to_owned),
        }
    }

    fn healthy(of: &str) -> Event {
        Event::Healthy {
            key: key(of),
            healthy: 2,
        }
    }

    fn ended(outcome: Outcome) -> Event {
        Event::Ended {
            commit: commit(),
            outcome,
            why: None,
        }
    }

    fn abandoned(second: i64) -> Event {
        Event::Abandoned(Failed {
            key: key("0123456789"),
            commit: commit(),
            failure: Failure::LaunchFailed {
                message: String::new(),
            },
            at: at(second),
        })
    }

    const NEW: &str = "0123456789";
    const OLD: &str = "9876543210";

    #[test]
    fn every_part_of_a_roll_is_measured_once_and_from_the_commit() {
        let mut course = Course::default();
        let steps = [
            (asked(NEW, 100), 103),
            (began(ApplyKind::Add), 105),
            (finished(ApplyKind::Add, NEW, Some("throttled")), 110),
            (began(ApplyKind::Add), 111),
            (finished(ApplyKind::Add, NEW, None), 120),
            (healthy(OLD), 121),
            (healthy(NEW), 150),
            (finished(ApplyKind::Grow, NEW, None), 160),
            (healthy(NEW), 180),
            (began(ApplyKind::Drain), 190),
            (ended(Outcome::Applied), 250),
            (ended(Outcome::Applied), 251),
        ];
        let all: Vec<Measured> = steps
            .iter()
            .flat_map(|(event, second)| course.record(event, at(*second), true))
            .collect();
        assert_eq!(
            all,
            [
                Measured::Detected(took(3)),
                Measured::GroupMade(took(20)),
                Measured::Healthy(took(50)),
                Measured::Rolled(Outcome::Applied, took(145)),
                Measured::Done(took(150)),
            ]
        );
    }

    #[test]
    fn a_commit_that_changes_only_sizes_is_detected_and_no_roll() {
        let mut course = Course::default();
        let mut all = course.record(&asked(OLD, 100), at(101), true);
        all.extend(course.record(&began(ApplyKind::Resize), at(102), true));
        all.extend(course.record(&healthy(OLD), at(103), true));
        all.extend(course.record(&ended(Outcome::Applied), at(110), true));
        assert_eq!(all, [Measured::Detected(took(1))]);
    }

    #[test]
    fn a_commit_from_before_the_first_look_has_no_beginning() {
        let mut course = Course::default();
        assert_eq!(course.record(&asked(NEW, 100), at(9_000), false), []);
        course.record(&began(ApplyKind::Add), at(9_001), true);
        assert_eq!(
            course.record(&finished(ApplyKind::Add, NEW, None), at(9_010), true),
            []
        );
        assert_eq!(
            course.record(&ended(Outcome::Applied), at(9_031), true),
            [Measured::Rolled(Outcome::Applied, took(30))]
        );
    }

    #[test]
    fn an_app_is_restored_when_a_later_commit_is_live() {
        let mut course = Course::default();
        course.record(&asked(NEW, 100), at(100), true);
        course.record(&began(ApplyKind::Add), at(110), true);
        assert_eq!(course.record(&abandoned(200), at(200), true), []);
        assert_eq!(course.record(&asked(OLD, 201), at(202), true).len(), 1);
        // The revert commit asks for what is live: nothing rolls.
        course.record(&began(ApplyKind::Drain), at(210), true);
        assert_eq!(
            course.record(&ended(Outcome::Applied), at(230), true),
            [Measured::Restored(took(30))]
        );
        assert_eq!(course.record(&ended(Outcome::Applied), at(231), true), []);
    }

    #[test]
    fn a_commit_of_a_clock_ahead_of_ours_took_no_time() {
        let mut course = Course::default();
        assert_eq!(
            course.record(&asked(NEW, 500), at(400), true),
            [Measured::Detected(took(0))]
        );
    }
}
