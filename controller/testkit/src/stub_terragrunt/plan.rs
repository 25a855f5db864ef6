//! What the releases module would plan, from the variables, the state and the cloud.
//!
//! The rules are those of terraform/modules/releases as far as the controller can see them: three resources
//! for each release, immutable but for the group's sizes and template; the guard; the memory; adoption.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::State;
use crate::cloud::Cloud;

/// The variables of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Inputs {
    pub(super) releases: BTreeMap<String, Release>,
    pub(super) may_remove: BTreeSet<String>,
    /// None: what the state holds is kept.
    pub(super) memory: Option<String>,
    pub(super) adopt: BTreeMap<String, Adopt>,
    /// The hash of the module's wiring.
    pub(super) wiring: String,
    /// Address and action of changes that nobody expects.
    pub(super) unexpected: Vec<(String, String)>,
}

/// An entry of the variable `releases`. Terraform drops the attributes that the variable's type does not name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Release {
    pub(super) settings: String,
    pub(super) min_size: u32,
    pub(super) max_size: u32,
    pub(super) desired: u32,
    #[serde(default)]
    pub(super) pin: Option<u32>,
    #[serde(default)]
    pub(super) drain: Option<bool>,
}

/// An entry of the variable `adopt`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Adopt {
    pub(super) template_id: String,
    #[serde(default)]
    pub(super) group_name: Option<String>,
}

/// A change of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) address: String,
    /// `create`, `update`, `delete` or `noop`.
    pub(super) action: String,
    pub(super) reason: Option<String>,
    /// The id that an import takes in.
    pub(super) importing: Option<String>,
    pub(super) before: Value,
    pub(super) after: Value,
}

/// The result of planning.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) changes: Vec<Change>,
    /// Addresses that are not as the state has them.
    pub(super) drift: Vec<String>,
    /// The guard's refusal: groups that this apply would leave out.
    pub(super) left_out: Vec<String>,
}

impl Release {
    /// The group's least and greatest size.
    pub(super) fn sizes(&self) -> (u32, u32) {
        let pin = self.pin.unwrap_or(0);
        match self.drain.unwrap_or(false) {
            true => (0, 0),
            false => (self.min_size.max(pin), self.max_size.max(pin)),
        }
    }

    pub(super) fn image(&self) -> Result<String> {
        let settings: Value = serde_json::from_str(&self.settings)
            .context("The settings of a release are no JSON")?;
        Ok(settings["ami"]
            .as_str()
            .context("The settings of a release have no `ami`")?
            .to_owned())
    }

    pub(super) fn instance_type(&self) -> String {
        let settings: Value = serde_json::from_str(&self.settings).unwrap_or_default();
        settings["instance_types"][0]
            .as_str()
            .unwrap_or("m5.large")
            .to_owned()
    }
}

impl Inputs {
    /// Reads the `TF_VAR_*` variables.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Inputs> {
        fn parse<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T> {
            serde_json::from_str(text)
                .with_context(|| format!("The variable `{name}` is not of its type: {text}"))
        }
        let releases = variable("releases")
            .context("The variable `releases` is not set: the stub does nothing by hand")?;
        let may_remove = variable("may_remove").unwrap_or_else(|| "[]".to_owned());
        let adopt = variable("adopt").unwrap_or_else(|| "{}".to_owned());
        Ok(Inputs {
            releases: parse("releases", &releases)?,
            may_remove: parse("may_remove", &may_remove)?,
            memory: variable("memory"),
            adopt: parse("adopt", &adopt)?,
            wiring: String::new(),
            unexpected: Vec::new(),
        })
    }
}

pub(super) fn data_address(key: &str) -> String {
    format!("terraform_data.release[\"{key}\"]")
}

pub(super) fn template_address(key: &str) -> String {
    format!("aws_launch_template.release[\"{key}\"]")
}

pub(super) fn group_address(key: &str) -> String {
    format!("aws_autoscaling_group.release[\"{key}\"]")
}

pub(super) const GUARD: &str = "terraform_data.guard";
pub(super) const MEMORY: &str = "terraform_data.memory";

/// The name of a release's template and group.
pub(super) fn name_of(app: &str, key: &str) -> String {
    format!("{}-{key}", app.replace('/', "-"))
}

/// The key in an address.
pub(super) fn key_of(address: &str) -> Option<&str> {
    address.split_once("[\"")?.1.strip_suffix("\"]")
}

