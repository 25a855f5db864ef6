//! Why an image stays, what it waits for, and why a run only reports: closed
//! lists, each with a sentence, a label for metrics and what a person can do.
//!
//! Table, JSON, log and page show the same sentence, because there is only
//! one. Sentences have no full stop.

mod text;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::inventory::{Place, Referrer};
use super::marks::Stage;
use super::reference::{Evidence, Source};
use super::span::Span;
use crate::model::AmiId;

/// What keeps an image or a snapshot. One is enough.
#[allow(missing_docs, reason = "`Display` shows what each field means")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "keep", rename_all = "snake_case")]
pub enum Keep {
    /// Something names it.
    Referenced { evidence: Evidence },
    /// Something in another account or region names it, or its copy there.
    ReferencedElsewhere {
        place: Place,
        copy: Option<AmiId>,
        evidence: Evidence,
    },
    /// It is shared with somebody whose account is not read.
    SharedOutside { with: String },
    /// A kept image was built from it.
    BaseOf { ami: AmiId },
    /// It is being made.
    BuildUnderWay { state: String },
    /// It is young and has no tags yet: builders tag last.
    Untagged { until: Timestamp },
    /// No entry of the allow-list claims it.
    Unclaimed,
    /// The tag `amid:keep` is on it.
    Protected {
        why: String,
        until: Option<Timestamp>,
    },
    /// Deregistration protection is on.
    DeregistrationProtection { state: String },
    /// It is one of the newest of its family.
    Newest { family: String, rank: u32, of: u32 },
    /// It is too young.
    Young { until: Timestamp },
    /// Nobody knows how old it is.
    AgeUnknown,
    /// It was launched not long ago.
    Launched { at: Timestamp, until: Timestamp },
    /// AWS Backup made it and looks after it.
    Backup,
    /// Another controller marked it.
    OtherController { by: String },
    /// Somebody else disabled it.
    DisabledByOthers,
    /// Its state is a word that is not known here.
    UnknownState { state: String },
    /// A snapshot is locked.
    Locked { state: String },
}

/// What an image or snapshot that nothing keeps waits for before its next
/// stage.
#[allow(missing_docs, reason = "`Display` shows what each field means")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wait", rename_all = "snake_case")]
pub enum Wait {
    /// The stage has its time.
    Stage { stage: Stage, until: Timestamp },
    /// An image that was built from it is not gone yet.
    Descendant { ami: AmiId },
    /// This run has done as much as one run may.
    Turn { limit: Limit },
    /// The second opinion has not been heard.
    SecondOpinion,
    /// The second opinion knows of a user that no list named.
    Disagreement { referrer: Referrer },
    /// Its launch permissions do not fit into tags.
    Permissions { count: u32 },
    /// The run only reports.
    ReportOnly,
}

/// Which limit of a run is reached.
#[allow(missing_docs, reason = "`Display` shows what each field means")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "limit", rename_all = "snake_case")]
pub enum Limit {
    Images {
        max: u32,
    },
    Percent {
        max: u32,
        percent: u32,
    },
    Family {
        family: String,
        max: u32,
        percent: u32,
    },
}

/// Why a run only reports.
#[allow(missing_docs, reason = "`Display` shows what each field means")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "blocker", rename_all = "snake_case")]
pub enum Blocker {
    /// The kill switch.
    Off,
    /// The config says so.
    ReportMode,
    /// The install is new.
    FirstRuns { done: u32, of: u32 },
    /// A list was not read to its end.
    Incomplete {
        list: List,
        place: Option<Place>,
        why: String,
    },
    /// A reference names something that cannot be followed to an image.
    Unresolved { what: String, evidence: Evidence },
    /// Fewer images are referenced than last time.
    FewerReferences {
        source: Option<Source>,
        before: u32,
        now: u32,
        until: Timestamp,
    },
    /// The clock ran backwards, or is off.
    Clock { error: SignedDuration },
    /// The inventory is too old.
    InventoryOld { age: Span, max: Span },
    /// The last complete run is too long ago.
    Gap { last: Timestamp },
    /// AWS or git was not to be reached a moment ago.
    Outage { until: Timestamp },
    /// The second opinion disagreed too often.
    Disagreements { count: u32 },
}

/// A list that every run reads to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// The images.
    Images,
    /// The snapshots.
    Snapshots,
    /// Copies in other accounts and regions.
    Copies,
    /// A source of references.
    #[serde(untagged)]
    Source(Source),
}
