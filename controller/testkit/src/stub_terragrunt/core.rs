//! The terraform half: one command in one unit's folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    apply,
    control::Control,
    log::{self, EventKind},
    plan::{self, Inputs, Plan},
    state::{SavedPlan, State, UnitDir},
    stub_dir,
    trouble::Signals,
    ui,
};
use crate::cloud::Cloud;

/// One command of terraform.
pub(super) struct Run {
    pub(super) dir: PathBuf,
    pub(super) unit: String,
    pub(super) app: String,
    pub(super) unit_dir: UnitDir,
    pub(super) command: String,
    pub(super) signals: Arc<Signals>,
}

/// Carries out a command line of terraform; answers its exit code.
pub(super) async fn run(args: &[&str]) -> Result<u8> {
    match args {
        ["-version" | "--version" | "version"] => {
            ui::raw(format!("Terraform v{}\non linux_amd64\n", ui::TERRAFORM_VERSION).as_bytes())?;
            return Ok(0);
        }
        ["version", "-json"] => {
            let version =
                json!({ "terraform_version": ui::TERRAFORM_VERSION, "platform": "linux_amd64" });
            ui::raw(format!("{version}\n").as_bytes())?;
            return Ok(0);
        }
        _ => {}
    }
    let Some((command, rest)) = args.split_first() else {
        bail!("There is no command")
    };
    let dir = stub_dir()?;
    let work = env::current_dir().context("Failed to ask for the current directory")?;
    let unit = unit_of(&work);
    let run = Run {
        app: app_of(&unit),
        unit_dir: UnitDir::new(&dir, &unit)?,
        command: (*command).to_owned(),
        signals: Signals::listen()?,
        unit,
        dir,
    };
    log::append(
        &run.dir,
        &run.unit,
        command,
        EventKind::Start(env::var("TF_VAR_releases").ok()),
    )?;
    if let Some(stop) = run.start().await? {
        log::append(&run.dir, &run.unit, command, EventKind::End(stop.code()))?;
        return Ok(stop.code());
    }
    let code = match *command {
        "plan" => run.plan(rest).await?,
        "apply" => apply::apply(&run, rest).await?,
        "show" => run.show(rest).await?,
        "output" => run.output(rest).await?,
        "state" => run.state(rest)?,
        "force-unlock" => run.force_unlock(rest)?,
        "init" => 0,
        "validate" => {
            ui::raw(b"{\"format_version\":\"1.0\",\"valid\":true,\"error_count\":0,\"warning_count\":0,\"diagnostics\":[]}\n")?;
            0
        }
        other => bail!("The stub does not know the command `{other}`"),
    };
    log::append(&run.dir, &run.unit, command, EventKind::End(code))?;
    Ok(code)
}

impl Run {
    async fn plan(&self, args: &[&str]) -> Result<u8> {
        let out = args
            .iter()
            .find_map(|arg| arg.strip_prefix("-out="))
            .context("The stub plans only with `-out`")?;
        ui::version()?;
        if let Some(stop) = self.point(0).await? {
            return Ok(stop.code());
        }
        let control = Control::read(&self.dir)?;
        let inputs = match Inputs::read(|name| env::var(format!("TF_VAR_{name}")).ok()) {
            Ok(inputs) => Inputs {
                wiring: control.wiring,
                unexpected: control.unexpected,
                ..inputs
            },
            Err(error) => {
                ui::error("Invalid value for variable", &format!("{error:#}"), None)?;
                return Ok(1);
            }
        };
        let state = self.unit_dir.state()?;
        let cloud = super::cloud_file(&self.dir).read()?;
        let plan = plan::plan(
            &self.app,
            &inputs,
            &state,
            &cloud,
            !args.contains(&"-refresh=false"),
        );
        for address in &plan.drift {
            ui::drift(address)?;
        }
        for (at, change) in plan.changes.iter().enumerate() {
            if let Some(stop) = self.point(at + 1).await? {
                return Ok(stop.code());
            }
            ui::planned(change)?;
        }
        let is_refused = !plan.left_out.is_empty();
        let outputs = self.planned_outputs(&inputs, &state, &plan);
        let saved = SavedPlan {
            serial: state.serial,
            lineage: state.lineage.clone(),
            errored: is_refused,
            app: self.app.clone(),
            changes: plan.changes,
            inputs,
        };
        let bytes = serde_json::to_vec(&saved).context("Failed to write the plan")?;
        fs::write(out, bytes).with_context(|| format!("Failed to write {out}"))?;
        if is_refused {
            let detail = format!(
                "This apply would leave out groups of {} that are live: {}.",
                self.app,
                plan.left_out.join(", ")
            );
            ui::error("Resource precondition failed", &detail, Some(plan::GUARD))?;
            return Ok(1);
        }
        ui::summary("plan", &saved.changes)?;
        ui::outputs(&outputs)?;
        let is_output_changed = outputs
            .as_object()
            .is_some_and(|all| all.values().any(|one| one["action"] != "noop"));
        let has_changes = !saved.changes.is_empty() || is_output_changed;
        Ok(if has_changes && args.contains(&"-detailed-exitcode") {
            2
        } else {
            0
        })
    }

