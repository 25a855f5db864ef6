//! A roll of an app whose old release goes first (`strategy: "recreate"`),
//! such as a database whose volume can be attached once.
//!
//! `{old}` → drain old, carrying its size → empty → add new → healthy, baked →
//! remove old. Backwards: drain new → empty → remove new and bring the old
//! one back in the same apply.

use super::needs::full_size;
use super::view::{Draft, View};
use super::{Phase, Plan, rolling};
use crate::reason::Reason;
use crate::step::{ApplyKind, Failed, Guard, Roll};

pub(super) fn decide(view: &View<'_>, roll: &Roll) -> Plan {
    let full = full_size(view.manifest, roll.carry);
    let wanted = view.want == roll.to;
    let Some(new) = view.observed.made.get(&roll.to) else {
        return before(view, roll, full, wanted);
    };
    if !view.observed.made.contains_key(&roll.from) {
        return if wanted {
            super::settled::live(view, &roll.to)
        } else {
            super::settled::begin(view, &roll.to)
        };
    }
    let failed = rolling::failed(view, roll, new);
    if let Some(plan) = rolling::heal(view, roll, failed.as_ref()) {
        return plan;
    }
    if let Some(failed) = failed {
        let plan = back(view, roll, full, Some(&failed));
        return rolling::given_up(view, roll, plan, failed);
    }
    if !wanted || new.drain {
        return back(view, roll, full, None);
    }
    match view.baked(&roll.to, full, false) {
        Ok(_) => remove_old(view, roll, full),
        Err((reason, wake)) => {
            let phase = match reason {
                Reason::WaitBake { .. } => Phase::Baking,
                _ => Phase::Starting,
            };
            Plan::wait(phase, reason, Some(wake))
        }
    }
}

/// The old group empties; then the new one is made, or the old one comes
/// back.
fn before(view: &View<'_>, roll: &Roll, full: u32, wanted: bool) -> Plan {
    let instances = view.instances(&roll.from);
    let old = view.observed.made.get(&roll.from);
    if wanted && old.is_some_and(|old| !old.drain) {
        // The apply that was to drain it failed, its memory was written.
        return super::settled::begin(view, &roll.from);
    }
    if let Some(plan) = rolling::heal(view, roll, None).filter(|_| wanted) {
        return plan;
    }
    if wanted && instances > 0 {
        return view.wait_drain(Phase::Draining, &roll.from, instances);
    }
    let mut releases = view.observed.made.clone();
    let mut memory = view.memory();
    if !wanted {
        if let Some(old) = releases.get_mut(&roll.from) {
            *old = view.sized(old.settings.clone(), old.desired, full);
        }
        memory.roll = None;
        let step = view.apply(Draft {
            kind: ApplyKind::Restore,
            key: roll.from.clone(),
            reason: Reason::Restoring {
                name: view.app.group_name(&roll.from),
            },
            releases,
            memory,
            guard: Guard::default(),
        });
        return Plan::step(Phase::GivingUp, step);
    }
    releases.insert(
        roll.to.clone(),
        view.sized(view.settings.clone(), full, full),
    );
    let mut guard = Guard::default();
    guard.empty.insert(roll.from.clone());
    let step = view.apply(Draft {
        kind: ApplyKind::Add,
        key: roll.to.clone(),
        reason: Reason::NewRelease {
            from: roll.from.clone(),
            to: roll.to.clone(),
            ami: view.manifest.ami.clone(),
            changed: vec!["release".to_owned()],
        },
        releases,
        memory,
        guard,
    });
    Plan::step(Phase::Adding, step)
}

fn remove_old(view: &View<'_>, roll: &Roll, full: u32) -> Plan {
    let mut releases = view.observed.made.clone();
    releases.remove(&roll.from);
    if let Some(new) = releases.get_mut(&roll.to) {
        *new = view.sized(new.settings.clone(), new.desired, 0);
    }
    let mut memory = view.memory();
    memory.remember_served(&roll.to);
    memory.roll = None;
    let mut guard = Guard::default();
    guard.empty.insert(roll.from.clone());
    guard.healthy.insert(roll.to.clone(), full);
    let step = view.apply(Draft {
        kind: ApplyKind::Remove,
        key: roll.from.clone(),
        reason: Reason::Drained {
            name: view.app.group_name(&roll.from),
        },
        releases,
        memory,
        guard,
    });
    Plan::step(Phase::Removing, step)
}

fn back(view: &View<'_>, roll: &Roll, full: u32, failed: Option<&Failed>) -> Plan {
    let drained = view
        .observed
        .made
        .get(&roll.to)
        .is_some_and(|new| new.drain);
    let instances = view.instances(&roll.to);
    let mut releases = view.observed.made.clone();
    let mut memory = view.memory();
    if let Some(failed) = failed.filter(|failed| failed.failure.blames_release()) {
        memory.remember_failed(failed.clone());
    }
    let reason = match failed {
        Some(failed) => Reason::GivingUp {
            failure: failed.failure.clone(),
        },
        None => Reason::Superseded {
            ami: view.ami_of(&roll.to),
        },
    };
    if !drained && view.observed.group(&roll.to).is_some() {
        if let Some(new) = releases.get_mut(&roll.to) {
            new.drain = true;
        }
        let step = view.apply(Draft {
            kind: ApplyKind::Drain,
            key: roll.to.clone(),
            reason,
            releases,
            memory,
            guard: Guard::default(),
        });
        return Plan::step(Phase::GivingUp, step);
    }
    if instances > 0 {
        return view.wait_drain(Phase::GivingUp, &roll.to, instances);
    }
    releases.remove(&roll.to);
    if let Some(old) = releases.get_mut(&roll.from) {
        *old = view.sized(old.settings.clone(), old.desired, full);
    }
    memory.roll = None;
    let mut guard = Guard::default();
    guard.empty.insert(roll.to.clone());
    let step = view.apply(Draft {
        kind: ApplyKind::Remove,
        key: roll.to.clone(),
        reason,
        releases,
        memory,
        guard,
    });
    Plan::step(Phase::GivingUp, step)
}
