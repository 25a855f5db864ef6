//! Looks at everything that the decision about one app needs, and at no more:
//! target health, launch failures, images and terraform's outputs are asked
//! for only where something rolls or looks wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use amid_core::manifest::parse::{Source, parse_one};
use amid_core::manifest::{HealthKind, Manifest};
use amid_core::model::{Group, Releases, Settings};
use amid_core::observe::{Desired, ImageFact, Observed, Stray};
use amid_core::reason::Reason;
use amid_core::step::Memory;

use super::engine::{Engine, Made, Place, Slot};
use super::export::export;
use crate::aws::Scope;
use crate::desired::{Accepted, commit_id};
use crate::fault;
use crate::terragrunt::{Outputs, RunError, Unlocked};

/// How long terraform's outputs are believed without being read again. Only
/// amid applies the unit; this is for the person who did it all the same.
const BELIEVED: SignedDuration = SignedDuration::from_mins(5);

/// How many versions of a manifest are looked through for a release.
pub(super) const VERSIONS: usize = 500;

/// Why nothing can be decided.
pub(super) enum Blind {
    /// A person has to act, or the world has to change.
    Held(Box<Reason>),
    /// The look failed and is tried again.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Blind {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl Blind {
    fn held(reason: Reason) -> Self {
        Self::Held(Box::new(reason))
    }
}

/// Whether an app is what git asks for at a glance: one group, of the wanted
/// release, with the manifest's sizes and as many instances as it wants. Such
/// an app needs no look beyond the list of groups.
pub fn is_plainly_steady(manifest: &Manifest, groups: &[Group]) -> bool {
    let [group] = groups else {
        return false;
    };
    group.key == manifest.settings().key()
        && (group.min, group.max) == (manifest.min_size, manifest.max_size)
        && group
            .template_version
            .as_deref()
            .is_none_or(|version| version == "1")
        && (manifest.health.kind == HealthKind::None || !group.target_groups.is_empty())
        && group.in_service() >= group.desired
        && !group.deleting
        && group
            .instances
            .iter()
            .all(|instance| instance.ami.as_ref().is_none_or(|ami| *ami == manifest.ami))
}

/// What a look is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// To act on it: what stands in a roll's way and is amid's own is mended.
    Act,
    /// To say what would be done: nothing is changed.
    Tell,
}

/// Looks.
pub(super) async fn observe(
    aim: Aim,
    engine: &Arc<Engine>,
    slot: &Arc<Slot>,
    accepted: &Arc<Accepted>,
    desired: &Desired,
) -> Result<Observed, Blind> {
    let Some(place) = engine.place(&slot.app) else {
        return Err(Blind::held(Reason::NoTarget));
    };
    check_account(place).await?;
    let mut fleet = place.aws.fleet(Scope::App(&slot.app)).await?;
    let groups = fleet.apps.remove(&slot.app).unwrap_or_default();
    let mut observed = Observed {
        groups,
        code: accepted.code.clone(),
        head: Some(commit_id(accepted.commit)?),
        turn_taken: engine.turn_taken(slot),
        has_state: true,
        ..Observed::default()
    };
    let Desired::Wanted { manifest, .. } = desired else {
        return Ok(observed);
    };
    let made = outputs(aim, engine, slot, accepted, manifest).await?;
    observed.made = made.releases;
    observed.memory = made.memory;
    observed.has_state = made.has_state;
    observed.wiring = made.wiring;
    observed.rewritten = is_rewritten(engine, accepted, &observed.memory);

    health(place, slot, manifest, &mut observed).await?;
    let settings = manifest.settings();
    observed.stray = stray(engine, place, slot, accepted, &settings, &observed).await?;
    let is_live = observed.made.values().any(|made| made.settings == settings);
    if !is_live {
        if aim == Aim::Act {
            bring_back(engine, place, manifest).await?;
        }
        observed.image = place
            .aws
            .image(&manifest.ami, &manifest.instance_types)
            .await?;
        if !matches!(observed.image, ImageFact::Missing) {
            let key = settings.key();
            let group = observed.group(&key).map(|group| group.name.clone());
            observed.leftover = place
                .aws
                .leftover(&slot.app, &key, group.as_deref())
                .await?;
        }
    }
    Ok(observed)
}

