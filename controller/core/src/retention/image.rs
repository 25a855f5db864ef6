//! An image and its snapshots, as AWS shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::permissions::Permission;
use crate::model::AmiId;

/// One of our images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its id.
    pub ami: AmiId,
    /// `Name`
    pub name: String,
    /// `State`
    pub state: ImageState,
    /// `CreationDate`; `None` when AWS names none or one that cannot be read.
    pub created: Option<Timestamp>,
    /// `LastLaunchedTime`; AWS tells it a day late.
    pub last_launched: Option<Timestamp>,
    /// `DeprecationTime`
    pub deprecated: Option<Timestamp>,
    /// `DeregistrationProtection`, when it is anything but `disabled`.
    pub protection: Option<String>,
    /// Who may launch it besides the owner (`DescribeImageAttribute`). A
    /// disabled image has none left.
    pub permissions: BTreeSet<Permission>,
    /// `SourceImageId`
    pub source: Option<AmiId>,
    /// Snapshots of its block devices.
    pub snapshots: Vec<SnapshotId>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// `State` of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageState {
    /// It can be launched.
    Available,
    /// It cannot be launched until somebody enables it.
    Disabled,
    /// It is being made: `pending` or `transient`.
    Pending,
    /// It never became an image: `failed`, `error`, `invalid`.
    Failed,
    /// It is gone, and AWS still shows it for a while.
    Deregistered,
    /// A word of AWS that is not known here. Left alone.
    Other(String),
}

impl ImageState {
    /// Sorts AWS's words.
    pub fn of(text: &str) -> Self {
        match text {
            "available" => Self::Available,
            "disabled" => Self::Disabled,
            "pending" | "transient" => Self::Pending,
            "failed" | "error" | "invalid" => Self::Failed,
            "deregistered" => Self::Deregistered,
            other => Self::Other(other.to_owned()),
        }
    }

    /// For people.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Available => "available",
            Self::Disabled => "disabled",
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::Deregistered => "deregistered",
            Self::Other(other) => other,
        }
    }
}

/// The id of an EBS snapshot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(pub String);

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One of our EBS snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// `StartTime`
    pub created: Option<Timestamp>,
    /// `FullSnapshotSizeInBytes`, else the size of its volume.
    pub bytes: u64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Accounts that may use it (`createVolumePermission`), `all` for
    /// everybody.
    pub shared_with: BTreeSet<String>,
    /// AWS Backup made it; EC2 refuses to delete it.
    pub backup: bool,
    /// A snapshot lock or another protection, as AWS words it.
    pub locked: Option<String>,
}
