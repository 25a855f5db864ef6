//! What may happen in a world between two passes.

use std::collections::BTreeMap;

use amid_core::history::{AppHistory, Event, later};
use amid_core::manifest::{EnvValue, OnFailure, Strategy, Suspend};
use amid_core::model::LaunchCause;
use jiff::SignedDuration;

use super::{File, World, launch_fields};

impl World {
    /// One thing happens.
    pub(super) fn event(&mut self) {
        match self.rng.below(21) {
            0..=4 => self.change_manifest(),
            5..=7 => {
                self.note(|| "instances die or fall ill".to_owned());
                self.aws.harm(&mut self.rng);
            }
            8 | 9 => self.scale(),
            10 => self.by_hand(),
            11 => {
                let cause = self.rng.pick(&[
                    None,
                    None,
                    Some(LaunchCause::Capacity),
                    Some(LaunchCause::Quota),
                ]);
                self.note(|| format!("launches fail for {cause:?}"));
                self.aws.closed = cause;
            }
            12 => self.aws.slow = self.rng.pick(&[100, 100, 300, 2000]),
            13 => self.jump(),
            14 => self.restart(),
            15 => self.protected = self.rng.chance(50),
            16 => self.suspend(),
            17 => self.code += 1,
            20 => self.gate_open = self.rng.chance(40),
            18 => {
                self.file = self.rng.pick(&[File::Damaged, File::Deleted]);
                self.commit();
            }
            _ => {
                self.file = File::Fine;
                self.commit();
            }
        }
    }

    pub(super) fn change_manifest(&mut self) {
        let m = &mut self.manifest;
        match self.rng.below(12) {
            0..=4 => {
                let n = self.rng.below(5) as usize;
                m.ami = self.images[n].0.clone();
            }
            5 => {
                let value = EnvValue::Integer(self.rng.below(3).into());
                m.env = Some(BTreeMap::from([("A".to_owned(), value)]));
            }
            6 => {
                m.min_size = self.rng.below(5);
                m.max_size = m.min_size.max(1) + self.rng.below(4);
            }
            7 => m.roll.canary = self.rng.below(4),
            8 => {
                m.roll.strategy = self.rng.pick(&[Strategy::SideBySide, Strategy::Recreate]);
            }
            9 => m.revision = Some(m.revision.unwrap_or(0) + 1),
            10 => {
                let ways = [OnFailure::Revert, OnFailure::PullRequest, OnFailure::Hold];
                m.on_failure = self.rng.pick(&ways);
            }
            _ => {
                // `git revert`, or an older state brought back.
                let n = self.rng.below(self.launches.len() as u32) as usize;
                if let Some(older) = self.launches.values().nth(n) {
                    launch_fields(&mut self.manifest, &older.clone());
                }
            }
        }
        self.commit();
    }

    /// Autoscaling moves the desired capacity.
    pub(super) fn scale(&mut self) {
        for asg in self.aws.groups.values_mut() {
            asg.desired = self.rng.within(asg.min, asg.max.max(asg.min));
        }
        self.note(|| "autoscaling".to_owned());
    }

    /// Somebody changes or deletes a group by hand.
    fn by_hand(&mut self) {
        let n = self.rng.below(2) as usize;
        let Some(key) = self.aws.groups.keys().nth(n).cloned() else {
            return;
        };
        if self.rng.chance(25) {
            self.note(|| format!("somebody deletes {key}"));
            self.aws.groups.remove(&key);
            self.laws.deleted_by_hand();
            return;
        }
        let min = self.rng.below(4);
        let max = min + self.rng.below(4);
        self.note(|| format!("somebody resizes {key} to {min}-{max}"));
        if let Some(asg) = self.aws.groups.get_mut(&key) {
            asg.resize(min, max);
        }
    }

    fn jump(&mut self) {
        let by = self.rng.pick(&[-100_000, -3600, -70, -5, 65, 600, 100_000]);
        self.note(|| format!("the clock jumps by {by} s"));
        self.now = later(self.now, SignedDuration::from_secs(by));
    }

    fn suspend(&mut self) {
        if self.rng.chance(50) {
            self.manifest.suspend = self.rng.chance(60).then(|| Suspend {
                reason: "feast".to_owned(),
                until: self
                    .rng
                    .chance(50)
                    .then(|| later(self.now, SignedDuration::from_secs(300))),
            });
            self.commit();
        } else if self.history.suspended.is_none() {
            self.record(Event::Suspended {
                reason: "feast".to_owned(),
                until: None,
                user: "anna".to_owned(),
            });
        } else {
            self.record(Event::Resumed {
                user: "anna".to_owned(),
            });
        }
    }

    /// The controller starts again, with its journal or without.
    fn restart(&mut self) {
        self.attempts = 0;
        self.history = AppHistory::default();
        if self.rng.chance(50) {
            self.note(|| "restart".to_owned());
            for (event, at) in &self.journal {
                self.history.record(event, *at);
            }
            return;
        }
        self.note(|| "restart, the journal is lost".to_owned());
        self.journal.clear();
        self.laws.journal_lost();
        self.asked();
    }
}
