//! Whether a state lock is provably that of our own dead child.
//!
//! Terraform that dies by SIGKILL leaves its lock behind, and every later run
//! fails until it is removed. Removing the lock of someone who still works
//! forks the state. So all of this must hold: the lock was taken on this
//! machine by an apply, in the time in which one recorded apply of this unit
//! ran that never told of its end, no process of it lives, nobody else's
//! terraform that is old enough lives here, and some time has passed, so that
//! a last write of the dead has landed.

use jiff::{SignedDuration, Timestamp};

use super::output::LockInfo;
use super::record::{Ending, Operation, Record};

/// How long ago the last sign of life and the lock must be.
const SETTLED: SignedDuration = SignedDuration::from_secs(10);
/// A child takes its lock at most this long after its last sign of life.
const SLACK: SignedDuration = SignedDuration::from_secs(10);

/// A recorded run as it looks now.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub record: Record,
    pub alive: bool,
    pub last_sign: Option<Timestamp>,
    /// Its first line that comes after the lock was taken.
    pub first_event_at: Option<Timestamp>,
}

/// This machine, now.
#[derive(Debug, Clone)]
pub(super) struct Here {
    pub now: Timestamp,
    pub host: String,
    pub boot_id: String,
    pub boot_time: Option<Timestamp>,
    /// When each terraform that is not amid's was started; `None`: unknown.
    pub others: Vec<Option<Timestamp>>,
}

/// `Ok` when the lock may be broken, else the reason why not.
pub(super) fn may_break(
    lock: &LockInfo,
    candidates: &[Candidate],
    here: &Here,
) -> Result<(), String> {
    let host = lock.who.rsplit_once('@').map(|(_, host)| host);
    if host != Some(here.host.as_str()) {
        return Err(format!(
            "it was taken by `{}`, on another machine",
            lock.who
        ));
    }
    if lock.operation != "OperationTypeApply" {
        return Err(format!(
            "it is not the lock of an apply but of `{}`",
            lock.operation
        ));
    }
    if candidates.iter().any(|one| one.alive) {
        return Err("an apply of this unit still runs".to_owned());
    }
    let Some(ours) = candidates.iter().find(|one| took(one, lock, here)) else {
        return Err("no apply of ours ran and died at that time".to_owned());
    };
    let signs = [
        Some(lock.created),
        ours.last_sign,
        ours.record.ended_at.filter(|_| same_boot(ours, here)),
    ];
    if signs
        .into_iter()
        .flatten()
        .any(|sign| here.now.duration_since(sign) < SETTLED)
    {
        return Err(format!(
            "its holder died less than {} s ago",
            SETTLED.as_secs()
        ));
    }
    let old_enough =
        |start: &Option<Timestamp>| start.is_none_or(|start| start <= later(lock.created, 1));
    if here.others.iter().any(old_enough) {
        return Err("another terraform on this machine may hold it".to_owned());
    }
    Ok(())
}

/// Whether this run ended without a word, and can be the one that took it.
fn took(one: &Candidate, lock: &LockInfo, here: &Here) -> bool {
    let record = &one.record;
    let silent = record.ending.is_none_or(Ending::may_leave_lock);
    if record.operation != Operation::Apply || !silent || record.host != here.host {
        return false;
    }
    if lock.created < record.started_at {
        return false;
    }
    if let Some(event) = one.first_event_at {
        return lock.created <= event;
    }
    if !same_boot(one, here) {
        // Whoever took it before this boot is gone.
        return here.boot_time.is_some_and(|boot| lock.created < boot);
    }
    one.last_sign
        .is_some_and(|sign| lock.created <= later(sign, SLACK.as_secs()))
}

fn same_boot(one: &Candidate, here: &Here) -> bool {
    one.record.boot_id == here.boot_id
}

