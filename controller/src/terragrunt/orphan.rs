//! Applies that outlived a controller, and the locks of those that did not.
//!
//! A run whose record has no ending was started by a controller that is gone
//! (or by a future that was dropped). Its processes are looked up by tag; if
//! one lives, it is waited for and its result read from its files, exactly as
//! if it had never been alone.

use std::time::Duration;

use super::child;
use super::error::RunError;
use super::lock::{Candidate, Here, may_break};
use super::output::LockInfo;
use super::permits::Priority;
use super::record::{Ending, Operation, Record, RunDir};
use super::{Applied, Terragrunt, Unit, applied, command, heal, outcome, process, record};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// An apply without an ending.
#[derive(Debug)]
pub struct Orphan {
    runner: Terragrunt,
    unit: Unit,
    run: RunDir,
    record: Record,
    pid: Option<u32>,
}

/// What became of a foreign-looking state lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlocked {
    /// It was our own dead child's and is gone.
    Broken,
    /// It was left alone, for this reason.
    Kept(String),
}

impl Orphan {
    /// A process of it that lives; `None` when it died in the middle.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// When it was started.
    pub fn started_at(&self) -> jiff::Timestamp {
        self.record.started_at
    }

    /// Waits until no process of it lives and reads how it ended. A dead one
    /// gives [`RunError::Killed`] at once; its lock may be left behind.
    pub async fn wait(mut self) -> Result<Applied, RunError> {
        let tools = &self.runner.inner.tools;
        let names = tools.program_names();
        let names = names.each_ref().map(String::as_str);
        while !self.record.living(&names).is_empty() {
            let age = (tools.clock)().duration_since(self.record.started_at);
            if Duration::try_from(age).is_ok_and(|age| age > tools.apply_timeout) {
                child::send_interrupt(&self.run, &mut self.record, names[1]);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // A supervisor in this process notes the ending first.
        let _guard = self.runner.guard(&self.unit).await;
        let noted = self.run.read().unwrap_or(self.record);
        let mut finished = child::read_ended(&self.run, noted, (tools.clock)()).await?;
        let result = outcome::judge(&finished);
        if finished.record.ending.is_none() {
            let ending = match outcome::ending(&finished, result.as_ref().map(|&()| ())) {
                Ending::Killed => Ending::Died,
                other => other,
            };
            child::note_ending(&self.run, &mut finished.record, ending, (tools.clock)());
        }
        if let Some(path) = heal::errored_state(&self.unit)? {
            return Err(RunError::ErroredState(path));
        }
        result.map(|()| applied(finished, None))
    }
}

impl Terragrunt {
    /// The apply of this unit that has no ending, if there is one. To be asked
    /// at every start, before anything else is done with the unit.
    pub fn orphan(&self, unit: &Unit) -> Option<Orphan> {
        // While a run of this process holds the guard, its records are its own.
        let free = self.guard_of(unit).try_lock_owned();
        self.open_run(unit, free.is_ok())
    }

    /// Looks for an apply without an ending. With `tidy`, other runs without
    /// one are ended: nobody waits for their result any more.
    pub(super) fn open_run(&self, unit: &Unit, tidy: bool) -> Option<Orphan> {
        let names = self.inner.tools.program_names();
        let names = names.each_ref().map(String::as_str);
        let mut found: Option<Orphan> = None;
        for run in record::list(&unit.dir) {
            let Some(mut record) = run.read().filter(|record| record.ending.is_none()) else {
                continue;
            };
            if record.operation.may_be_killed() && !tidy {
                continue;
            }
            let living = record.living(&names);
            if record.operation.may_be_killed() {
                for one in living {
                    process::kill(one.pid);
                }
                child::note_ending(
                    &run,
                    &mut record,
                    Ending::Killed,
                    (self.inner.tools.clock)(),
                );
                continue;
            }
            let pid = living.first().map(|one| one.pid);
            // One that lives matters more than a newer one that is dead.
            if found.is_none() || pid.is_some() {
                found = Some(Orphan {
                    runner: self.clone(),
                    unit: unit.clone(),
                    run,
                    record,
                    pid,
                });
            }
            if pid.is_some() {
                break;
            }
        }
        found
    }

    /// Removes a state lock if it is provably that of our own dead child.
    pub async fn break_own_lock(&self, unit: &Unit, lock: &LockInfo) -> Result<Unlocked, RunError> {
        let guard = self.guard(unit).await;
        let candidates = self.candidates(unit).await;
        let here = self.here();
        if let Err(reason) = may_break(lock, &candidates, &here) {
            self.tell_lock(false);
            return Ok(Unlocked::Kept(reason));
        }
        drop(guard);
        let _guard = self.begin(unit).await?;
        let _permit = self.inner.permits.acquire(Priority::GiveUp).await;
        tracing::warn!(app = %unit.app, lock = %lock.id, "Breaking the state lock of our own dead apply");
        self.run_healed(unit, Operation::Unlock, None, |_| {
            Ok(command::arguments(
                unit,
                &["force-unlock", "-force", &lock.id],
            ))
        })
        .await?;
        self.tell_lock(true);
        Ok(Unlocked::Broken)
    }

    fn tell_lock(&self, broken: bool) {
        if let Some(observer) = self.inner.observer.get() {
            observer.lock(broken);
        }
    }

    async fn candidates(&self, unit: &Unit) -> Vec<Candidate> {
        let names = self.inner.tools.program_names();
        let names = names.each_ref().map(String::as_str);
        let mut candidates = Vec::new();
        for run in record::list(&unit.dir) {
            let Some(record) = run
                .read()
                .filter(|record| record.operation == Operation::Apply)
            else {
                continue;
            };
            let alive = !record.living(&names).is_empty();
            let last_sign = run.last_sign();
            let read = child::read_ended(&run, record.clone(), (self.inner.tools.clock)()).await;
            let first_event_at = read.ok().and_then(|read| read.report.first_event_at);
            candidates.push(Candidate {
                record,
                alive,
                last_sign,
                first_event_at,
            });
        }
        candidates
    }

    fn here(&self) -> Here {
        let [_, terraform] = self.inner.tools.program_names();
        let names = [terraform.as_str(), "terraform", "tofu"];
        Here {
            now: (self.inner.tools.clock)(),
            host: process::host(),
            boot_id: process::boot_id(),
            boot_time: process::boot_time(),
            others: process::untagged(&names)
                .into_iter()
                .map(|(_, start)| start)
                .collect(),
        }
    }
}
