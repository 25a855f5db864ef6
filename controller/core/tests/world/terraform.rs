//! Terraform as the releases module uses it: what a plan holds, and applies
//! that end well, halfway or not at all.
//!
//! Three things are kept apart, because a killed or failed apply leaves them
//! apart: what AWS has ([`Aws`]), what the state lists, and what its outputs
//! say. A failed apply leaves the output `releases` as it was; the memory may
//! be written all the same.

use std::collections::BTreeSet;

use amid_core::model::{AppName, Made, ReleaseKey, Releases};
use amid_core::step::{Action, Apply, Change, GUARD, MEMORY, Memory, addresses, effective};

use super::aws::{Asg, Aws, Quality};
use super::rng::Rng;

/// One unit's state.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    pub exists: bool,
    guard: bool,
    remembers: bool,
    records: BTreeSet<ReleaseKey>,
    templates: BTreeSet<ReleaseKey>,
    groups: BTreeSet<ReleaseKey>,
    /// Its outputs.
    pub releases: Releases,
    pub memory: Memory,
}

/// How an apply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Well.
    Well,
    /// Before anything was done.
    Before,
    /// One of its changes failed: those before it are done and recorded.
    Failed,
    /// Killed with its machine: nothing is recorded of what was done.
    Killed,
    /// Well, but nobody was there to see it.
    Unseen,
}

/// One change, in the order in which it is made.
#[derive(Clone, Debug)]
enum Op {
    Guard,
    Memory,
    Record(ReleaseKey),
    Template(ReleaseKey, Action),
    Group(ReleaseKey, Action),
    Resize(ReleaseKey),
    DeleteGroup(ReleaseKey),
    DeleteTemplate(ReleaseKey),
    DeleteRecord(ReleaseKey),
}

impl Op {
    fn change(&self) -> Change {
        let at = |key: &ReleaseKey, index: usize| addresses(key)[index].clone();
        let (address, action) = match self {
            Self::Guard => (GUARD.to_owned(), Action::Create),
            Self::Memory => (MEMORY.to_owned(), Action::Update),
            Self::Record(key) => (at(key, 0), Action::Create),
            Self::Template(key, action) => (at(key, 1), *action),
            Self::Group(key, action) => (at(key, 2), *action),
            Self::Resize(key) => (at(key, 2), Action::Update),
            Self::DeleteGroup(key) => (at(key, 2), Action::Delete),
            Self::DeleteTemplate(key) => (at(key, 1), Action::Delete),
            Self::DeleteRecord(key) => (at(key, 0), Action::Delete),
        };
        Change { address, action }
    }
}

/// A saved plan.
pub struct Planned {
    ops: Vec<Op>,
    pub changes: Vec<Change>,
}

impl Unit {
    /// What `apply` would change.
    ///
    /// # Errors
    ///
    /// When the module or terraform would refuse the plan.
    pub fn plan(&self, aws: &Aws, app: &AppName, apply: &Apply) -> Result<Planned, String> {
        for key in aws.groups.keys() {
            let name = app.group_name(key);
            if !apply.releases.contains_key(key) && !apply.may_remove.contains(&name) {
                return Err(format!("the module refuses to leave out {name}"));
            }
        }
        let mut ops = Vec::new();
        if !self.guard {
            ops.push(Op::Guard);
        }
        if !self.remembers || self.memory != apply.memory {
            ops.push(Op::Memory);
        }
        for (key, made) in &apply.releases {
            self.make(aws, apply, key, made, &mut ops)?;
        }
        let gone = |key: &&ReleaseKey| !apply.releases.contains_key(*key);
        for key in self.groups.iter().filter(gone) {
            // What somebody deleted is dropped by the refresh.
            if aws.groups.contains_key(key) {
                ops.push(Op::DeleteGroup(key.clone()));
            }
        }
        for key in self.templates.iter().filter(gone) {
            if aws.templates.contains(key) {
                ops.push(Op::DeleteTemplate(key.clone()));
            }
        }
        for key in self.records.iter().filter(gone) {
            ops.push(Op::DeleteRecord(key.clone()));
        }
        let mut changes: Vec<Change> = ops.iter().map(Op::change).collect();
        for change in &mut changes {
            if change.address == MEMORY && !self.remembers {
                change.action = Action::Create;
            }
        }
        Ok(Planned { ops, changes })
    }

