//! Everything that one run of clean-up has read, as plain data.
//!
//! The adapters fill an [`Inventory`], the decision reads it. Each list
//! says for itself whether it was read to its end: a list that was not, or
//! that is not there at all, lets the whole run only report. Nothing in here
//! is guessed, and nothing that an adapter could not read is left out in
//! silence.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use super::image::{Image, ImageState, Snapshot, SnapshotId};
use super::reference::{Reference, Source};
use crate::model::AmiId;

/// An account and a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The account id, 12 digits.
    pub account: String,
    /// The region, such as `eu-central-1`.
    pub region: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

/// A list, and whether it was read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing<T> {
    /// What was read.
    pub items: Vec<T>,
    /// Why it is not all: an error, a page too many, a token that came twice.
    /// `None` when every page was read.
    pub incomplete: Option<String>,
}

impl<T> Listing<T> {
    /// Read to the end.
    pub fn complete(items: Vec<T>) -> Self {
        Self {
            items,
            incomplete: None,
        }
    }

    /// Not read to the end.
    pub fn incomplete(items: Vec<T>, why: impl Into<String>) -> Self {
        Self {
            items,
            incomplete: Some(why.into()),
        }
    }
}

impl<T> Default for Listing<T> {
    /// A list that nobody read: not complete.
    fn default() -> Self {
        Self::incomplete(Vec::new(), "it was not read")
    }
}

/// Everything that one run has read about one account and region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// What it is about.
    pub place: Place,
    /// When the first of its lists was begun. The age of the whole.
    pub taken_at: Timestamp,
    /// All own images, disabled and deprecated ones too.
    pub images: Listing<Image>,
    /// All own snapshots.
    pub snapshots: Listing<Snapshot>,
    /// Who names images here.
    pub references: References,
    /// Other accounts and regions that are read as well.
    pub elsewhere: Vec<Elsewhere>,
    /// What `DescribeImageReferences` answered about the images that the last
    /// decision on this same inventory asked for ([`super::Cleaning::ask`]).
    /// An image without an entry was not answered.
    pub second_opinion: BTreeMap<AmiId, Vec<Referrer>>,
    /// What else the adapters noticed about this run.
    pub circumstances: Circumstances,
}

/// Who names images in one account and region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    /// By source. A source that has to be read and has no entry counts as a
    /// list that is not complete.
    pub lists: BTreeMap<Source, Listing<Reference>>,
    /// The images behind SSM parameters, for every
    /// [`Target::Parameter`](super::Target::Parameter) above: keyed by the
    /// same text. `None` when the parameter provably does not exist. One
    /// without an entry is not resolved, and the run only reports.
    pub parameters: BTreeMap<String, Option<AmiId>>,
}

/// Another account or region, read with the role that the config gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Where.
    pub place: Place,
    /// Images there that are copies of images here.
    pub copies: Listing<CopiedImage>,
    /// Who names images there: [`Source::ELSEWHERE`] has to be read.
    pub references: References,
}

/// An image that was copied to another account or region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedImage {
    /// Its id there.
    pub ami: AmiId,
    /// The image here that it is a copy of, by `SourceImageId` or by tag.
    pub of: AmiId,
}

/// What else was noticed about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    /// By how much this machine's clock is off, in either direction: against
    /// the `Date` of AWS's answers, or against the monotonic clock.
    pub clock_error: Option<SignedDuration>,
    /// When AWS or git was last not to be reached, as far as it is known.
    pub trouble: Option<Timestamp>,
    /// Recycle Bin rules that keep images or snapshots for a while, as words.
    pub recycle_bin: Vec<String>,
}

/// What `DescribeImageReferences` says uses an image. The adapter asks for
/// every resource type, version depth 10,000, and leaves terminated instances
/// out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referrer {
    /// Such as `ec2:LaunchTemplate`.
    pub resource_type: String,
    /// Its ARN.
    pub arn: String,
}
