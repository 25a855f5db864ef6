//! A roll side by side is under way: forwards, or backwards.

use super::needs::Needs;
use super::settled;
use super::view::{Draft, View};
use super::{Phase, Plan};
use crate::history::Event;
use crate::manifest::OnFailure;
use crate::model::{Made, ReleaseKey};
use crate::reason::Reason;
use crate::step::{ApplyKind, Failed, Guard, Roll, effective};

pub(super) fn decide(view: &View<'_>, roll: &Roll) -> Plan {
    let old = view.observed.made.get(&roll.from);
    let wanted = view.want == roll.to;
    let Some(new) = view.observed.made.get(&roll.to) else {
        // The apply that was to add it failed, its memory was written.
        return match old {
            Some(old) if wanted && !old.drain => again(view, roll),
            Some(_) => forget(view, roll),
            None => settled::first(view),
        };
    };
    if new.drain && old.is_some_and(|old| old.drain) {
        return restore(view, roll);
    }
    let failed = failed(view, roll, new);
    if let Some(plan) = heal(view, roll, failed.as_ref()) {
        return plan;
    }
    let Some(old) = old.filter(|old| !old.drain) else {
        // The new release took over. Whatever git says meanwhile, the old
        // group is finished first; a rollback is then a roll of its own.
        return finish(view, roll);
    };

    if let Some(failed) = failed {
        let plan = back(view, roll, old, new, Some(&failed));
        return given_up(view, roll, plan, failed);
    }
    if !wanted || new.drain {
        return back(view, roll, old, new, None);
    }
    forward(view, roll, new)
}

/// Adds to `plan`, which takes a failed release away, what a failure asks for
/// besides: git goes back at once, when it still asks for what failed, and
/// the failure is journalled once.
pub(super) fn given_up(view: &View<'_>, roll: &Roll, mut plan: Plan, failed: Failed) -> Plan {
    if view.want == roll.to
        && view.commit == &failed.commit
        && failed.failure.blames_release()
        && view.manifest.on_failure != OnFailure::Hold
    {
        match view.revert(&roll.from, &failed.failure) {
            Ok(step) => plan.steps.insert(0, step),
            Err(reason) => plan.held.push(reason),
        }
    }
    if view
        .history
        .abandoned(&failed.key, &failed.commit)
        .is_none()
    {
        plan.record.push(Event::Abandoned(failed));
    }
    plan
}

/// Why the new release is given up: known from before, or seen now.
pub(super) fn failed(view: &View<'_>, roll: &Roll, new: &Made) -> Option<Failed> {
    // Git may have come to another commit that asks for the same release.
    for commit in [view.commit, &roll.commit] {
        let journalled = view.history.abandoned(&roll.to, commit);
        let remembered = || view.observed.memory.failure(&roll.to, commit);
        if let Some(failed) = journalled.or_else(remembered) {
            return Some(failed.clone());
        }
    }
    if new.drain || view.want != roll.to {
        return None;
    }
    let failure = view.failure(&roll.to, needs(view, roll, new).required)?;
    Some(Failed {
        key: roll.to.clone(),
        commit: view.commit.clone(),
        failure,
        at: view.now,
    })
}

/// What the new release has to reach, by the old one's size now.
fn needs(view: &View<'_>, roll: &Roll, new: &Made) -> Needs {
    let live = view.observed.group(&roll.from).map(|group| group.desired);
    Needs::of(view.manifest, new, roll.carry.or(live))
}

