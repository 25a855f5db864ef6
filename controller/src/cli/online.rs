//! `amid validate --online`: whether the images that manifests name can be
//! launched where their apps live, asked of AWS itself.

use std::collections::BTreeMap;
use std::path::Path;

use amid_core::manifest::parse::{Source, parse};
use amid_core::model::{AmiId, AppName};
use amid_core::retention::Launchable;

use super::validate;
use crate::aws::{Aws, Counter};
use crate::cleanup::online;
use crate::config::Config;
use crate::daemon;

/// Asks about the image of every manifest below `path` and prints each that
/// cannot be launched as it is. Returns whether all can.
///
/// # Errors
///
/// When a manifest or AWS cannot be read.
pub async fn check(
    config: &Config,
    path: &Path,
    out: &mut impl std::io::Write,
) -> anyhow::Result<bool> {
    let read = validate::read(path)?;
    let sources: Vec<Source<'_>> = read
        .iter()
        .map(|(path, bytes)| Source { path, bytes })
        .collect();
    let mut wanted: BTreeMap<usize, Vec<(AppName, AmiId)>> = BTreeMap::new();
    let mut well = true;
    for (app, manifest) in parse(&sources).apps {
        // Mistakes were printed by the check without AWS.
        let Ok(manifest) = manifest else { continue };
        match config.target(&app) {
            Some(target) => wanted
                .entry(target)
                .or_default()
                .push((app, manifest.ami.clone())),
            None => {
                well = false;
                writeln!(out, "{app}: no entry of `targets` in the config fits it")?;
            }
        }
    }
    for (index, apps) in wanted {
        let Some(target) = config.targets.get(index) else {
            continue;
        };
        let aws = Aws::connect(&daemon::place(target), Counter::none()).await;
        let images: Vec<AmiId> = apps.iter().map(|(_, ami)| ami.clone()).collect();
        let answers: BTreeMap<AmiId, Launchable> = online(&aws, &images)
            .await?
            .into_iter()
            .map(|one| (one.ami, one.launchable))
            .collect();
        for (app, ami) in apps {
            match answers.get(&ami) {
                Some(Launchable::Yes) => {}
                Some(Launchable::NotOurs) | None => {
                    well = false;
                    writeln!(
                        out,
                        "desired/{app}.json: {ami} does not exist in {} {}, or may not be launched there",
                        target.account_id, target.region
                    )?;
                }
                Some(launchable) => {
                    well &= launchable.needs_healing();
                    writeln!(out, "desired/{app}.json: {ami}: {launchable}")?;
                }
            }
        }
    }
    Ok(well)
}
