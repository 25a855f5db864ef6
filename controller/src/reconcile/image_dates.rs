//! When the images were made that apps run: asked of AWS once an image, after
//! a sweep, because it never changes and nothing is decided by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use amid_core::model::AmiId;

use super::engine::Engine;

/// What is known; nothing for an image that AWS does not show.
#[derive(Debug, Default)]
pub struct ImageDates(Mutex<BTreeMap<AmiId, Option<Timestamp>>>);

impl ImageDates {
    /// When this image was made.
    pub fn of(&self, ami: &str) -> Option<Timestamp> {
        let ami = AmiId::parse(ami).ok()?;
        self.lock().get(&ami).copied().flatten()
    }

    /// Asks for the images that are not known yet, in the background, and
    /// forgets those that no app runs any more.
    pub fn look(engine: &Arc<Engine>) {
        let accepted = engine.accepted();
        let mut wanted: BTreeMap<usize, BTreeSet<AmiId>> = BTreeMap::new();
        for slot in engine.all_slots() {
            let Some(target) = engine.config.target(&slot.app) else {
                continue;
            };
            let wish = accepted.as_ref().and_then(|all| all.apps.get(&slot.app));
            let made = slot.state().made.clone();
            let made = made
                .iter()
                .flat_map(|made| made.releases.values())
                .filter_map(|made| made.settings.ami());
            let asked = wish
                .and_then(|wish| wish.manifest())
                .map(|manifest| manifest.ami.clone());
            wanted.entry(target).or_default().extend(made.chain(asked));
        }
        {
            let mut known = engine.image_dates.lock();
            let all: BTreeSet<&AmiId> = wanted.values().flatten().collect();
            known.retain(|ami, _| all.contains(ami));
            for amis in wanted.values_mut() {
                amis.retain(|ami| !known.contains_key(ami));
            }
            wanted.retain(|_, amis| !amis.is_empty());
        }
        if wanted.is_empty() {
            return;
        }
        let engine = Arc::clone(engine);
        tokio::spawn(async move {
            for (target, amis) in wanted {
                engine.learn(target, amis).await;
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AmiId, Option<Timestamp>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    async fn learn(&self, target: usize, amis: BTreeSet<AmiId>) {
        let Some(place) = self.places.get(target) else {
            return;
        };
        match place.aws.image_dates(&amis).await {
            Ok(dates) => {
                let mut known = self.image_dates.lock();
                known.extend(amis.into_iter().map(|ami| {
                    let date = dates.get(&ami).copied();
                    (ami, date)
                }));
            }
            // The next sweep asks again.
            Err(error) => tracing::debug!("Failed to learn how old images are: {error:#}"),
        }
    }
}