/// The new release is wanted: it has to become healthy, bake, grow and bake
/// again before the old one goes.
fn forward(view: &View<'_>, roll: &Roll, new: &Made) -> Plan {
    let Needs {
        required,
        full,
        canary,
    } = needs(view, roll, new);
    if !canary && new.pin < full {
        // The old group grew meanwhile, or git asks for a larger minimum.
        let has = view
            .observed
            .group(&roll.to)
            .map_or(0, |group| group.desired);
        if has < full {
            let reason = Reason::OldGrew {
                have: has,
                required: full,
            };
            return grow(view, roll, full, reason);
        }
    }
    let healthy = match view.baked(&roll.to, required, canary) {
        Ok(healthy) => healthy,
        Err((reason, wake)) => {
            let phase = match reason {
                Reason::WaitBake { .. } => Phase::Baking,
                _ => Phase::Starting,
            };
            let mut plan = Plan::wait(phase, reason, Some(wake));
            plan.held.extend(view.suspended());
            return plan;
        }
    };
    if let Some(reason) = view.suspended() {
        return Plan::hold(reason);
    }
    if canary {
        let reason = Reason::CanaryBaked {
            canary: required,
            full,
        };
        return grow(view, roll, full, reason);
    }
    let mut releases = view.observed.made.clone();
    if let Some(old) = releases.get_mut(&roll.from) {
        old.drain = true;
    }
    let mut memory = view.memory();
    memory.remember_served(&roll.to);
    let mut guard = Guard::default();
    guard.healthy.insert(roll.to.clone(), required);
    let step = view.apply(Draft {
        kind: ApplyKind::Drain,
        key: roll.from.clone(),
        reason: Reason::Baked { healthy, required },
        releases,
        memory,
        guard,
    });
    Plan::step(Phase::Draining, step)
}

fn grow(view: &View<'_>, roll: &Roll, full: u32, reason: Reason) -> Plan {
    if let Some(reason) = view.suspended() {
        return Plan::hold(reason);
    }
    let mut releases = view.observed.made.clone();
    if let Some(new) = releases.get_mut(&roll.to) {
        *new = view.sized(new.settings.clone(), new.desired, full);
    }
    let step = view.apply(Draft {
        kind: ApplyKind::Grow,
        key: roll.to.clone(),
        reason,
        releases,
        memory: view.memory(),
        guard: Guard::default(),
    });
    Plan::step(Phase::Starting, step)
}

/// The old group is drained: wait until it is empty, then remove it.
fn finish(view: &View<'_>, roll: &Roll) -> Plan {
    let name = view.app.group_name(&roll.from);
    let instances = view.instances(&roll.from);
    if instances > 0 {
        return view.wait_drain(Phase::Draining, &roll.from, instances);
    }
    let mut releases = view.observed.made.clone();
    releases.remove(&roll.from);
    if let Some(new) = releases.get_mut(&roll.to) {
        *new = view.sized(new.settings.clone(), new.desired, 0);
    }
    let mut memory = view.memory();
    memory.roll = None;
    let mut guard = Guard::default();
    guard.empty.insert(roll.from.clone());
    let step = view.apply(Draft {
        kind: ApplyKind::Remove,
        key: roll.from.clone(),
        reason: Reason::Drained { name },
        releases,
        memory,
        guard,
    });
    Plan::step(Phase::Removing, step)
}

