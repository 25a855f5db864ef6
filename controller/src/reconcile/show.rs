//! Turns what a pass found and decided into the snapshot that everybody sees.

use jiff::Timestamp;

use amid_core::decide::{Phase, Plan};
use amid_core::manifest::Manifest;
use amid_core::model::Group;
use amid_core::observe::{Desired, Observed};
use amid_core::reason::Reason;

use super::Passed;
use super::engine::{Engine, Slot};
use super::snapshot;
use crate::desired::Wish;
use crate::status::{self, Sentence};

impl Engine {
    /// Shows what a pass found and decided.
    pub(super) fn show(
        &self,
        slot: &Slot,
        desired: &Desired,
        observed: &Observed,
        plan: &Plan,
        now: Timestamp,
    ) {
        let app = slot.app.as_str();
        let mut state = slot.state();
        if state.phase != plan.phase {
            self.metrics
                .roll_phase(state.phase, super::span(now.duration_since(state.since)));
            state.phase = plan.phase;
            state.since = now;
        }
        state.groups.clone_from(&observed.groups);
        let reason = plan
            .steps
            .first()
            .map(|step| step.reason())
            .or(plan.state.as_ref());
        let sentence = reason.map(|reason| Sentence::of(reason, app));
        let label = |sentence: &Option<Sentence>| sentence.as_ref().map(|s| s.label.clone());
        if label(&sentence) != label(&state.reason)
            && let Some(sentence) = &sentence
        {
            tracing::info!(
                app,
                phase = plan.phase.label(),
                reason = sentence.label,
                "{app}: {}",
                sentence.text
            );
        }
        state.reason = sentence;
        let held: Vec<Sentence> = plan
            .held
            .iter()
            .map(|reason| Sentence::of(reason, app))
            .collect();
        say_new_holds(app, &state.held, &held);
        state.held = held;
        let notes: Vec<Sentence> = plan
            .notes
            .iter()
            .map(|reason| Sentence::of(reason, app))
            .collect();
        for note in notes.iter().filter(|note| !state.notes.contains(note)) {
            tracing::info!(app, reason = note.label, "{app}: {}", note.text);
        }
        state.notes = notes;
        let _ = desired;
    }

    /// Shows an app that a sweep found to be plainly as desired.
    pub fn show_steady(&self, slot: &Slot, manifest: &Manifest, groups: &[Group], now: Timestamp) {
        let reason = Reason::AsDesired {
            ami: manifest.ami.clone(),
        };
        let mut state = slot.state();
        if state.groups != groups {
            state.groups = groups.to_vec();
        }
        if state.phase != Phase::Steady {
            state.phase = Phase::Steady;
            state.since = now;
        }
        if state
            .reason
            .as_ref()
            .is_none_or(|said| said.label != reason.label())
        {
            state.reason = Some(Sentence::of(&reason, slot.app.as_str()));
        }
        state.held.clear();
        state.notes = match &state.history.older_wiring {
            // Known from an earlier run: terraform is not asked for it again.
            Some(key) if groups.iter().any(|group| group.key == *key) => {
                let reason = Reason::OlderWiring { key: key.clone() };
                vec![Sentence::of(&reason, slot.app.as_str())]
            }
            _ => Vec::new(),
        };
        state.turn = None;
    }

    /// Shows that nothing can be said of the app now.
    pub fn blind(&self, slot: &Slot, error: &anyhow::Error) {
        self.held(
            slot,
            Reason::AwsUnreadable {
                error: format!("{error:#}"),
            },
        );
    }

    /// Shows that the app is held, and nothing else.
    pub(super) fn held(&self, slot: &Slot, reason: Reason) -> Passed {
        let held = vec![Sentence::of(&reason, slot.app.as_str())];
        let mut state = slot.state();
        say_new_holds(slot.app.as_str(), &state.held, &held);
        state.held = held;
        if state.phase != Phase::Held {
            state.phase = Phase::Held;
            state.since = self.now();
        }
        Passed {
            phase: Phase::Held,
            acted: false,
            wake: None,
        }
    }

    /// The snapshot of one app.
    pub fn app_status(&self, slot: &Slot, wish: Option<&Wish>) -> status::App {
        let state = slot.state();
        let desired = wish.and_then(|wish| {
            let manifest = wish.manifest()?;
            Some(status::Desired {
                key: manifest.settings().key().to_string(),
                ami: manifest.ami.to_string(),
                version: manifest
                    .image
                    .as_ref()
                    .and_then(|image| image.version.clone()),
                commit: wish
                    .info
                    .as_ref()
                    .map(|info| info.id.to_string())
                    .unwrap_or_default(),
                committed: wish.info.as_ref().map(|info| info.time),
                subject: wish.info.as_ref().map(|info| info.subject.clone()),
                author: wish.info.as_ref().map(|info| info.author.clone()),
            })
        });
        let manifest = wish.and_then(Wish::manifest);
        let ami_of = |key: &amid_core::model::ReleaseKey| {
            let made = state
                .made
                .as_ref()
                .and_then(|made| made.releases.get(key)?.settings.ami());
            made.map(|ami| ami.to_string()).or_else(|| {
                desired
                    .as_ref()
                    .filter(|desired| desired.key == key.as_str())
                    .map(|desired| desired.ami.clone())
            })
        };
        let mut releases: Vec<status::Release> = state
            .groups
            .iter()
            .map(|group| {
                let ami = ami_of(&group.key);
                let created = ami.as_ref().and_then(|ami| self.image_dates.of(ami));
                let release = snapshot::release(group, ami, &state, manifest);
                status::Release {
                    image_created: created,
                    ..release
                }
            })
            .collect();
        let serving = state
            .made
            .as_ref()
            .and_then(|made| made.memory.roll.as_ref().map(|roll| roll.from.to_string()));
        releases.sort_by_key(|release| Some(&release.key) != serving.as_ref());
        let place = self
            .config
            .target(&slot.app)
            .and_then(|index| self.config.targets.get(index));
        status::App {
            app: slot.app.to_string(),
            phase: state.phase,
            since: state.since,
            owner: manifest.and_then(|manifest| manifest.owner.clone()),
            unit: manifest.map(|manifest| manifest.unit.clone()),
            desired,
            releases,
            state: state.reason.clone(),
            held: state.held.clone(),
            notes: state.notes.clone(),
            running: state.running.clone(),
            account: place.map(|place| place.account_id.clone()),
            region: place.map(|place| place.region.clone()),
            floor: snapshot::floor(&state, manifest),
            history: state.history.deployments.clone(),
        }
    }
}

fn say_new_holds(app: &str, before: &[Sentence], now: &[Sentence]) {
    for hold in now.iter().filter(|hold| {
        !before
            .iter()
            .any(|b| b.label == hold.label && b.text == hold.text)
    }) {
        let frees = hold
            .frees
            .as_deref()
            .unwrap_or("nothing, it ends by itself");
        tracing::warn!(
            app,
            reason = hold.label,
            frees,
            "{app} is held: {}",
            hold.text
        );
    }
}
