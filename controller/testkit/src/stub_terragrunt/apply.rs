//! An apply of a saved plan: the lock, the changes one after the other, the state at the end.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use serde_json::json;

use super::{
    core::{Run, outputs_with_types, read_plan},
    log::{self, EventKind},
    plan::{self, Change},
    state::{Lock, SavedPlan, State},
    trouble::Stop,
    ui,
};
use crate::cloud::{ACCOUNT, NewGroup, Sizes, Template};

/// Applies; answers the exit code.
pub(super) async fn apply(run: &Run, args: &[&str]) -> Result<u8> {
    // Held until the process ends.
    let running = log::running(run.unit_dir.path())?;
    if running.is_none() {
        log::append(&run.dir, &run.unit, "apply", EventKind::Overlap)?;
    }
    let path = args
        .iter()
        .find(|arg| !arg.starts_with('-'))
        .context("The stub applies only saved plans")?;
    ui::version()?;
    let saved = match read_plan(path) {
        Ok(saved) => saved,
        Err(error) => {
            ui::error(
                "Failed to read plan from plan file",
                &format!("{error:#}"),
                None,
            )?;
            return Ok(1);
        }
    };
    let lock = if args.contains(&"-lock=false") {
        None
    } else {
        match run.unit_dir.take_lock(&run.unit)? {
            Ok(lock) => Some(lock),
            Err(detail) => {
                ui::error("Error acquiring the state lock", &detail, None)?;
                return Ok(1);
            }
        }
    };
    let mut state = run.unit_dir.state()?;
    if let Some((summary, detail)) = unfit(&saved, &state) {
        ui::error(summary, detail, None)?;
        return finish(lock, 1);
    }

    let mut stop = None;
    let mut failed = false;
    let changes = in_order(&saved.changes);
    for (done, change) in changes.iter().enumerate() {
        stop = run.point(done).await?;
        if stop.is_some() {
            break;
        }
        failed |= !step(run, &saved, change, &mut state)?;
    }
    if stop.is_none() {
        stop = run.point(changes.len()).await?;
    }
    if failed {
        stop = stop.or(Some(Stop::Failed));
    }
    end(run, &saved, lock, state, stop, changes.len()).await
}

/// Saves, lets go of the lock, and says the closing words, each unless it is stopped before.
async fn end(
    run: &Run,
    saved: &SavedPlan,
    lock: Option<Lock>,
    mut state: State,
    stop: Option<Stop>,
    changes: usize,
) -> Result<u8> {
    match stop {
        Some(Stop::Abrupt) => return Ok(0),
        Some(Stop::Unsaved) => {
            keep_errored(&state)?;
            ui::error(
                "Failed to save state",
                "Error saving state: failed to upload state: AccessDenied",
                None,
            )?;
            ui::error(
                "Failed to persist state to backend",
                "The error shown above has prevented Terraform from writing the updated state.",
                None,
            )?;
            return finish(lock, 1);
        }
        _ => {}
    }
    if stop.is_none() {
        state.outputs = plan::outputs(&run.app, &saved.inputs, &state);
    }
    state.serial += 1;
    if state.lineage.is_empty() {
        state.lineage = format!(
            "{:x}-{:x}",
            std::process::id(),
            Timestamp::now().as_microsecond()
        );
    }
    run.unit_dir.save(&state)?;
    if let Some(stop) = stop {
        return finish(lock, stop.code());
    }
    finish(lock, 0)?;
    // The point between the lock and the closing words: everything is done, and nobody knows.
    if let Some(stop) = run.point(changes + 1).await? {
        return Ok(stop.code());
    }
    ui::summary("apply", &saved.changes)?;
    ui::outputs(&outputs_with_types(&state))?;
    Ok(0)
}

fn finish(lock: Option<Lock>, code: u8) -> Result<u8> {
    if let Some(lock) = lock {
        lock.release()?;
    }
    Ok(code)
}

/// Why a saved plan does not fit the state, in terraform's words.
fn unfit(saved: &SavedPlan, state: &State) -> Option<(&'static str, &'static str)> {
    if saved.errored {
        return Some((
            "Cannot apply incomplete plan",
            "Terraform encountered an error when generating this plan, so it cannot be applied.",
        ));
    }
    let is_stale = saved.serial != state.serial || saved.lineage != state.lineage;
    is_stale.then_some((
        "Saved plan is stale",
        "The given plan file can no longer be applied because the state was changed by another operation after the plan was created.",
    ))
}

/// Creations and updates first, in the order of their dependencies, then deletions in the reverse one.
fn in_order(changes: &[Change]) -> Vec<&Change> {
    let rank = |change: &Change| {
        let level = match change.address.split('.').next() {
            Some("aws_launch_template") => 1,
            Some("aws_autoscaling_group") => 2,
            Some("terraform_data") => 0,
            _ => 3,
        };
        if change.action == "delete" {
            10 - level
        } else {
            level
        }
    };
    let mut ordered: Vec<&Change> = changes.iter().collect();
    ordered.sort_by_key(|change| rank(change));
    ordered
}