fn later(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time in range")
    }

    /// An apply of ours that started at 100, took the lock at 103 and was seen
    /// last at 110.
    fn world() -> (LockInfo, Candidate, Here) {
        let lock = LockInfo {
            id: "1".to_owned(),
            path: "p".to_owned(),
            operation: "OperationTypeApply".to_owned(),
            who: "root@vm".to_owned(),
            version: "1.11.4".to_owned(),
            created: at(103),
        };
        let record = Record {
            run: 1,
            operation: Operation::Apply,
            tag: "t".to_owned(),
            host: "vm".to_owned(),
            boot_id: "b".to_owned(),
            pid: Some(7),
            start_ticks: Some(1),
            started_at: at(100),
            ended_at: None,
            ending: None,
            exit_code: None,
            interrupted: false,
        };
        let candidate = Candidate {
            record,
            alive: false,
            last_sign: Some(at(110)),
            first_event_at: None,
        };
        let here = Here {
            now: at(200),
            host: "vm".to_owned(),
            boot_id: "b".to_owned(),
            boot_time: Some(at(0)),
            others: Vec::new(),
        };
        (lock, candidate, here)
    }

    /// The verdict after one change of that world.
    fn after(change: impl Fn(&mut LockInfo, &mut Candidate, &mut Here)) -> Result<(), String> {
        let (mut lock, mut candidate, mut here) = world();
        change(&mut lock, &mut candidate, &mut here);
        may_break(&lock, &[candidate], &here)
    }

    #[test]
    fn the_lock_of_our_dead_apply_is_broken() {
        assert_eq!(after(|_, _, _| {}), Ok(()));
        assert_eq!(
            after(|_, c, _| c.record.ending = Some(Ending::Died)),
            Ok(())
        );
        assert_eq!(
            after(|_, c, _| c.record.ending = Some(Ending::LeftLock)),
            Ok(())
        );
        assert_eq!(after(|_, c, _| c.first_event_at = Some(at(104))), Ok(()));
    }

    #[test]
    fn after_a_reboot_every_older_lock_of_that_time_is_dead() {
        let rebooted = |boot: i64| {
            after(|_, c, here| {
                c.record.boot_id = "earlier".to_owned();
                c.last_sign = None;
                here.boot_time = Some(at(boot));
            })
        };
        assert_eq!(rebooted(150), Ok(()));
        assert!(rebooted(102).is_err());
    }

    #[test]
    fn any_doubt_keeps_the_lock() {
        type Change = fn(&mut LockInfo, &mut Candidate, &mut Here);
        let doubts: [(&str, Change); 15] = [
            ("other machine", |l, _, _| l.who = "root@other".to_owned()),
            ("no machine", |l, _, _| l.who = "vm".to_owned()),
            ("a plan's lock", |l, _, _| {
                l.operation = "OperationTypePlan".to_owned()
            }),
            ("still alive", |_, c, _| c.alive = true),
            ("taken before our start", |l, _, _| l.created = at(99)),
            ("taken long after our last sign", |l, _, _| {
                l.created = at(121)
            }),
            ("taken after our first line", |_, c, _| {
                c.first_event_at = Some(at(102))
            }),
            ("our run ended well", |_, c, _| {
                c.record.ending = Some(Ending::Succeeded)
            }),
            ("our run never got it", |_, c, _| {
                c.record.ending = Some(Ending::Locked)
            }),
            ("our run said what failed", |_, c, _| {
                c.record.ending = Some(Ending::Failed)
            }),
            ("our run was a plan", |_, c, _| {
                c.record.operation = Operation::Plan
            }),
            ("our run was elsewhere", |_, c, _| {
                c.record.host = "other".to_owned()
            }),
            ("too fresh", |_, c, here| {
                c.last_sign = Some(at(195));
                here.now = at(200);
            }),
            ("a person's terraform of that time", |_, _, here| {
                here.others = vec![Some(at(103))]
            }),
            ("a terraform of unknown age", |_, _, here| {
                here.others = vec![None]
            }),
        ];
        for (name, change) in doubts {
            assert!(after(change).is_err(), "{name}");
        }
        assert_eq!(
            after(|_, _, here| here.others = vec![Some(at(150))]),
            Ok(()),
            "too young to hold it"
        );
        let (lock, _, here) = world();
        assert!(may_break(&lock, &[], &here).is_err(), "no record");
    }
}
