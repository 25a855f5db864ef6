//! What a manifest says, and how it is read.
//!
//! [`Manifest`] is the meaning of one `desired/<app>.json`. [`parse()`] reads
//! many of them at once and reports every problem of every file with its
//! line and column; one bad manifest never hides another. [`set_fields`]
//! changes a manifest's text for the commits that amid writes, [`schema()`] is
//! what editors check it with.

mod canonical;
mod check;
mod decode;
mod duration;
pub mod edit;
mod fields;
mod json;
pub mod parse;
mod problem;
mod schema;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use duration::Seconds;
pub use edit::set_fields;
pub use parse::{Parsed, Problem, Source, app_name, parse, parse_one};
pub use schema::schema;

use crate::model::{AmiId, Settings};

/// One app, as its manifest under `desired/` describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The team that hears of this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The terragrunt unit that holds this app's releases and nothing else,
    /// relative to the repository's `terraform` folder.
    #[schemars(
        length(max = 200),
        regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")
    )]
    pub unit: String,
    /// The image that every instance runs.
    #[schemars(with = "String", regex(pattern = r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$"))]
    pub ami: AmiId,
    /// What the image was built from. For people and dashboards: a change of
    /// it alone rolls nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Raise it to replace every instance although nothing else changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub revision: Option<u64>,
    /// Instance types in order of preference, 1 to 40.
    #[schemars(
        length(min = 1, max = 40),
        inner(regex(pattern = r"^[a-z][a-z0-9-]*\.[a-z0-9][a-z0-9-]*$")),
        extend("uniqueItems" = true)
    )]
    pub instance_types: Vec<String>,
    /// The group is never smaller than this.
    #[schemars(range(max = 100_000))]
    pub min_size: u32,
    /// The group is never larger than this, a roll aside.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_size: u32,
    /// Environment of the app: names to texts or whole numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, EnvValue>>,
    /// Secrets of the app by name: references that the instance reads with
    /// its own role, `ssm:/path[:version]` or `secretsmanager:id[:version]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<BTreeMap<String, String>>,
    /// User data as it is given to the instance. Excludes `env` and `secrets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub user_data: Option<String>,
    /// What healthy means for this app.
    #[serde(default)]
    pub health: Health,
    /// How a new release replaces the old one.
    #[serde(default)]
    pub roll: Roll,
    /// What to do with a release that never becomes healthy.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What to do when somebody changed the group by hand.
    #[serde(default)]
    pub on_drift: OnDrift,
    /// An address that has to say yes before a roll begins and before
    /// anything that serves is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// While given, nothing rolls forward; a rollback still may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<Suspend>,
}

impl Manifest {
    /// The canonical text of what this manifest says of a machine.
    pub fn settings(&self) -> Settings {
        canonical::settings(self)
    }
}

/// What an image was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The app's version, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The app's commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The build that made the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EnvValue {
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

/// What healthy means for an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Who is asked.
    #[serde(rename = "type")]
    pub kind: HealthKind,
    /// Observed time within which a new release must become healthy once.
    pub timeout: Seconds,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            kind: HealthKind::LoadBalancer,
            timeout: Seconds(15 * 60),
        }
    }
}

/// Who is asked whether an instance is healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthKind {
    /// In service in the group and healthy in each of its target groups.
    #[default]
    LoadBalancer,
    /// In service in the group; the app has no load balancer.
    None,
}

/// How a new release replaces the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Roll {
    /// New beside old, or old away first.
    pub strategy: Strategy,
    /// Instances of the new release that are baked before the rest; 0 starts
    /// at full size.
    #[schemars(range(max = 100_000))]
    pub canary: u32,
    /// How long the new release must stay healthy before the old one goes.
    pub bake: Seconds,
    /// How long the old group may take to empty before somebody is told.
    pub drain: Seconds,
}

impl Default for Roll {
    fn default() -> Self {
        Self {
            strategy: Strategy::SideBySide,
            canary: 0,
            bake: Seconds(5 * 60),
            drain: Seconds(15 * 60),
        }
    }
}

/// New beside old, or old away first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The new group is healthy before the old one is touched.
    #[default]
    SideBySide,
    /// The old group is drained to zero before the new one is made, for apps
    /// whose volume has room for one.
    Recreate,
}

/// What to do with a release that never becomes healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Take the new group away and write the revert commit.
    #[default]
    Revert,
    /// Take the new group away and put the revert up as a pull request, for
    /// branches that nobody may push to.
    PullRequest,
    /// Take the new group away and wait for a person.
    Hold,
}

/// What to do when somebody changed the group by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDrift {
    /// Put it back.
    #[default]
    Heal,
    /// Say it and leave it.
    Report,
}

/// An address that has to say yes: an answer of the 2xx kind. Any other
/// answer, or none, is waited out. Not asked for a give-up, a rollback and a
/// first release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// `http://…` or `https://…`, without credentials. It is asked by GET from
    /// where amid runs.
    #[schemars(length(max = 500), regex(pattern = r"^https?://[^\s@]+$"))]
    pub url: String,
    /// How long one answer may take, at most a minute.
    #[serde(default = "Gate::default_timeout")]
    pub timeout: Seconds,
    /// How often it is asked again at once when nobody answers.
    #[serde(default = "Gate::default_retries")]
    #[schemars(range(max = 10))]
    pub retries: u32,
}

impl Gate {
    pub(crate) fn default_timeout() -> Seconds {
        Seconds(5)
    }

    pub(crate) fn default_retries() -> u32 {
        3
    }
}

/// Nothing rolls forward while this stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    /// Why, for the people who will ask.
    #[schemars(length(min = 1))]
    pub reason: String,
    /// When it ends by itself, RFC 3339; without it, when the field is
    /// removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<Timestamp>,
}
