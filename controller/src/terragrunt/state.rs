//! Reads a unit's whole state, for the cleaner: an image that terraform still
//! knows is needed, because the next plan of that unit would fail without it.

use std::io::Read;

use anyhow::Context;
use serde_json::Value;

use super::{Operation, Priority, RunError, Terragrunt, Unit, command};

/// The largest state that is read, in bytes.
const STATE_MAX: u64 = 64 * 1024 * 1024;

/// One object of a state and everything that it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateObject {
    /// `module.app.aws_launch_template.this["x"]`, or `output.releases`.
    pub address: String,
    /// `deposed`, `tainted`, or nothing.
    pub condition: Option<&'static str>,
    /// Its attributes as JSON text.
    pub text: String,
}

impl Terragrunt {
    /// Every object in the unit's state, deposed and tainted ones too, and its
    /// outputs. Empty where the unit has no state yet.
    ///
    /// # Errors
    ///
    /// When the state cannot be read, is too large, or has a form that is not
    /// known: a part of a state is no answer.
    pub async fn state(&self, unit: &Unit) -> Result<Vec<StateObject>, RunError> {
        let _guard = self.begin(unit).await?;
        let _permit = self.inner.permits.acquire(Priority::Roll).await;
        let (finished, _) = self
            .run_healed(unit, Operation::State, None, |_| {
                Ok(command::arguments(unit, &["state", "pull"]))
            })
            .await?;
        let path = finished.run.stdout();
        let mut text = Vec::new();
        std::fs::File::open(&path)
            .and_then(|file| file.take(STATE_MAX + 1).read_to_end(&mut text))
            .with_context(|| format!("Failed to read `{}`", path.display()))?;
        if text.len() as u64 > STATE_MAX {
            return Err(RunError::OutputTooLarge);
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(Vec::new());
        }
        let state = serde_json::from_slice(&text).context("Failed to read terraform's state")?;
        Ok(objects(&state)?)
    }
}

/// The objects of a state of version 4, the only one since terraform 0.12.
fn objects(state: &Value) -> anyhow::Result<Vec<StateObject>> {
    anyhow::ensure!(
        state["version"] == 4,
        "Terraform's state has the version {}, only 4 is known",
        state["version"]
    );
    let mut all = Vec::new();
    for (name, value) in state["outputs"].as_object().into_iter().flatten() {
        all.push(StateObject {
            address: format!("output.{name}"),
            condition: None,
            text: value.to_string(),
        });
    }
    let resources = state["resources"]
        .as_array()
        .context("Terraform's state has no list of resources")?;
    for resource in resources {
        let word = |name: &str| resource[name].as_str().unwrap_or_default();
        let mut address = String::new();
        if let Some(module) = resource["module"].as_str() {
            address.push_str(module);
            address.push('.');
        }
        if word("mode") == "data" {
            address.push_str("data.");
        }
        address.push_str(&format!("{}.{}", word("type"), word("name")));
        for instance in resource["instances"].as_array().into_iter().flatten() {
            let key = match &instance["index_key"] {
                Value::Null => String::new(),
                key => format!("[{key}]"),
            };
            let condition = if instance["deposed"].is_string() {
                Some("deposed")
            } else if instance["status"] == "tainted" {
                Some("tainted")
            } else {
                None
            };
            all.push(StateObject {
                address: format!("{address}{key}"),
                condition,
                text: instance.to_string(),
            });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn deposed_and_tainted_objects_and_outputs_are_seen() {
        let state = json!({
            "version": 4, "serial": 3,
            "outputs": {"releases": {"value": {"a": {"settings": "{\"ami\":\"ami-00000001\"}"}}}},
            "resources": [
                {"module": "module.app", "mode": "managed", "type": "aws_launch_template", "name": "this",
                 "instances": [
                    {"index_key": "a", "attributes": {"image_id": "ami-00000002"}},
                    {"index_key": "a", "deposed": "01234567", "attributes": {"image_id": "ami-00000003"}},
                    {"index_key": "b", "status": "tainted", "attributes": {"image_id": "ami-00000004"}}]},
                {"mode": "data", "type": "aws_ami", "name": "base",
                 "instances": [{"attributes": {"id": "ami-00000005"}}]}
            ]
        });
        let all = objects(&state).unwrap();
        let short: Vec<_> = all
            .iter()
            .map(|one| (one.address.as_str(), one.condition))
            .collect();
        assert_eq!(
            short,
            [
                ("output.releases", None),
                ("module.app.aws_launch_template.this[\"a\"]", None),
                (
                    "module.app.aws_launch_template.this[\"a\"]",
                    Some("deposed")
                ),
                (
                    "module.app.aws_launch_template.this[\"b\"]",
                    Some("tainted")
                ),
                ("data.aws_ami.base", None),
            ]
        );
        for (at, object) in all.iter().enumerate() {
            assert!(object.text.contains(&format!("ami-0000000{}", at + 1)));
        }
    }

    #[test]
    fn another_form_is_an_error_and_not_an_empty_state() {
        assert!(objects(&json!({"version": 3, "modules": []})).is_err());
        assert!(objects(&json!({"version": 4})).is_err());
    }
}
