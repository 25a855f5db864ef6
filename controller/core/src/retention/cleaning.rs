//! What one run of clean-up comes to: verdicts, actions and figures.
//!
//! An [`Action`] says everything that the performer needs, as a row of
//! [`Call`]s, each of which is one request to AWS. Killed between any two of
//! them, the next run finds where it stood in AWS itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::inventory::{Place, SnapshotId};
use super::marks::Stage;
use super::permissions::Permission;
use super::reason::{Blocker, Keep, Wait};
use super::reference::Source;
use crate::model::{AmiId, AppName};

/// What a run comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cleaning {
    /// Where.
    pub place: Place,
    /// When it was decided.
    pub at: Timestamp,
    /// Why it only reports; empty when it may act.
    pub blockers: Vec<Blocker>,
    /// What to do now, in this order. Images that are needed come back first,
    /// and also when the run only reports.
    pub actions: Vec<Action>,
    /// What else would be done if nothing blocked the run.
    pub blocked: Vec<Action>,
    /// Images whose next step waits for the second opinion: ask for them, put
    /// the answers into the inventory and decide again.
    pub ask: Vec<AmiId>,
    /// One for each image, in the order of their ids.
    pub images: Vec<Verdict>,
    /// One for each snapshot of ours that no image has any more.
    pub snapshots: Vec<SnapshotVerdict>,
    /// The figures.
    pub summary: Summary,
    /// What the next run has to know of this one.
    pub memory: Memory,
}

impl Cleaning {
    /// The verdict on one image.
    pub fn image(&self, ami: &AmiId) -> Option<&Verdict> {
        let found = self.images.binary_search_by(|verdict| verdict.ami.cmp(ami));
        self.images.get(found.ok()?)
    }
}

/// What is to become of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The image.
    pub ami: AmiId,
    /// Its name.
    pub name: String,
    /// The app that it is for.
    pub app: Option<AppName>,
    /// Its family; `None` when nothing claims it.
    pub family: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Everything that keeps it. Empty when nothing needs it.
    pub keeps: Vec<Keep>,
    /// References to it that do not count any more, as the policy says.
    pub weak: Vec<Keep>,
    /// What it waits for, when nothing keeps it and nothing is done to it.
    pub wait: Option<Wait>,
    /// What is done to it, or would be.
    pub action: Option<ActionKind>,
    /// What its own snapshots hold, those that no other image shares.
    pub bytes: u64,
}

/// What is to become of a snapshot that was ours and that no image has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotVerdict {
    /// The snapshot.
    pub id: SnapshotId,
    /// The image that it belonged to, where that is known.
    pub image: Option<AmiId>,
    /// Where it stands: [`Stage::Kept`] or [`Stage::Stale`], there are no
    /// others for snapshots.
    pub stage: Stage,
    /// Since when.
    pub since: Option<Timestamp>,
    /// It was left over when we deregistered its image.
    pub leftover: bool,
    /// Everything that keeps it.
    pub keeps: Vec<Keep>,
    /// What it waits for.
    pub wait: Option<Wait>,
    /// What is done to it, or would be.
    pub action: Option<ActionKind>,
    /// Its size.
    pub bytes: u64,
}

/// One thing to do to one image or snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What it is.
    pub kind: ActionKind,
    /// To what.
    pub resource: Resource,
    /// The requests, in this order. The first that fails ends the action; the
    /// next run goes on.
    pub calls: Vec<Call>,
    /// What it frees when it is done.
    pub bytes: u64,
}

/// An image or a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// An image.
    Image(AmiId),
    /// A snapshot.
    Snapshot(SnapshotId),
}

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// It is needed again: everything is undone.
    Heal,
    /// Marked as stale.
    Mark,
    /// Deprecated.
    Deprecate,
    /// Disabled.
    Disable,
    /// Deregistered with its snapshots.
    Deregister,
    /// A snapshot is deleted.
    DeleteSnapshot,
}

impl ActionKind {
    /// Every kind, for metrics.
    pub const ALL: &[Self] = &[
        Self::Heal,
        Self::Mark,
        Self::Deprecate,
        Self::Disable,
        Self::Deregister,
        Self::DeleteSnapshot,
    ];

    /// For metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Heal => "heal",
            Self::Mark => "mark",
            Self::Deprecate => "deprecate",
            Self::Disable => "disable",
            Self::Deregister => "deregister",
            Self::DeleteSnapshot => "delete_snapshot",
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Heal => "brought back",
            Self::Mark => "marked as stale",
            Self::Deprecate => "deprecated",
            Self::Disable => "disabled",
            Self::Deregister => "deregistered with its snapshots",
            Self::DeleteSnapshot => "deleted",
        })
    }
}

/// One request to AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// `CreateTags`
    CreateTags {
        /// On what.
        resources: Vec<Resource>,
        /// Which.
        tags: BTreeMap<String, String>,
    },
    /// `DeleteTags`, whatever their values are.
    DeleteTags {
        /// On what.
        resources: Vec<Resource>,
        /// Which.
        keys: Vec<String>,
    },
    /// `EnableImageDeprecation`
    EnableDeprecation {
        /// The image.
        ami: AmiId,
        /// `DeprecateAt`
        at: Timestamp,
    },
    /// `DisableImageDeprecation`
    DisableDeprecation {
        /// The image.
        ami: AmiId,
    },
    /// `DisableImage`
    DisableImage {
        /// The image.
        ami: AmiId,
    },
    /// `EnableImage`
    EnableImage {
        /// The image.
        ami: AmiId,
    },
    /// `ModifyImageAttribute`: launch permissions are added.
    AddPermissions {
        /// The image.
        ami: AmiId,
        /// Which.
        permissions: BTreeSet<Permission>,
    },
    /// `DeregisterImage`, with `DeleteAssociatedSnapshots` where `snapshots`
    /// names some. Where it names none, one of the image's has to stay.
    Deregister {
        /// The image.
        ami: AmiId,
        /// The snapshots whose results are to be read.
        snapshots: Vec<SnapshotId>,
    },
    /// `DeleteSnapshot`
    DeleteSnapshot {
        /// The snapshot.
        snapshot: SnapshotId,
    },
}

/// The figures of a run. Amounts of money are upper bounds: the full size of
/// a snapshot counts, though blocks that later snapshots share are not freed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Images by app and stage; the app is empty where there is none.
    pub images: BTreeMap<String, BTreeMap<Stage, u32>>,
    /// The newest image of each app.
    pub newest: BTreeMap<String, Timestamp>,
    /// Images that are kept, by the label of what keeps them.
    pub protected: BTreeMap<String, u32>,
    /// Bytes of images and snapshots on their way out.
    pub waiting_bytes: u64,
    /// What they cost a month at the most, in dollars.
    pub waiting_cost_upper_bound: f64,
    /// Images that only old launch template versions keep.
    pub only_old_templates: u32,
    /// What those hold.
    pub only_old_templates_bytes: u64,
    /// Images that only branches without a commit for long keep.
    pub only_old_branches: u32,
    /// What those hold.
    pub only_old_branches_bytes: u64,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

/// What the next run has to know of this one. The adapter keeps it in the
/// state directory. Losing it is safe: the first runs only report again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Complete runs so far.
    pub runs: u32,
    /// When the last complete run was.
    pub last: Option<Timestamp>,
    /// How many images each source referenced, by the last run that was
    /// believed.
    pub referenced: BTreeMap<Source, u32>,
    /// How many images were referenced by all of them together.
    pub referenced_total: u32,
    /// Since when fewer are referenced.
    pub fewer_since: Option<Timestamp>,
}