/// The new release is not wanted: drain it, wait until it is empty, remove
/// it, unpin the old one.
fn back(view: &View<'_>, roll: &Roll, old: &Made, new: &Made, failed: Option<&Failed>) -> Plan {
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
    let mut guard = Guard::default();

    // Drained even if it is empty: AWS may launch its first instance any
    // moment, and the state then says which of the two is on its way out.
    if !new.drain && view.observed.group(&roll.to).is_some() {
        // What is taken away may be serving: what stays must be enough.
        let healthy = view.healthy(&roll.from);
        let required = old.pin.max(old.min_size);
        if view.healthy(&roll.to) > 0 && required > 0 {
            if healthy < required {
                // The old one is down: the new one, if it is proven, takes
                // over, and what git asks for follows in a roll of its own.
                if healthy == 0 {
                    let plan = forward(view, roll, new);
                    if !plan.steps.is_empty() {
                        return plan;
                    }
                }
                let name = view.app.group_name(&roll.from);
                let reason = Reason::WaitKeeper {
                    name,
                    healthy,
                    required,
                };
                return Plan::wait(Phase::GivingUp, reason, None);
            }
            guard.healthy.insert(roll.from.clone(), required);
        }
        if let Some(new) = releases.get_mut(&roll.to) {
            new.drain = true;
        }
        let step = view.apply(Draft {
            kind: ApplyKind::Drain,
            key: roll.to.clone(),
            reason,
            releases,
            memory,
            guard,
        });
        return Plan::step(Phase::GivingUp, step);
    }
    if instances > 0 {
        return view.wait_drain(Phase::GivingUp, &roll.to, instances);
    }
    releases.remove(&roll.to);
    if let Some(old) = releases.get_mut(&roll.from) {
        old.pin = 0;
    }
    memory.roll = None;
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

/// Somebody changed a group by hand: it is put back before anything else, so
/// that a step changes nothing but what it says. The sizes are amid's while a
/// roll runs, whatever `on_drift` says.
pub(super) fn heal(view: &View<'_>, roll: &Roll, failed: Option<&Failed>) -> Option<Plan> {
    let pairs = [(&roll.from, &roll.to), (&roll.to, &roll.from)];
    let drained = |key: &ReleaseKey| view.observed.made.get(key).is_some_and(|made| made.drain);
    let is_over = |key: &ReleaseKey| {
        let group = view.observed.group(key);
        let empty = group.is_none_or(|group| group.max == 0 && group.instances.is_empty());
        // The old one of a recreation is empty from its beginning.
        empty && drained(key) && !(roll.recreate && *key == roll.from)
    };
    if pairs.iter().any(|(key, _)| is_over(key)) {
        // The next apply removes it and puts all else right.
        return None;
    }
    let (key, drift) = pairs.into_iter().find_map(|(key, _)| {
        let made = view.observed.made.get(key)?;
        let group = view.observed.group(key);
        let goes = view.want != roll.to || failed.is_some();
        if group.is_none() && *key == roll.to && goes {
            return None;
        }
        if group.is_none() && made.drain {
            return None;
        }
        let drift = settled::group_drift(group, view.app.group_name(key), made);
        Some((key, drift?))
    })?;
    let mut releases = view.observed.made.clone();
    let mut guard = Guard::default();
    // A drained group that came back may be serving, perhaps alone: then it
    // stays, and the roll decides anew what goes.
    let serves = |key: &ReleaseKey| drained(key) && view.healthy(key) > 0 && !roll.recreate;
    if let Some((back, keeper)) = pairs.into_iter().find(|(key, _)| serves(key)) {
        let made = view.observed.made.get(keeper);
        let required = made.map_or(0, |made| made.pin.max(made.min_size)).max(1);
        // Somebody may have widened the other one as well: putting that back
        // too would take instances away on both sides.
        let shrinks = made
            .zip(view.observed.group(keeper))
            .is_some_and(|(made, group)| group.desired > effective(made).1);
        if view.healthy(keeper) >= required && !shrinks {
            guard.healthy.insert(keeper.clone(), required);
        } else if let (Some(made), Some(group)) =
            (releases.get_mut(back), view.observed.group(back))
        {
            made.drain = false;
            (made.min_size, made.max_size) = (group.min, group.max);
        }
    }
    let step = view.apply(Draft {
        kind: ApplyKind::Heal,
        key: key.clone(),
        reason: Reason::HealDrift { drift },
        releases,
        memory: view.memory(),
        guard,
    });
    Some(Plan::step(Phase::Starting, step))
}

/// The new release is to be added again, if nothing stands in its way by now.
fn again(view: &View<'_>, roll: &Roll) -> Plan {
    let plan = settled::begin(view, &roll.from);
    if plan.steps.is_empty() && view.observed.group(&roll.to).is_none() {
        return forget(view, roll);
    }
    plan
}

/// Both releases are drained, which no step of ours does: the old one comes
/// back.
fn restore(view: &View<'_>, roll: &Roll) -> Plan {
    let mut releases = view.observed.made.clone();
    if let Some(old) = releases.get_mut(&roll.from) {
        *old = view.sized(old.settings.clone(), old.desired, old.pin);
    }
    let step = view.apply(Draft {
        kind: ApplyKind::Restore,
        key: roll.from.clone(),
        reason: Reason::Restoring {
            name: view.app.group_name(&roll.from),
        },
        releases,
        memory: view.memory(),
        guard: Guard::default(),
    });
    Plan::step(Phase::GivingUp, step)
}

/// The state names a roll whose new release it does not hold: the roll never
/// began.
fn forget(view: &View<'_>, roll: &Roll) -> Plan {
    let mut releases = view.observed.made.clone();
    if let Some(old) = releases.get_mut(&roll.from) {
        old.pin = 0;
        old.drain = false;
    }
    let mut memory = view.memory();
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
    Plan::step(Phase::GivingUp, step)
}