/// An image that clean-up has marked comes back before it is looked at: a roll
/// never begins with one that is on its way out.
async fn bring_back(engine: &Engine, place: &Place, manifest: &Manifest) -> anyhow::Result<()> {
    let Some(healer) = &engine.healer else {
        return Ok(());
    };
    let healed = healer.heal(&place.aws, &manifest.ami, engine.now()).await?;
    if let Some(was) = healed {
        tracing::warn!(ami = %manifest.ami, "{} is needed again and was brought back: {was}", manifest.ami);
    }
    Ok(())
}

/// What is to be said of an image that a pass would bring back first.
pub(super) async fn leaving(
    engine: &Engine,
    place: &Place,
    manifest: &Manifest,
) -> anyhow::Result<Option<String>> {
    let Some(healer) = &engine.healer else {
        return Ok(None);
    };
    healer
        .leaving(&place.aws, &manifest.ami, engine.now())
        .await
}

/// Whether the branch lost the commit that the state remembers. Where the
/// journal is whole, the loop saw that before and asked a person.
fn is_rewritten(engine: &Engine, accepted: &Accepted, memory: &Memory) -> bool {
    let Some(remembered) = memory.accepted.as_ref() else {
        return false;
    };
    let known = remembered
        .as_str()
        .parse()
        .is_ok_and(|known| matches!(engine.mirror.is_ancestor(known, accepted.commit), Ok(true)));
    !known && !engine.is_approved(accepted.commit)
}

/// A group that terraform does not know, of a release that an older version
/// of the manifest asks for: an apply was killed, and git moved on.
async fn stray(
    engine: &Arc<Engine>,
    place: &Place,
    slot: &Slot,
    accepted: &Accepted,
    wanted: &Settings,
    observed: &Observed,
) -> anyhow::Result<Option<Stray>> {
    let want = wanted.key();
    let unknown = |group: &&Group| {
        !group.deleting && group.key != want && !observed.made.contains_key(&group.key)
    };
    let Some(group) = observed.groups.iter().find(unknown) else {
        return Ok(None);
    };
    // Only the name that amid would have given it makes it amid's.
    if group.name != slot.app.group_name(&group.key) {
        return Ok(None);
    }
    let (mirror, base, key) = (
        Arc::clone(&engine.mirror),
        accepted.commit,
        group.key.clone(),
    );
    let path = format!("desired/{}.json", slot.app);
    let settings = tokio::task::spawn_blocking(move || -> anyhow::Result<Option<Settings>> {
        let settings = |bytes: &[u8]| {
            let manifest = parse_one(&Source { path: &path, bytes }).ok()?;
            Some(manifest.settings()).filter(|settings| settings.key() == key)
        };
        let found = mirror.newest_matching(base, &path, VERSIONS, &mut |_, bytes| {
            settings(bytes).is_some()
        })?;
        Ok(found.and_then(|(_, bytes)| settings(&bytes)))
    })
    .await
    .context("Failed to look for an older manifest")??;
    let Some(settings) = settings else {
        return Ok(None);
    };
    let leftover = place
        .aws
        .leftover(&slot.app, &group.key, Some(&group.name))
        .await?;
    Ok(leftover.map(|leftover| Stray {
        key: group.key.clone(),
        settings,
        leftover,
    }))
}

/// Asks target groups and failed launches about the app's groups.
async fn health(
    place: &Place,
    slot: &Slot,
    manifest: &Manifest,
    observed: &mut Observed,
) -> anyhow::Result<()> {
    if manifest.health.kind == HealthKind::LoadBalancer {
        let arns: BTreeSet<&str> = observed
            .groups
            .iter()
            .flat_map(|group| group.target_groups.iter().map(String::as_str))
            .collect();
        let states = place.aws.target_states(&arns).await?;
        for group in &mut observed.groups {
            states.tell(group);
        }
    }
    for group in &mut observed.groups {
        let launched = u32::try_from(group.instances.len()).unwrap_or(u32::MAX);
        if launched < group.desired {
            group.failures = place.aws.launch_failures(&group.name).await?;
        }
    }
    let images = place.aws.instance_images(Some(&slot.app)).await?;
    for instance in observed
        .groups
        .iter_mut()
        .flat_map(|group| &mut group.instances)
    {
        instance.ami = images.get(&instance.id).cloned();
    }
    Ok(())
}

