//! A group that a killed apply made of a release that git asks for no more.
//!
//! The module refuses every plan that leaves out a live group, so nothing else
//! can be done before terraform knows it. Taken in beside the live release it
//! is the new release of a roll that git took back, and goes the way of those;
//! taken in alone it is the live one, which a roll replaces.

use super::view::{Draft, View};
use super::{Phase, Plan};
use crate::model::Made;
use crate::reason::Reason;
use crate::step::{ApplyKind, Guard, Roll};

/// The apply that takes it in, as it stands in AWS.
pub(super) fn take_in(view: &View<'_>) -> Option<Plan> {
    let stray = view.stray()?;
    let group = view.observed.group(&stray.key)?;
    let mut releases = view.observed.made.clone();
    let mut memory = view.memory();
    memory.roll = releases.keys().next().map(|live| {
        // An old release that was drained first comes back after it.
        let before = memory.roll.as_ref().filter(|roll| roll.from == *live);
        Roll {
            from: live.clone(),
            to: stray.key.clone(),
            commit: view.commit.clone(),
            recreate: before.is_some_and(|roll| roll.recreate),
            carry: before.and_then(|roll| roll.carry),
        }
    });
    let made = Made {
        min_size: group.min,
        max_size: group.max,
        ..view.sized(stray.settings.clone(), group.desired, 0)
    };
    releases.insert(stray.key.clone(), made);
    let step = view.apply(Draft {
        kind: ApplyKind::Adopt,
        key: stray.key.clone(),
        reason: Reason::AdoptingStray {
            name: group.name.clone(),
        },
        releases,
        memory,
        guard: Guard::default(),
    });
    Some(Plan::step(Phase::GivingUp, step))
}
