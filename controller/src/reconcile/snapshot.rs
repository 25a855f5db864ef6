//! What the snapshot says of releases: their part in a roll and their timers.
//!
//! Nothing is decided here. The figures are those that the last decision was
//! made with, so that a page that counts down counts what the engine counts.

use jiff::SignedDuration;

use amid_core::decide::Phase;
use amid_core::history::{Timer, later};
use amid_core::manifest::{Manifest, Strategy};
use amid_core::model::{Group, Instance, Made, ReleaseKey, Targets};

use super::engine::SlotState;
use crate::status::{self, Role, Trial};

/// One release as it is shown.
pub(super) fn release(
    group: &Group,
    ami: Option<String>,
    state: &SlotState,
    manifest: Option<&Manifest>,
) -> status::Release {
    let made = made(state, &group.key);
    let role = role(state, &group.key);
    let on_trial = matches!(state.phase, Phase::Starting | Phase::Baking) && role == Role::Coming;
    let trial = manifest
        .filter(|_| on_trial)
        .zip(state.history.timers.get(&group.key))
        .map(|(manifest, timer)| trial(timer, manifest));
    status::Release {
        key: group.key.to_string(),
        ami,
        // Known to the engine alone, which adds it.
        image_created: None,
        group: group.name.clone(),
        min: group.min,
        max: group.max,
        desired: group.desired,
        in_service: group.in_service(),
        healthy: group.healthy(),
        instances: group.instances.iter().map(instance).collect(),
        role,
        pin: made.map_or(0, |made| made.pin),
        trial,
    }
}

/// Healthy instances below which no step takes the app: the size that its
/// standing release is pinned at during a roll, else its least size.
pub(super) fn floor(state: &SlotState, manifest: Option<&Manifest>) -> Option<u32> {
    let manifest = manifest.filter(|manifest| manifest.roll.strategy == Strategy::SideBySide)?;
    let releases = state.made.as_ref().map(|made| &made.releases)?;
    let pinned = releases.values().filter(|made| !made.drain);
    let pin = pinned.map(|made| made.pin).max().unwrap_or(0);
    let floor = if pin > 0 { pin } else { manifest.min_size };
    (floor > 0).then_some(floor)
}

fn made<'a>(state: &'a SlotState, key: &ReleaseKey) -> Option<&'a Made> {
    state.made.as_ref()?.releases.get(key)
}

fn role(state: &SlotState, key: &ReleaseKey) -> Role {
    if made(state, key).is_some_and(|made| made.drain) {
        return Role::Going;
    }
    let roll = state
        .made
        .as_ref()
        .and_then(|made| made.memory.roll.as_ref());
    match roll {
        // Side by side, a release whose forerunner is drained has taken over.
        Some(roll) if roll.to == *key => {
            let took_over = !roll.recreate && made(state, &roll.from).is_none_or(|from| from.drain);
            if took_over {
                Role::Serving
            } else {
                Role::Coming
            }
        }
        Some(_) => Role::Serving,
        // A first release proves itself, too.
        None if matches!(state.phase, Phase::Starting | Phase::Baking) => Role::Coming,
        None => Role::Serving,
    }
}

fn trial(timer: &Timer, manifest: &Manifest) -> Trial {
    let timeout = manifest.health.timeout.as_duration();
    let bake = manifest.roll.bake.as_duration();
    // One that was healthy once still uses its time up while it is not.
    let left = timeout
        .saturating_sub(timer.waited)
        .max(SignedDuration::ZERO);
    Trial {
        required: timer.required,
        healthy_since: timer.healthy_since,
        bake_until: timer.healthy_since.map(|since| later(since, bake)),
        bake_seconds: manifest.roll.bake.0,
        timeout_at: timer
            .healthy_since
            .is_none()
            .then(|| later(timer.looked, left)),
        timeout_seconds: manifest.health.timeout.0,
    }
}

fn instance(instance: &Instance) -> status::Instance {
    status::Instance {
        id: instance.id.clone(),
        lifecycle: instance.lifecycle.clone(),
        target: match &instance.targets {
            Targets::Healthy => Some("healthy".to_owned()),
            Targets::Not { state, .. } => Some(state.clone()),
            Targets::Missing => Some("not registered".to_owned()),
            Targets::NotAsked => None,
        },
        healthy: instance.is_healthy(),
    }
}
