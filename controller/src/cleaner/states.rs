//! What terraform's states name: every object of every unit that a manifest
//! names, deposed and tainted ones and outputs too.
//!
//! A state takes terragrunt some seconds of two cores, so what was read stays
//! good for a day as long as the unit's code and its releases are the same.
//! Before anything is made unusable every state is read again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};

use amid_core::mentions::amis_in;
use amid_core::model::{AppName, Releases};
use amid_core::retention::{Evidence, Listing, Reference, Target};

use crate::desired::Wish;
use crate::reconcile::{Engine, export};
use crate::terragrunt::StateObject;

/// How many apps are told of whose state cannot be read.
const TOLD: usize = 5;
/// How long a state stays good.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);
/// For one unit, with waiting for a run of its roll to end.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the states named when they were last read, by app.
#[derive(Default)]
pub(super) struct States(Mutex<BTreeMap<AppName, Known>>);

#[derive(Clone)]
struct Known {
    unit: String,
    code: Option<String>,
    releases: Option<Releases>,
    at: Timestamp,
    references: Vec<Reference>,
}

impl States {
    /// What every state names; `fresh` reads them all again.
    pub(super) async fn list(&self, engine: &Arc<Engine>, fresh: bool) -> Listing<Reference> {
        let Some(accepted) = engine.accepted() else {
            return Listing::incomplete(Vec::new(), "the repository was not read yet");
        };
        let mut all = Listing::complete(Vec::new());
        let mut unread = Vec::new();
        let mut apps = BTreeMap::new();
        for (app, wish) in &accepted.apps {
            match self.unit(engine, app, wish, fresh).await {
                Ok(known) => {
                    all.items.extend(known.references.iter().cloned());
                    apps.insert(app.clone(), known);
                }
                Err(error) => unread.push(format!("{app}: {error:#}")),
            }
        }
        if !unread.is_empty() {
            let more = unread.len().saturating_sub(TOLD);
            unread.truncate(TOLD);
            if more > 0 {
                unread.push(format!("and {more} more apps"));
            }
            all.incomplete = Some(unread.join("; "));
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = apps;
        all
    }

    async fn unit(
        &self,
        engine: &Arc<Engine>,
        app: &AppName,
        wish: &Wish,
        fresh: bool,
    ) -> anyhow::Result<Known> {
        let now = engine.now();
        let accepted = engine.accepted().context("No commit was read yet")?;
        let Some(manifest) = wish.manifest() else {
            bail!(
                "nobody knows which terraform state is its own, because its manifest has mistakes: {}",
                wish.problems.first().unwrap_or(&wish.path)
            );
        };
        let slot = engine.slot(app);
        // Each apply of ours changes them, and with them the state.
        let releases = slot.state().made.as_ref().map(|made| made.releases.clone());
        let known = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(app).cloned()
        };
        if let Some(known) = known.filter(|known| {
            !fresh
                && known.unit == manifest.unit
                && known.code == accepted.code
                && known.releases == releases
                && now.duration_since(known.at) < GOOD_FOR
        }) {
            return Ok(known);
        }
        if !export(engine, &slot, &accepted, &manifest.unit).await? {
            bail!("the unit `{}` is not in the repository", manifest.unit);
        }
        let unit = engine.unit(app, &manifest.unit);
        let read = tokio::time::timeout(PATIENCE, engine.runner.state(&unit)).await;
        let objects = match read {
            Ok(objects) => objects.context("Failed to read terraform's state")?,
            Err(_) => bail!("its state could not be read for ten minutes"),
        };
        Ok(Known {
            unit: manifest.unit.clone(),
            code: accepted.code.clone(),
            releases,
            at: now,
            references: objects
                .iter()
                .flat_map(|object| references(&manifest.unit, object))
                .collect(),
        })
    }
}

fn references<'a>(unit: &'a str, object: &'a StateObject) -> impl Iterator<Item = Reference> + 'a {
    amis_in(object.text.as_bytes())
        .into_iter()
        .map(move |ami| Reference {
            target: Target::Image(ami),
            evidence: Evidence::TerraformState {
                unit: unit.to_owned(),
                address: object.address.clone(),
                status: object.condition.map(str::to_owned),
            },
        })
}
