//! What else an account holds that has to do with images: snapshots, volumes, further launch template
//! versions, launch configurations, fleets, parameters and rules of the Recycle Bin.
//!
//! The stand-in shows and changes it as AWS would. It is plain data: a test writes down what it wants to be
//! there.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Cloud;

/// What surrounds the images of an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Estate {
    /// Snapshots by id.
    pub snapshots: BTreeMap<String, Snapshot>,
    /// Volumes by id, and the snapshot that each was made of.
    pub volumes: BTreeMap<String, String>,
    /// Instances outside of groups, by id.
    pub instances: BTreeMap<String, LoneInstance>,
    /// Launch templates' versions beyond the first, by the template's id.
    pub versions: BTreeMap<String, Vec<TemplateVersion>>,
    /// Launch configurations by name, and the image of each.
    pub configurations: BTreeMap<String, String>,
    /// Launch configurations of groups that have one instead of a launch template, by group.
    pub group_configurations: BTreeMap<String, String>,
    /// Mixed instances policies by group.
    pub mixed: BTreeMap<String, Mixed>,
    /// Instance refreshes by group.
    pub refreshes: BTreeMap<String, Vec<Refresh>>,
    /// Warm pools by group: instance ids.
    pub warm_pools: BTreeMap<String, Vec<String>>,
    /// EC2 fleets by id.
    pub fleets: BTreeMap<String, Fleet>,
    /// Spot fleet requests by id.
    pub spot_fleets: BTreeMap<String, Fleet>,
    /// Spot Instance requests by id.
    pub spot_requests: BTreeMap<String, SpotRequest>,
    /// SSM parameters by name.
    pub parameters: BTreeMap<String, String>,
    /// Rules of the Recycle Bin: id and resource type.
    pub recycle_rules: BTreeMap<String, String>,
    /// What `DescribeImageReferences` says besides, by image: resource type and ARN.
    pub other_references: BTreeMap<String, Vec<(String, String)>>,
}

/// What an image has besides its name and state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// When it was made; the start of 2026 where none.
    pub created: Option<Timestamp>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its snapshots, the root device's first.
    pub snapshots: Vec<String>,
    /// From when on it is deprecated.
    pub deprecated: Option<Timestamp>,
    /// When it was last launched.
    pub launched: Option<Timestamp>,
    /// Whether it cannot be deregistered.
    pub protected: bool,
    /// The accounts that may launch it; `all` for everybody.
    pub shared: Vec<String>,
    /// The image that it was copied from or made of.
    pub source: Option<String>,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its full size in bytes.
    pub bytes: u64,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its description.
    pub description: String,
    /// The accounts that may make volumes of it; `all` for everybody.
    #[serde(default)]
    pub shared: Vec<String>,
    /// How its deletion ends instead of well: `internal-error`, `client-error`, …
    #[serde(default)]
    pub refused: Option<String>,
}

/// An instance outside of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoneInstance {
    /// Its image.
    pub image: String,
    /// `pending`, `running`, `stopped`, `terminated`, …
    pub state: String,
}

/// A version of a launch template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateVersion {
    /// Its number.
    pub number: u32,
    /// An image id, or `resolve:ssm:…`.
    pub image: String,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it is the default.
    pub default: bool,
}

/// A mixed instances policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mixed {
    /// The launch template and its version.
    pub template: (String, String),
    /// Overrides with a launch template and a version of their own.
    pub templates: Vec<(String, String)>,
    /// Overrides with an image of their own.
    pub images: Vec<String>,
}

/// An instance refresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// `InProgress`, `Successful`, …
    pub status: String,
    /// The launch template and version that it goes to.
    pub desired: (String, String),
}

/// An EC2 fleet or a spot fleet request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// `active`, `cancelled`, …
    pub state: String,
    /// Launch templates and versions.
    pub templates: Vec<(String, String)>,
    /// Images that it names itself.
    pub images: Vec<String>,
}

/// A Spot Instance request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotRequest {
    /// `open`, `active`, `closed`, …
    pub state: String,
    /// The image that it launches.
    pub image: String,
}

impl Cloud {
    /// Adds an image with one snapshot and these tags, made at this time; answers the snapshot's id.
    pub fn add_image_with_snapshot(
        &mut self,
        id: &str,
        name: &str,
        created: Timestamp,
        tags: &[(&str, &str)],
    ) -> String {
        self.add_image(id, "x86_64", true);
        let snapshot = self.next_id("snap");
        let tags: BTreeMap<String, String> = tags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        self.estate.snapshots.insert(
            snapshot.clone(),
            Snapshot {
                bytes: 8 << 30,
                created,
                tags: tags.clone(),
                description: format!("Created by CreateImage(i-0) for {id}"),
                shared: Vec::new(),
                refused: None,
            },
        );
        if let Some(image) = self.images.get_mut(id) {
            name.clone_into(&mut image.name);
            image.details.created = Some(created);
            image.details.tags = tags;
            image.details.snapshots = vec![snapshot.clone()];
        }
        snapshot
    }

    /// The image that a launch template's version names; `$Default` and `$Latest` are understood.
    pub fn image_of_version(&self, template: &str, version: &str) -> Option<&str> {
        let first = self.templates.get(template)?;
        let more = self.estate.versions.get(template).map_or(&[][..], |v| v);
        let found = match version {
            "$Default" => more.iter().find(|version| version.default),
            "$Latest" => more.iter().max_by_key(|version| version.number),
            number => more
                .iter()
                .find(|version| version.number.to_string() == number),
        };
        Some(found.map_or(&*first.image, |found| &*found.image))
    }

    /// Takes an image away and, where that is asked, its snapshots: each with how that ended.
    pub(crate) fn deregister(
        &mut self,
        id: &str,
        with_snapshots: bool,
    ) -> Result<Vec<(String, String)>> {
        let Some(image) = self.images.get(id) else {
            bail!("InvalidAMIID.Unavailable: The image ID '{id}' is no longer available");
        };
        ensure!(
            !image.details.protected,
            "OperationNotPermitted: The image '{id}' is protected from deregistration"
        );
        let snapshots = image.details.snapshots.clone();
        self.images.remove(id);
        if !with_snapshots {
            return Ok(Vec::new());
        }
        let mut results = Vec::new();
        for snapshot in snapshots {
            let code = match self.estate.snapshots.get(&snapshot) {
                _ if self.uses(&snapshot).is_some() => "skipped".to_owned(),
                Some(Snapshot {
                    refused: Some(code),
                    ..
                }) => code.clone(),
                _ => {
                    self.estate.snapshots.remove(&snapshot);
                    "success".to_owned()
                }
            };
            results.push((snapshot, code));
        }
        Ok(results)
    }

    /// The image that a snapshot is part of.
    pub(crate) fn uses(&self, snapshot: &str) -> Option<&str> {
        let mut images = self.images.iter();
        let found = images.find(|(_, image)| image.details.snapshots.iter().any(|s| s == snapshot));
        found.map(|(id, _)| id.as_str())
    }
}
