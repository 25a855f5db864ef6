//! Asks AWS once an image, after a sweep, when it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use amid_core::model::AmiId;

use super::engine::Engine;

/// Asks for the images that are not known yet, in the background, and forgets
/// those that no app runs any more.
pub fn look_at_ages(engine: &Arc<Engine>) {
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
    engine.image_dates.narrow(&mut wanted);
    if wanted.is_empty() {
        return;
    }
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        for (target, amis) in wanted {
            let Some(place) = engine.places.get(target) else {
                continue;
            };
            match place.aws.image_dates(&amis).await {
                Ok(dates) => engine.image_dates.learn(amis, &dates),
                // The next sweep asks again.
                Err(error) => tracing::debug!("Failed to learn how old images are: {error:#}"),
            }
        }
    });
}