/// Plans; `refresh` looks at the cloud, without it the state is believed.
pub(super) fn plan(
    app: &str,
    inputs: &Inputs,
    state: &State,
    cloud: &Cloud,
    refresh: bool,
) -> Plan {
    let mut plan = Plan::default();
    let change = |address: String, action: &str, before: Value, after: Value| Change {
        address,
        action: action.to_owned(),
        reason: None,
        importing: None,
        before,
        after,
    };
    if !state.resources.contains_key(GUARD) {
        plan.changes.push(change(
            GUARD.to_owned(),
            "create",
            Value::Null,
            json!({ "input": app }),
        ));
    }
    let remembered = state.resources.get(MEMORY);
    let kept = remembered
        .and_then(|memory| memory["input"].as_str())
        .unwrap_or_default();
    let memory = json!({ "input": inputs.memory.as_deref().unwrap_or(kept) });
    match remembered {
        None => plan
            .changes
            .push(change(MEMORY.to_owned(), "create", Value::Null, memory)),
        Some(old) if *old != memory => {
            plan.changes
                .push(change(MEMORY.to_owned(), "update", old.clone(), memory));
        }
        Some(_) => {}
    }

    for (key, release) in &inputs.releases {
        let name = name_of(app, key);
        if !state.resources.contains_key(&data_address(key)) {
            let data = json!({ "settings": release.settings, "desired": release.desired, "wiring": inputs.wiring });
            plan.changes
                .push(change(data_address(key), "create", Value::Null, data));
        }

        let adopt = inputs.adopt.get(key);
        let address = template_address(key);
        let known = state.resources.get(&address).filter(|template| {
            !refresh
                || template["id"]
                    .as_str()
                    .is_some_and(|id| cloud.templates.contains_key(id))
        });
        if known.is_none() {
            let template = json!({ "name": name });
            let mut new = change(address, "create", Value::Null, template);
            if let Some(adopt) = adopt {
                "noop".clone_into(&mut new.action);
                new.importing = Some(adopt.template_id.clone());
            }
            plan.changes.push(new);
        }

        let address = group_address(key);
        let (min, max) = release.sizes();
        let wanted =
            json!({ "name": name, "min_size": min, "max_size": max, "launch_template": "1" });
        let live = cloud.groups.get(&name).map(
            |group| json!({ "name": name, "min_size": group.min, "max_size": group.max, "launch_template": group.version }),
        );
        let old = state.resources.get(&address);
        let before = if refresh {
            live.clone().filter(|_| old.is_some())
        } else {
            old.cloned()
        };
        if old.is_some() && before.is_some() && old != before.as_ref() {
            plan.drift.push(address.clone());
        }
        let adopted = adopt
            .and_then(|adopt| adopt.group_name.clone())
            .filter(|_| before.is_none());
        if let Some(group) = adopted {
            let found = live.unwrap_or_default();
            let action = if found == wanted { "noop" } else { "update" };
            let mut new = change(address, action, found, wanted);
            new.importing = Some(group);
            plan.changes.push(new);
        } else {
            match before {
                None => plan
                    .changes
                    .push(change(address, "create", Value::Null, wanted)),
                Some(before) if before != wanted => {
                    plan.changes.push(change(address, "update", before, wanted));
                }
                Some(_) => {}
            }
        }
    }

    for (address, old) in &state.resources {
        if key_of(address).is_some_and(|key| !inputs.releases.contains_key(key)) {
            let mut gone = change(address.clone(), "delete", old.clone(), Value::Null);
            gone.reason = Some("delete_because_each_key".to_owned());
            plan.changes.push(gone);
        }
    }
    for (address, action) in &inputs.unexpected {
        plan.changes
            .push(change(address.clone(), action, Value::Null, Value::Null));
    }

    let names: BTreeSet<String> = inputs
        .releases
        .keys()
        .map(|key| name_of(app, key))
        .collect();
    plan.left_out = cloud
        .groups
        .iter()
        .filter(|(_, group)| group.tags.get("amid:app").is_some_and(|of| of == app))
        .map(|(name, _)| name.clone())
        .filter(|name| !names.contains(name) && !inputs.may_remove.contains(name))
        .collect();
    plan
}

/// The outputs of a state, for these variables.
pub(super) fn outputs(app: &str, inputs: &Inputs, state: &State) -> BTreeMap<String, Value> {
    let releases: serde_json::Map<String, Value> = inputs
        .releases
        .iter()
        .map(|(key, release)| {
            let data = state
                .resources
                .get(&data_address(key))
                .cloned()
                .unwrap_or_default();
            let template = state
                .resources
                .get(&template_address(key))
                .cloned()
                .unwrap_or_default();
            let value = json!({
                "settings": data["settings"],
                "min_size": release.min_size,
                "max_size": release.max_size,
                "desired": data["desired"],
                "pin": release.pin.unwrap_or(0),
                "drain": release.drain.unwrap_or(false),
                "group_name": name_of(app, key),
                "template_id": template["id"],
                "wiring": data["wiring"],
            });
            (key.clone(), value)
        })
        .collect();
    let memory = state
        .resources
        .get(MEMORY)
        .map_or(json!(""), |memory| memory["input"].clone());
    BTreeMap::from([
        ("releases".to_owned(), Value::Object(releases)),
        ("wiring".to_owned(), json!(inputs.wiring)),
        ("memory".to_owned(), memory),
    ])
}
