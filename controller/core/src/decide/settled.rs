//! No roll is under way: a first release, the live one, or the beginning of a
//! roll.

use std::collections::BTreeMap;

use super::needs::full_size;
use super::view::{Draft, View};
use super::{Phase, Plan};
use crate::history::Event;
use crate::manifest::{OnDrift, OnFailure};
use crate::model::{AmiId, Group, Made, ReleaseKey, Settings};
use crate::reason::{Drift, Failure, Reason};
use crate::step::{ApplyKind, Guard, Roll, effective};

/// The app has no group yet.
pub(super) fn first(view: &View<'_>) -> Plan {
    if let Some(reason) = view.suspended().or_else(|| view.image_problem()) {
        return Plan::hold(reason);
    }
    let desired = view.manifest.min_size;
    let made = view.sized(view.settings.clone(), desired, 0);
    let mut memory = view.memory();
    memory.roll = None;
    let step = view.apply(Draft {
        kind: ApplyKind::Add,
        key: view.want.clone(),
        reason: match &view.observed.leftover {
            Some(_) => Reason::Adopting {
                name: view.app.group_name(&view.want),
            },
            None => Reason::FirstRelease {
                ami: view.manifest.ami.clone(),
            },
        },
        releases: BTreeMap::from([(view.want.clone(), made)]),
        memory,
        guard: Guard::default(),
    });
    Plan::step(Phase::Adding, step)
}

/// What git asks for is the one release that is live.
pub(super) fn live(view: &View<'_>, key: &ReleaseKey) -> Plan {
    let Some(made) = view.observed.made.get(key) else {
        return first(view);
    };
    let group = view.observed.group(key);
    let mut plan = Plan::of(Phase::Steady);

    // Changed in git: sizes, or a pin that a roll left.
    let wanted = Made {
        min_size: view.manifest.min_size,
        max_size: view.manifest.max_size,
        pin: 0,
        drain: false,
        ..made.clone()
    };
    let drift = group_drift(group, view.app.group_name(key), made);
    if effective(&wanted) != effective(made) || wanted.drain != made.drain {
        let reason = if (wanted.min_size, wanted.max_size) == (made.min_size, made.max_size) {
            Reason::Unpin { pin: made.pin }
        } else {
            Reason::Resize {
                from: (made.min_size, made.max_size),
                to: (wanted.min_size, wanted.max_size),
            }
        };
        plan.steps
            .push(in_place(view, key, wanted, ApplyKind::Resize, reason));
    } else if let Some(drift) = drift {
        // Changed by hand.
        match view.manifest.on_drift {
            OnDrift::Heal => {
                let reason = Reason::HealDrift { drift };
                plan.steps
                    .push(in_place(view, key, wanted, ApplyKind::Heal, reason));
            }
            OnDrift::Report => plan.held.push(Reason::Drifted { drift }),
        }
    } else if view.history.checked.is_some()
        && view.observed.code.is_some()
        && view.observed.code != view.history.checked
    {
        // The unit's code changed: live releases must not be touched by it.
        // Without a word of what was planned last, today's code is the base.
        let reason = Reason::AsDesired {
            ami: view.manifest.ami.clone(),
        };
        plan.steps
            .push(in_place(view, key, made.clone(), ApplyKind::Check, reason));
    }

    older_wiring(view, key, made, &mut plan);
    plan.held.extend(view.without_targets(key));
    plan.held.extend(foreign(group, &made.settings));
    let required = group.map_or(view.manifest.min_size, |group| {
        group.desired.max(view.manifest.min_size)
    });
    let healthy = view.healthy(key);
    plan.state = Some(if healthy < required {
        // A step that is still to come may be why there are too few.
        if let Some(failure) = first_failure(view, key).filter(|_| plan.steps.is_empty()) {
            plan.held.push(Reason::FirstReleaseFailed { failure });
        }
        Reason::WaitSteady { healthy, required }
    } else {
        Reason::AsDesired {
            ami: view.manifest.ami.clone(),
        }
    });
    plan
}

/// A release keeps what it was made with: what changed in its module since
/// takes effect with the next release, and people should know.
fn older_wiring(view: &View<'_>, key: &ReleaseKey, made: &Made, plan: &mut Plan) {
    let (Some(then), Some(now)) = (&made.wiring, &view.observed.wiring) else {
        return;
    };
    let older = then != now;
    if older {
        plan.notes.push(Reason::OlderWiring { key: key.clone() });
    }
    let known = view.history.older_wiring.as_ref() == Some(key);
    if known != older {
        plan.record.push(Event::Wiring {
            key: key.clone(),
            older,
        });
    }
}

/// The only release has never been healthy and its time is over.
fn first_failure(view: &View<'_>, key: &ReleaseKey) -> Option<Failure> {
    let timer = view.history.timers.get(key)?;
    if timer.first_healthy.is_some() || view.observed.memory.served.contains(key) {
        return None;
    }
    // Without capacity it is not the release that failed: AWS goes on trying.
    view.failure(key, view.manifest.min_size)
        .filter(Failure::blames_release)
}

fn in_place(
    view: &View<'_>,
    key: &ReleaseKey,
    made: Made,
    kind: ApplyKind,
    reason: Reason,
) -> crate::step::Step {
    view.apply(Draft {
        kind,
        key: key.clone(),
        reason,
        releases: BTreeMap::from([(key.clone(), made)]),
        // A check plans what is there: it is to change nothing.
        memory: match kind {
            ApplyKind::Check => view.observed.memory.clone(),
            _ => view.memory(),
        },
        guard: Guard::default(),
    })
}