    /// What the outputs would be, as `plan -json` tells it: an action each.
    fn planned_outputs(&self, inputs: &Inputs, state: &State, plan: &Plan) -> Value {
        let mut after = state.clone();
        for change in &plan.changes {
            match change.action.as_str() {
                "delete" => {
                    after.resources.remove(&change.address);
                }
                _ if change.importing.is_some() && !change.after.is_null() => {
                    let mut taken_in = change.after.clone();
                    taken_in["id"] = json!(change.importing);
                    after.resources.insert(change.address.clone(), taken_in);
                }
                _ => {
                    after
                        .resources
                        .insert(change.address.clone(), change.after.clone());
                }
            }
        }
        let outputs = plan::outputs(&self.app, inputs, &after);
        let of = |name: &String, value: &Value| match state.outputs.get(name) {
            None => "create",
            Some(old) if old == value => "noop",
            Some(_) => "update",
        };
        outputs
            .iter()
            .map(|(name, value)| {
                (
                    name.clone(),
                    json!({ "sensitive": false, "action": of(name, value) }),
                )
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    async fn show(&self, args: &[&str]) -> Result<u8> {
        if let Some(stop) = self.point(0).await? {
            return Ok(stop.code());
        }
        let Some(path) = args.iter().find(|arg| !arg.starts_with('-')) else {
            bail!("The stub shows only saved plans");
        };
        let saved = read_plan(path)?;
        let changes: Vec<Value> = saved.changes.iter().map(resource_change).collect();
        let shown = json!({
            "format_version": "1.2",
            "terraform_version": ui::TERRAFORM_VERSION,
            "resource_changes": changes,
            "errored": saved.errored,
            "complete": !saved.errored,
            "applyable": !saved.errored && !saved.changes.is_empty(),
        });
        ui::raw(format!("{shown}\n").as_bytes())?;
        Ok(0)
    }

    async fn output(&self, args: &[&str]) -> Result<u8> {
        if let Some(stop) = self.point(0).await? {
            return Ok(stop.code());
        }
        let state = self.unit_dir.state()?;
        let name = args.iter().find(|arg| !arg.starts_with('-'));
        let text = match name {
            Some(name) => state
                .outputs
                .get(*name)
                .with_context(|| format!("Output \"{name}\" not found"))?
                .to_string(),
            None => outputs_with_types(&state).to_string(),
        };
        ui::raw(format!("{text}\n").as_bytes())?;
        Ok(0)
    }

    fn state(&self, args: &[&str]) -> Result<u8> {
        let mut state = self.unit_dir.state()?;
        match args {
            ["list", ..] => {
                let text: String = state
                    .resources
                    .keys()
                    .map(|address| format!("{address}\n"))
                    .collect();
                ui::raw(text.as_bytes())?;
            }
            // A unit without a state has nothing to print.
            ["pull"] if state.resources.is_empty() && state.outputs.is_empty() => {}
            ["pull"] => ui::raw(format!("{:#}\n", pulled(&state)).as_bytes())?,
            ["rm", addresses @ ..] => {
                state
                    .resources
                    .retain(|address, _| !addresses.contains(&address.as_str()));
                state.serial += 1;
                self.unit_dir.save(&state)?;
            }
            _ => bail!(
                "The stub does not know this command about states: {}",
                args.join(" ")
            ),
        }
        Ok(0)
    }

    fn force_unlock(&self, args: &[&str]) -> Result<u8> {
        let Some(id) = args.iter().find(|arg| !arg.starts_with('-')) else {
            bail!("The lock's id is missing")
        };
        match self.unit_dir.force_unlock(id)? {
            Ok(()) => {
                ui::raw(b"Terraform state has been successfully unlocked!\n")?;
                Ok(0)
            }
            Err(trouble) => {
                eprintln!("{trouble}");
                Ok(1)
            }
        }
    }

    /// The cloud, to be changed.
    pub(super) fn change_cloud<T>(
        &self,
        change: impl FnOnce(&mut Cloud) -> Result<T>,
    ) -> Result<T> {
        super::cloud_file(&self.dir).change(change)
    }
}

/// A state as `state pull` prints it: version 4, an object with one instance for each address.
fn pulled(state: &State) -> Value {
    let resource = |(address, attributes): (&String, &Value)| {
        let resource = ui::resource(address);
        json!({
            "mode": "managed",
            "type": resource["resource_type"],
            "name": resource["resource_name"],
            "instances": [{ "index_key": resource["resource_key"], "attributes": attributes }],
        })
    };
    json!({
        "version": 4,
        "serial": state.serial,
        "lineage": state.lineage,
        "outputs": outputs_with_types(state),
        "resources": state.resources.iter().map(resource).collect::<Vec<_>>(),
    })
}

/// All outputs as `output -json` and the last line of an apply have them.
pub(super) fn outputs_with_types(state: &State) -> Value {
    let with_type = |value: &Value| {
        let kind = if value.is_string() {
            json!("string")
        } else {
            json!(["map", "dynamic"])
        };
        json!({ "sensitive": false, "type": kind, "value": value })
    };
    let all: serde_json::Map<_, _> = state
        .outputs
        .iter()
        .map(|(name, value)| (name.clone(), with_type(value)))
        .collect();
    all.into()
}

pub(super) fn read_plan(path: &str) -> Result<SavedPlan> {
    let bytes =
        fs::read(path).with_context(|| format!("Failed to load \"{path}\" as a plan file"))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("Failed to load \"{path}\" as a plan file"))
}

fn resource_change(change: &plan::Change) -> Value {
    let resource = ui::resource(&change.address);
    let action = if change.action == "noop" {
        "no-op"
    } else {
        &change.action
    };
    let mut inner = json!({ "actions": [action], "before": change.before, "after": change.after });
    if let Some(id) = &change.importing {
        inner["importing"] = json!({ "id": id });
    }
    let mut value = json!({
        "address": change.address,
        "mode": "managed",
        "type": resource["resource_type"],
        "name": resource["resource_name"],
        "index": resource["resource_key"],
        "change": inner,
    });
    if let Some(reason) = &change.reason {
        value["action_reason"] = json!(reason);
    }
    value
}

/// The unit of a folder: its path from the folder `live` on, or the folder's name.
fn unit_of(work: &Path) -> String {
    let text = work.to_string_lossy();
    match text.rsplit_once("/live/") {
        Some((_, rest)) => format!("live/{rest}"),
        None => work
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    }
}

/// The app of a unit, by the rule of this project's own units: `live/demo/todo/app` is of `demo/todo`.
fn app_of(unit: &str) -> String {
    let app = unit.strip_prefix("live/").unwrap_or(unit);
    app.strip_suffix("/app").unwrap_or(app).to_owned()
}