/// The credentials have to be those of the configured account, before
/// anything else is believed.
async fn check_account(place: &Place) -> Result<(), Blind> {
    if place.checked.load(Ordering::Relaxed) {
        return Ok(());
    }
    let found = place.aws.account().await?;
    if found != place.account_id {
        return Err(Blind::held(Reason::WrongAccount {
            expected: place.account_id.clone(),
            found,
        }));
    }
    place.checked.store(true, Ordering::Relaxed);
    Ok(())
}

/// The same for clean-up, which has no app to hold.
///
/// # Errors
///
/// When STS cannot be asked, or the credentials are another account's.
pub async fn is_right_account(place: &Place) -> anyhow::Result<()> {
    match check_account(place).await {
        Ok(()) => Ok(()),
        Err(Blind::Failed(error)) => Err(error),
        Err(Blind::Held(reason)) => Err(anyhow::Error::msg(reason.to_string())),
    }
}

/// What terraform has: as it was read before, or read now.
async fn outputs(
    aim: Aim,
    engine: &Arc<Engine>,
    slot: &Slot,
    accepted: &Accepted,
    manifest: &Manifest,
) -> Result<Made, Blind> {
    let now = engine.now();
    let known = slot.state().made.clone();
    if let Some(made) = known
        && now.duration_since(made.at) < BELIEVED
    {
        return Ok(made);
    }
    let unit = engine.unit(&slot.app, &manifest.unit);
    if let Some(path) = engine.runner.errored_state(&unit).map_err(Blind::Failed)? {
        return Err(Blind::held(Reason::ErroredState {
            path: path.display().to_string(),
        }));
    }
    if !export(engine, slot, accepted, &manifest.unit).await? {
        return Err(Blind::held(Reason::UnitMissing {
            unit: manifest.unit.clone(),
        }));
    }
    let outputs = match engine.runner.outputs(&unit).await {
        Ok(outputs) => outputs,
        Err(RunError::StateLocked(lock)) => {
            if aim == Aim::Act
                && let Ok(Unlocked::Broken) = engine.runner.break_own_lock(&unit, &lock).await
            {
                return Err(Blind::Failed(anyhow::anyhow!(
                    "Took away the lock of our own dead apply, looking again"
                )));
            }
            return Err(Blind::held(Reason::StateLocked {
                who: lock.who,
                id: lock.id,
            }));
        }
        Err(error) => {
            return Err(Blind::Failed(
                anyhow::Error::new(error).context("Failed to read terraform's outputs"),
            ));
        }
    };
    fault::point("outputs-read");
    let made = match outputs {
        Some(outputs) => made(&outputs, now).map_err(Blind::Failed)?,
        None => Made {
            releases: Releases::new(),
            memory: Memory::default(),
            has_state: false,
            wiring: None,
            at: now,
        },
    };
    slot.state().made = Some(made.clone());
    Ok(made)
}

/// Reads the unit's outputs.
pub(super) fn made(outputs: &Outputs, at: Timestamp) -> anyhow::Result<Made> {
    let releases: Releases = match &outputs.releases {
        serde_json::Value::Null => Releases::new(),
        value => serde_json::from_value(value.clone())
            .context("The unit's output `releases` has another form than the contract's")?,
    };
    let memory = Memory::from_text(&outputs.memory)
        .map_err(anyhow::Error::msg)
        .context("The unit's output `memory` cannot be read; a newer version of amid may have written it")?;
    Ok(Made {
        releases,
        memory,
        has_state: true,
        wiring: Some(outputs.wiring.clone()).filter(|wiring| !wiring.is_empty()),
        at,
    })
}