/// What somebody changed by hand; the desired capacity is autoscaling's and
/// never drift.
pub(super) fn group_drift(group: Option<&Group>, name: String, made: &Made) -> Option<Drift> {
    let mut what = Vec::new();
    let (min, max) = effective(made);
    match group {
        None => what.push("it was deleted".to_owned()),
        Some(group) => {
            if group.min != min {
                what.push(format!("min size {} instead of {min}", group.min));
            }
            if group.max != max {
                what.push(format!("max size {} instead of {max}", group.max));
            }
            if let Some(version) = group
                .template_version
                .as_deref()
                .filter(|version| *version != "1")
            {
                what.push(format!("launch template version {version} instead of 1"));
            }
        }
    }
    (!what.is_empty()).then_some(Drift { group: name, what })
}

fn foreign(group: Option<&Group>, settings: &Settings) -> Option<Reason> {
    let named = settings.ami()?;
    let mut by_ami: BTreeMap<AmiId, Vec<String>> = BTreeMap::new();
    for instance in &group?.instances {
        if let Some(ami) = instance.ami.as_ref().filter(|ami| **ami != named) {
            by_ami
                .entry(ami.clone())
                .or_default()
                .push(instance.id.clone());
        }
    }
    let (ami, instances) = by_ami.into_iter().next()?;
    Some(Reason::ForeignImage { instances, ami })
}

/// Git asks for another release than `live`: a roll begins, or something
/// stands in its way.
pub(super) fn begin(view: &View<'_>, live: &ReleaseKey) -> Plan {
    if let Some(failed) = view.failed() {
        return after_failure(view, live, &failed.failure);
    }
    if let Some(reason) = view.suspended() {
        return Plan::hold(reason);
    }
    if let Some((failed, retry)) = &view.history.unavailable
        && failed.key == view.want
        && retry.is_ahead(view.now)
        && let Failure::Unavailable { cause, message } = &failed.failure
    {
        let mut plan = Plan::hold(Reason::Unavailable {
            cause: *cause,
            message: message.clone(),
            until: retry.until,
        });
        plan.wake = Some(retry.until);
        return plan;
    }
    if let Some(reason) = view.image_problem().or_else(|| view.without_targets(live)) {
        return Plan::hold(reason);
    }
    let is_rollback = view.observed.memory.served.contains(&view.want);
    if let Some(rolling) = view.observed.turn_taken.filter(|_| !is_rollback) {
        return Plan::wait(Phase::Steady, Reason::WaitTurn { rolling }, None);
    }

    let mut memory = view.memory();
    if view.healthy(live) > 0 || memory.served.contains(live) {
        memory.remember_served(live);
    }
    let mut releases = view.observed.made.clone();
    let capacity = view.observed.group(live).map_or(0, |group| group.desired);
    let mut roll = Roll {
        from: live.clone(),
        to: view.want.clone(),
        commit: view.commit.clone(),
        recreate: view.is_recreate(),
        carry: None,
    };
    if roll.recreate {
        roll.carry = Some(capacity);
        memory.roll = Some(roll);
        if let Some(old) = releases.get_mut(live) {
            old.drain = true;
        }
        if view.observed.group(&view.want).is_some() {
            // An interrupted apply made it: it is taken in to be taken away.
            let made = view.sized(view.settings.clone(), 0, 0);
            releases.insert(
                view.want.clone(),
                Made {
                    drain: true,
                    ..made
                },
            );
        }
        let step = view.apply(Draft {
            kind: ApplyKind::Drain,
            key: live.clone(),
            reason: Reason::RecreateDrain {
                name: view.app.group_name(live),
            },
            releases,
            memory,
            guard: Guard::default(),
        });
        return Plan::step(Phase::Draining, step);
    }

    // The old group cannot shrink below its size while the new one is unproven.
    if let Some(old) = releases.get_mut(live) {
        old.pin = capacity;
        old.drain = false;
    }
    memory.roll = Some(roll);
    let full = full_size(view.manifest, Some(capacity));
    let canary = view.manifest.roll.canary;
    let made = if canary > 0 && canary < full {
        Made {
            min_size: canary,
            max_size: canary,
            ..view.sized(view.settings.clone(), canary, 0)
        }
    } else {
        view.sized(view.settings.clone(), full, full)
    };
    releases.insert(view.want.clone(), made);
    let step = view.apply(Draft {
        kind: ApplyKind::Add,
        key: view.want.clone(),
        reason: Reason::NewRelease {
            from: live.clone(),
            to: view.want.clone(),
            ami: view.manifest.ami.clone(),
            changed: changed(view, live),
        },
        releases,
        memory,
        guard: Guard::default(),
    });
    Plan::step(Phase::Adding, step)
}

/// What git asks for failed: git goes back, or a person decides.
pub(super) fn after_failure(view: &View<'_>, live: &ReleaseKey, failure: &Failure) -> Plan {
    let held = Reason::ReleaseFailed {
        key: view.want.clone(),
        failure: failure.clone(),
    };
    if view.manifest.on_failure == OnFailure::Hold || !failure.blames_release() {
        return Plan::hold(held);
    }
    match view.revert(live, failure) {
        Ok(step) => Plan::step(Phase::GivingUp, step),
        Err(reason) => {
            let mut plan = Plan::hold(reason);
            plan.held.push(held);
            plan
        }
    }
}

/// Which launch fields differ between the live release and the manifest.
fn changed(view: &View<'_>, live: &ReleaseKey) -> Vec<String> {
    let fields = |settings: &Settings| -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_str(settings.as_str()).unwrap_or_default()
    };
    let new = fields(&view.settings);
    let old = view
        .observed
        .made
        .get(live)
        .map(|made| fields(&made.settings))
        .unwrap_or_default();
    let mut names: Vec<String> = new.keys().chain(old.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| new.get(name) != old.get(name));
    names
}
