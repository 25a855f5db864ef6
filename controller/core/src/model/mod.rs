//! The nouns: names and ids, releases, groups and instances.
//!
//! Ids are newtypes, so that an AMI id is never passed where a commit is
//! meant. Their constructors check the form once; everything behind them may
//! rely on it.

mod ids;
mod launch;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use ids::{AmiId, AppName, CommitId, MAX_APP_NAME, ReleaseKey};
pub use launch::{LaunchCause, LaunchFailure};

/// What a manifest says of a machine, as the canonical text that the release
/// key is the hash of: HCL's `jsonencode` of the given fields.
///
/// Live releases are matched by this text and not by the key, so that a later
/// version of the hash would not roll a fleet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(String);

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Settings {
    /// Takes a canonical text as it is. [`crate::manifest`] writes them; they
    /// also come back from terraform's state.
    pub fn from_canonical(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key: the first ten hexadecimal digits of the text's SHA-256.
    pub fn key(&self) -> ReleaseKey {
        ReleaseKey::of_digest(&Sha256::digest(self.0.as_bytes()))
    }

    /// The AMI that the text names, if it names one.
    pub fn ami(&self) -> Option<AmiId> {
        let value: serde_json::Value = serde_json::from_str(&self.0).ok()?;
        AmiId::parse(value.get("ami")?.as_str()?).ok()
    }
}

/// A release as terraform made it: the unit's output `releases`, one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// What it was made with.
    pub settings: Settings,
    /// The lower bound that the manifest asked for.
    pub min_size: u32,
    /// The upper bound that the manifest asked for.
    pub max_size: u32,
    /// The desired capacity that the group was created with.
    pub desired: u32,
    /// The size below which a roll does not let this group fall, 0 for none.
    #[serde(default)]
    pub pin: u32,
    /// Whether its sizes are held at zero.
    #[serde(default)]
    pub drain: bool,
    /// The wiring of the module when this release was made.
    #[serde(default)]
    pub wiring: Option<String>,
}

/// The releases of one unit by key, as terraform's outputs show them.
pub type Releases = BTreeMap<ReleaseKey, Made>;

/// One Auto Scaling group of an app, as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The release that its tag names.
    pub key: ReleaseKey,
    /// The group's name.
    pub name: String,
    /// `MinSize`
    pub min: u32,
    /// `MaxSize`
    pub max: u32,
    /// `DesiredCapacity`
    pub desired: u32,
    /// Its instances, in every lifecycle state.
    pub instances: Vec<Instance>,
    /// Target groups that are attached to it.
    pub target_groups: Vec<String>,
    /// The launch template's version that new instances get.
    pub template_version: Option<String>,
    /// Whether AWS is deleting it.
    pub deleting: bool,
    /// Why the latest launches failed, newest first; asked only while a
    /// release is not healthy.
    pub failures: Vec<LaunchFailure>,
}

impl Group {
    /// Instances that count: in service in the group and healthy in each of
    /// its target groups.
    pub fn healthy(&self) -> u32 {
        count(self.instances.iter().filter(|i| i.is_healthy()))
    }

    /// Instances that are in service in the group, whatever the targets say.
    pub fn in_service(&self) -> u32 {
        count(self.instances.iter().filter(|i| i.in_service))
    }
}

fn count<T>(iter: impl Iterator<Item = T>) -> u32 {
    u32::try_from(iter.count()).unwrap_or(u32::MAX)
}

/// One instance of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The instance id.
    pub id: String,
    /// `LifecycleState` is `InService` and the group calls it healthy.
    pub in_service: bool,
    /// The lifecycle state as AWS words it.
    pub lifecycle: String,
    /// What the target groups say of it.
    pub targets: Targets,
    /// The image that it really runs, where it was asked.
    pub ami: Option<AmiId>,
}

impl Instance {
    /// In service, and no target group says otherwise.
    pub fn is_healthy(&self) -> bool {
        if cfg!(feature = "broken-health") {
            return self.in_service;
        }
        self.in_service && matches!(self.targets, Targets::Healthy | Targets::NotAsked)
    }
}

/// What an instance's target groups say of it, all taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Healthy in every target group of its group.
    Healthy,
    /// Not healthy in at least one; the worst state and its reason as AWS
    /// words them.
    Not {
        /// Such as `initial`, `unhealthy` or `draining`.
        state: String,
        /// Such as `Target.FailedHealthChecks`.
        reason: Option<String>,
    },
    /// Not listed in one of its target groups: not registered yet.
    Missing,
    /// The app says that it has no load balancer.
    NotAsked,
}
