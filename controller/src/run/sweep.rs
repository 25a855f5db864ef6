//! One look at everything: which apps are plainly as desired, and which need
//! a pass of their own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use amid_core::decide::Phase;
use amid_core::history::{Event, Outcome};
use amid_core::model::{AppName, Group};

use super::Loop;
use crate::aws::{Fleet, Scope};
use crate::desired::{Accepted, Wish};
use crate::fault;
use crate::reconcile::{Engine, Place, Slot, is_plainly_steady, look_at_ages};

/// Images of instances are asked for once in so many sweeps.
const SWEEPS_PER_AUDIT: u32 = 3;

/// A group that is younger than this may be what a killed apply left, where
/// nothing is remembered of the app.
const YOUNG: SignedDuration = SignedDuration::from_hours(24);

/// What a sweep saw of one account and region.
/// Nothing, where it could not be read.
pub(super) type Seen = Option<Fleet>;

impl Loop {
    pub(super) fn start_sweep(&mut self, now: Instant) {
        let sweep = Duration::from_secs(self.engine.config.sweep.0);
        let audit = self.schedule.audit(now, sweep * SWEEPS_PER_AUDIT);
        self.sweep_began = now;
        self.next_sweep = now + sweep;
        self.sweeping = Some(tokio::spawn(look(Arc::clone(&self.engine), audit)));
    }

    /// Gives a pass to every app that is not plainly as desired.
    pub(super) fn swept(&mut self, swept: Result<Vec<Seen>, tokio::task::JoinError>) {
        self.dirty = true;
        let fleets = match swept {
            Ok(fleets) => fleets,
            Err(error) => {
                tracing::error!("A look at AWS died: {error}");
                return;
            }
        };
        let Some(accepted) = self.engine.accepted() else {
            return;
        };
        for strange in fleets.iter().flatten().flat_map(|fleet| &fleet.strange) {
            tracing::debug!(
                group = strange,
                "A group carries the tag `amid:app`, but names no app and release"
            );
        }
        let mut apps: BTreeSet<AppName> = accepted.apps.keys().cloned().collect();
        apps.extend(
            fleets
                .iter()
                .flatten()
                .flat_map(|fleet| fleet.apps.keys().cloned()),
        );
        apps.extend(self.engine.all_slots().iter().map(|slot| slot.app.clone()));
        for app in apps {
            // Nothing is concluded about an account that could not be read.
            let fleet = match self.engine.config.target(&app) {
                Some(index) => fleets.get(index).and_then(Option::as_ref),
                None => None,
            };
            let Some(fleet) = fleet else {
                self.schedule.due(&app, Instant::now());
                continue;
            };
            let groups = fleet.apps.get(&app).map(Vec::as_slice).unwrap_or_default();
            let wish = accepted.apps.get(&app);
            if wish.is_none() && groups.is_empty() {
                // Its manifest went and its groups are gone.
                self.forget(&app);
                continue;
            }
            let slot = self.engine.slot(&app);
            let made = fleet.created.get(&app).copied();
            if !self.settle(&slot, &accepted, wish, groups, made) {
                self.schedule.due(&app, Instant::now());
            }
        }
        self.swept = Some(self.engine.now());
        self.engine.metrics.sweep(self.sweep_began.elapsed());
        look_at_ages(&self.engine);
        fault::point("swept");
    }

    /// Shows an app that is plainly as desired and says so; any other app
    /// needs a pass.
    fn settle(
        &self,
        slot: &Slot,
        accepted: &Accepted,
        wish: Option<&Wish>,
        groups: &[Group],
        made: Option<Timestamp>,
    ) -> bool {
        let Some(manifest) = wish.and_then(Wish::manifest) else {
            return false;
        };
        let now = self.engine.now();
        let mut state = slot.state();
        let never_touched = state.made.is_none();
        let calm = state.phase == Phase::Steady
            && state.held.is_empty()
            && !state.history.unfinished
            && (state.history.open.is_none() || never_touched)
            && state
                .made
                .as_ref()
                .is_none_or(|made| made.memory.roll.is_none())
            && (state.history.checked.is_none() || state.history.checked == accepted.code);
        if !calm || !is_plainly_steady(manifest, groups) {
            return false;
        }
        // The journal may have been lost in the middle of the app's first
        // apply: then terraform may know nothing of the group. It is asked
        // once; older groups were there before.
        let young = made.is_some_and(|made| now.duration_since(made) < YOUNG);
        if never_touched && !state.history.applied && young {
            return false;
        }
        if let Some(commit) = state.history.open.clone() {
            // It ran like this before amid came.
            let ended = Event::Ended {
                commit,
                outcome: Outcome::Applied,
                why: None,
            };
            self.engine.note(slot, &mut state, ended, now);
        }
        drop(state);
        self.engine.show_steady(slot, manifest, groups, now);
        true
    }

    fn forget(&mut self, app: &AppName) {
        self.schedule.forget(app);
        let mut slots = self
            .engine
            .slots
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        slots.remove(app);
    }
}

/// Looks at every account and region; with `audit` also at the images that
/// instances really run. One that cannot be read hides no other.
async fn look(engine: Arc<Engine>, audit: bool) -> Vec<Seen> {
    let looks = engine.places.iter().map(|place| async move {
        let seen = one(place, audit).await;
        if let Err(error) = &seen {
            tracing::warn!("Failed to look at account {}: {error:#}", place.account_id);
        }
        seen.ok()
    });
    join_all(looks).await
}

async fn one(place: &Place, audit: bool) -> anyhow::Result<Fleet> {
    let mut fleet = place.aws.fleet(Scope::All).await?;
    if audit {
        let images = place.aws.instance_images(None).await?;
        let groups = fleet.apps.values_mut().flatten();
        for instance in groups.flat_map(|group| &mut group.instances) {
            instance.ami = images.get(&instance.id).cloned();
        }
    }
    Ok(fleet)
}