/// One resource; false where it failed, which has been said.
fn step(run: &Run, saved: &SavedPlan, change: &Change, state: &mut State) -> Result<bool> {
    if change.action == "noop" {
        return carry_out(run, saved, change, state)
            .map(|()| true)
            .or_else(|error| {
                ui::error(
                    "Cannot import non-existent remote object",
                    &format!("{error:#}"),
                    Some(&change.address),
                )?;
                Ok(false)
            });
    }
    ui::started(change)?;
    match carry_out(run, saved, change, state) {
        Ok(()) => {
            ui::completed(change)?;
            Ok(true)
        }
        Err(error) => {
            ui::errored(change)?;
            let summary = format!(
                "{} {}: operation error, https response error StatusCode: 400, api error {error:#}",
                change.action, change.address
            );
            ui::error(&summary, "", Some(&change.address))?;
            Ok(false)
        }
    }
}

fn carry_out(run: &Run, saved: &SavedPlan, change: &Change, state: &mut State) -> Result<()> {
    let kind = change.address.split('.').next().unwrap_or_default();
    let key = plan::key_of(&change.address).unwrap_or_default();
    let name = plan::name_of(&saved.app, key);
    let now = Timestamp::now();
    let is_delete = change.action == "delete";
    let value = match kind {
        "aws_launch_template" if is_delete => {
            let id = state
                .resources
                .get(&change.address)
                .map(|old| old["id"].clone())
                .unwrap_or_default();
            run.change_cloud(|cloud| {
                cloud.templates.remove(id.as_str().unwrap_or_default());
                Ok(())
            })?;
            None
        }
        "aws_launch_template" => {
            let id = match &change.importing {
                Some(id) => run.change_cloud(|cloud| {
                    let found = cloud
                        .templates
                        .get(id)
                        .with_context(|| format!("There is no template {id}"))?;
                    anyhow::ensure!(
                        found.name == name,
                        "The template {id} is not of the name {name}"
                    );
                    Ok(id.clone())
                })?,
                None => {
                    let release = saved
                        .inputs
                        .releases
                        .get(key)
                        .context("The release is missing")?;
                    let template = Template {
                        name: name.clone(),
                        image: release.image()?,
                        instance_type: release.instance_type(),
                        tags: tags(&saved.app, key),
                        created: now,
                    };
                    run.change_cloud(|cloud| cloud.create_template(template))?
                }
            };
            Some(json!({ "id": id, "name": name }))
        }
        "aws_autoscaling_group" if is_delete => {
            run.change_cloud(|cloud| {
                cloud.groups.remove(&name);
                Ok(())
            })?;
            None
        }
        "aws_autoscaling_group" => {
            let release = saved
                .inputs
                .releases
                .get(key)
                .context("The release is missing")?;
            let (min, max) = release.sizes();
            let template = state
                .resources
                .get(&plan::template_address(key))
                .map(|old| old["id"].clone());
            let template = template
                .unwrap_or_default()
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if change.action == "create" {
                let new = NewGroup {
                    name: name.clone(),
                    template,
                    min,
                    max,
                    desired: release.desired.clamp(min, max.max(min)),
                    target_groups: vec![target_group(&saved.app)],
                    tags: tags(&saved.app, key),
                };
                run.change_cloud(|cloud| cloud.create_group(new, now))?;
            } else {
                run.change_cloud(|cloud| {
                    cloud.set_sizes(
                        &name,
                        Sizes {
                            min: Some(min),
                            max: Some(max),
                            desired: None,
                        },
                        now,
                    )?;
                    let group = cloud
                        .groups
                        .get_mut(&name)
                        .ok_or_else(|| anyhow!("The group {name} is gone"))?;
                    "1".clone_into(&mut group.version);
                    Ok(())
                })?;
            }
            Some(change.after.clone())
        }
        _ if is_delete => None,
        _ => Some(change.after.clone()),
    };
    match value {
        Some(value) => state.resources.insert(change.address.clone(), value),
        None => state.resources.remove(&change.address),
    };
    Ok(())
}

/// The target group of an app's groups.
pub(super) fn target_group(app: &str) -> String {
    let name = app.replace('/', "-");
    format!("arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:targetgroup/{name}/0123456789abcdef")
}

fn tags(app: &str, key: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("Name".to_owned(), plan::name_of(app, key)),
        ("amid:app".to_owned(), app.to_owned()),
        ("amid:release".to_owned(), key.to_owned()),
    ])
}

/// Writes the state where terraform leaves one that it could not save: in the unit's cache.
fn keep_errored(state: &State) -> Result<()> {
    let dir = env::var_os("TG_DOWNLOAD_DIR")
        .map(PathBuf::from)
        .map_or_else(|| PathBuf::from("."), |dir| dir.join("stub"));
    fs::create_dir_all(&dir).with_context(|| format!("Failed to create {}", dir.display()))?;
    let path = dir.join("errored.tfstate");
    let bytes = serde_json::to_vec_pretty(state).context("Failed to write a state")?;
    fs::write(&path, bytes).with_context(|| format!("Failed to write {}", path.display()))
}
