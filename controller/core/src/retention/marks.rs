//! The stages of an image on its way out, as they stand in AWS itself.
//!
//! A stage is read from the image's own tags and fields, so that losing our
//! journal loses nothing. Each step that changes the image writes down first
//! what it is about to do and last that it is done:
//!
//! | stage | written first | the change | written last |
//! |---|---|---|---|
//! | stale | | | [`STALE`], [`BECAUSE`], [`BY`] |
//! | deprecated | [`DEPRECATING`]: the deprecation it had | `EnableImageDeprecation` | [`DEPRECATED`] |
//! | disabled | [`PERMISSIONS`]: the permissions it had | `DisableImage` | [`DISABLED`] |
//!
//! Killed between any two, the next run finds the first without the last and
//! does the step again. A last one without its change was undone by a person,
//! and the image starts from the beginning.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::image::{Image, ImageState};
pub use super::tags::{
    APP, BASE, BECAUSE, BY, DEPRECATED, DEPRECATING, DEREGISTERING, DISABLED, FAMILY, IMAGE, KEEP,
    KIND, PERMISSIONS, STALE, TAG_VALUE,
};

/// Where an image is on its way out.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing was done to it.
    #[default]
    Kept,
    /// Marked by tags only.
    Stale,
    /// Hidden from the lists of others; it can be launched.
    Deprecated,
    /// It cannot be launched.
    Disabled,
}

impl Stage {
    /// Every stage that an image can stand in.
    pub const ALL: &[Self] = &[Self::Kept, Self::Stale, Self::Deprecated, Self::Disabled];

    /// For metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Stale => "stale",
            Self::Deprecated => "deprecated",
            Self::Disabled => "disabled",
        }
    }
}

/// How an image stands: its stage, and what its marks say besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The stage that it has reached.
    pub stage: Stage,
    /// Since when; `None` where a mark is not written yet or is unreadable.
    pub since: Option<Timestamp>,
    /// Which controller marked it.
    pub by: Option<String>,
    /// A step towards the next stage was begun and not finished.
    pub begun: bool,
    /// A person undid a step by hand, or made a mark unreadable.
    pub undone: bool,
}

impl Standing {
    /// Reads it off the image.
    pub fn of(image: &Image) -> Self {
        let tag = |key: &str| image.tags.get(key).map(String::as_str);
        let time = |key: &str| tag(key).and_then(|text| text.parse::<Timestamp>().ok());
        let disabled = image.state == ImageState::Disabled;
        let mut standing = Self {
            by: tag(BY).map(str::to_owned),
            ..Self::default()
        };
        if !is_marked(&image.tags) {
            return standing;
        }
        if tag(DISABLED).is_some() || (disabled && tag(PERMISSIONS).is_some()) {
            standing.stage = Stage::Disabled;
            standing.since = time(DISABLED);
            standing.begun = tag(DISABLED).is_none();
            standing.undone = !disabled || (tag(DISABLED).is_some() && standing.since.is_none());
        } else if tag(DEPRECATED).is_some() {
            standing.stage = Stage::Deprecated;
            standing.since = time(DEPRECATED);
            standing.begun = tag(PERMISSIONS).is_some();
            standing.undone = image.deprecated.is_none() || standing.since.is_none();
        } else {
            standing.stage = Stage::Stale;
            standing.since = time(STALE);
            standing.begun = tag(DEPRECATING).is_some() || tag(PERMISSIONS).is_some();
            standing.undone = standing.since.is_none();
        }
        standing
    }
}

/// Whether any mark of clean-up is on it.
pub fn is_marked(tags: &BTreeMap<String, String>) -> bool {
    [BY, STALE, DEPRECATING, DEPRECATED, PERMISSIONS, DISABLED]
        .iter()
        .any(|key| tags.contains_key(*key))
}
