//! Whether an image can be launched now: asked before a roll begins, and on
//! a pull request before it is merged.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::inventory::{ImageState, Inventory};
use super::keeps::is_disabled_by_us;
use super::marks::{Stage, Standing};
use crate::model::AmiId;

/// What stands in the way of launching an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "launchable", rename_all = "snake_case")]
pub enum Launchable {
    /// Nothing.
    Yes,
    /// Nothing; but it is on its way out, and has to be brought back first.
    Leaving {
        /// How far it is.
        stage: Stage,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// Clean-up disabled it: it has to be brought back first.
    Disabled {
        /// Since when.
        since: Option<Timestamp>,
    },
    /// Somebody else disabled it.
    DisabledByOthers,
    /// It is in a state in which it cannot be launched.
    NotAvailable {
        /// As AWS words it.
        state: String,
    },
    /// It is not among the images of this account: gone, or somebody else's.
    NotOurs,
    /// The images were not read to the end.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Launchable {
    /// Whether clean-up has to bring it back before it is launched. A leaving
    /// image may be launched too; it must not go on while that happens.
    pub fn needs_healing(&self) -> bool {
        matches!(self, Self::Leaving { .. } | Self::Disabled { .. })
    }

    /// Whether nothing but a person can make it launchable.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::DisabledByOthers | Self::NotAvailable { .. } | Self::NotOurs
        )
    }
}

/// Looks an image up.
pub fn preflight(inventory: &Inventory, ami: &AmiId) -> Launchable {
    let image = inventory
        .images
        .items
        .iter()
        .find(|image| image.ami == *ami);
    let Some(image) = image else {
        return match &inventory.images.incomplete {
            Some(why) => Launchable::Unknown { why: why.clone() },
            None => Launchable::NotOurs,
        };
    };
    let standing = Standing::of(image);
    match image.state {
        ImageState::Available if standing.stage == Stage::Kept => Launchable::Yes,
        ImageState::Available => Launchable::Leaving {
            stage: standing.stage,
            since: standing.since,
        },
        ImageState::Disabled if is_disabled_by_us(image) => Launchable::Disabled {
            since: standing.since,
        },
        ImageState::Disabled => Launchable::DisabledByOthers,
        _ => Launchable::NotAvailable {
            state: image.state.as_str().to_owned(),
        },
    }
}

impl fmt::Display for Launchable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = |f: &mut fmt::Formatter<'_>, since: &Option<Timestamp>| match since {
            Some(since) => write!(f, " since {since:.0}"),
            None => Ok(()),
        };
        match self {
            Self::Yes => f.write_str("it can be launched"),
            Self::Leaving { stage, since: at } => {
                write!(f, "it is on its way out, {}", stage.label())?;
                since(f, at)?;
                f.write_str("; it is brought back before it is launched")
            }
            Self::Disabled { since: at } => {
                f.write_str("clean-up disabled it")?;
                since(f, at)?;
                f.write_str("; it is brought back before it is launched")
            }
            Self::DisabledByOthers => {
                f.write_str("somebody disabled it, and it was not clean-up: enable it first")
            }
            Self::NotAvailable { state } => {
                write!(f, "it cannot be launched, its state is `{state}`")
            }
            Self::NotOurs => f.write_str(
                "it is not among the images of this account: it is gone, or somebody else's",
            ),
            Self::Unknown { why } => write!(f, "nobody knows, the images cannot be read: {why}"),
        }
    }
}