    fn make(
        &self,
        aws: &Aws,
        apply: &Apply,
        key: &ReleaseKey,
        made: &Made,
        ops: &mut Vec<Op>,
    ) -> Result<(), String> {
        let adopted = apply
            .adopt
            .as_ref()
            .filter(|(adopted, _)| adopted == key)
            .map(|(_, leftover)| leftover);
        if !self.records.contains(key) {
            ops.push(Op::Record(key.clone()));
        }
        let import = |there: bool, adopted: bool| match (there, adopted) {
            (true, true) => Ok(Action::Import),
            (true, false) => Err(format!("{key} already exists")),
            (false, true) => Err(format!("{key} is not there to be taken in")),
            (false, false) => Ok(Action::Create),
        };
        let in_state = self.templates.contains(key) && aws.templates.contains(key);
        if !in_state {
            let action = import(aws.templates.contains(key), adopted.is_some())?;
            ops.push(Op::Template(key.clone(), action));
        }
        let group = aws.groups.get(key);
        let in_state = self.groups.contains(key) && group.is_some();
        if !in_state {
            let adopted = adopted.is_some_and(|leftover| leftover.group_name.is_some());
            let action = import(group.is_some(), adopted)?;
            ops.push(Op::Group(key.clone(), action));
        }
        if group
            .is_some_and(|group| (group.min, group.max) != effective(made) || group.version != "1")
        {
            ops.push(Op::Resize(key.clone()));
        }
        Ok(())
    }

    /// Makes the changes of a plan; how it ends is given. Returns whether
    /// the controller sees it succeed.
    pub fn apply(
        &mut self,
        aws: &mut Aws,
        apply: &Apply,
        planned: Planned,
        end: End,
        quality: impl Fn(&Made) -> Quality,
        rng: &mut Rng,
    ) -> bool {
        let all = planned.ops.len();
        let done = match end {
            End::Well | End::Unseen => all,
            End::Before => 0,
            // At least the last one was not made.
            End::Failed => rng.below(all.max(1) as u32) as usize,
            End::Killed => rng.below(all as u32 + 1) as usize,
        };
        let before = self.clone();
        for op in planned.ops.iter().take(done) {
            self.exists = true;
            self.perform(aws, apply, op, &quality);
        }
        if end == End::Failed && done > 0 {
            // Independent changes go on beside one that failed.
            for op in planned.ops.iter().skip(done) {
                if let Op::DeleteTemplate(key) | Op::DeleteRecord(key) = op
                    && !aws.groups.contains_key(key)
                {
                    self.perform(aws, apply, op, &quality);
                }
            }
        }
        match end {
            End::Well | End::Unseen => {
                self.exists = true;
                self.releases = apply.releases.clone();
            }
            End::Killed => *self = before,
            End::Before | End::Failed => {}
        }
        end == End::Well
    }

    fn perform(
        &mut self,
        aws: &mut Aws,
        apply: &Apply,
        op: &Op,
        quality: &impl Fn(&Made) -> Quality,
    ) {
        match op {
            Op::Guard => self.guard = true,
            Op::Memory => {
                self.remembers = true;
                self.memory = apply.memory.clone();
            }
            Op::Record(key) => {
                self.records.insert(key.clone());
            }
            Op::Template(key, _) => {
                aws.templates.insert(key.clone());
                self.templates.insert(key.clone());
            }
            Op::Group(key, action) => {
                if let (Action::Create, Some(made)) = (action, apply.releases.get(key)) {
                    let (min, max) = effective(made);
                    let asg = Asg::new(min, max, made.desired, quality(made));
                    aws.groups.insert(key.clone(), asg);
                }
                self.groups.insert(key.clone());
            }
            Op::Resize(key) => {
                if let (Some(asg), Some(made)) = (aws.groups.get_mut(key), apply.releases.get(key))
                {
                    let (min, max) = effective(made);
                    asg.resize(min, max);
                    asg.version = "1";
                }
            }
            Op::DeleteGroup(key) => {
                aws.groups.remove(key);
                self.groups.remove(key);
            }
            Op::DeleteTemplate(key) => {
                aws.templates.remove(key);
                self.templates.remove(key);
            }
            Op::DeleteRecord(key) => {
                self.records.remove(key);
            }
        }
    }
}
