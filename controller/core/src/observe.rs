//! What one look at the world found about one app, as plain data.
//!
//! The adapters fill it, [`crate::decide`] reads it. A field that could not be
//! read is never guessed: the look itself fails, and the app waits.

use crate::manifest::Manifest;
use crate::memory::Memory;
use crate::model::{AmiId, CommitId, Group, ReleaseKey, Releases, Settings};

/// What git asks of one app at the accepted commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Desired {
    /// A manifest without mistakes.
    Wanted {
        /// The manifest.
        manifest: Box<Manifest>,
        /// The newest commit that changed it.
        commit: CommitId,
    },
    /// A manifest with mistakes.
    Invalid {
        /// How many.
        problems: u32,
        /// The first one, with its place.
        first: String,
    },
    /// No manifest, though the app runs.
    Missing,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The app's groups, by its tag.
    pub groups: Vec<Group>,
    /// The releases in terraform's state.
    pub made: Releases,
    /// What the state remembers.
    pub memory: Memory,
    /// Whether the unit has a state at all.
    pub has_state: bool,
    /// The wanted image, asked for only while it is not live.
    pub image: ImageFact,
    /// A template or group of the wanted release that AWS has and terraform's
    /// state has not.
    pub leftover: Option<Leftover>,
    /// A group of another release that git once asked for, which AWS has and
    /// terraform's state has not.
    pub stray: Option<Stray>,
    /// The unit's code at the accepted commit, as one hash.
    pub code: Option<String>,
    /// The wiring that a new release would be made with, as of the last apply.
    pub wiring: Option<String>,
    /// The accepted commit.
    pub head: Option<CommitId>,
    /// The commit that the state remembers is not in the accepted commit's
    /// past, and nobody approved that.
    pub rewritten: bool,
    /// What the app's gate says.
    pub gate: GateFact,
    /// How many other apps roll, where that is as many as may roll at once.
    pub turn_taken: Option<u32>,
}

impl Observed {
    /// The group of a release.
    pub fn group(&self, key: &ReleaseKey) -> Option<&Group> {
        self.groups.iter().find(|group| group.key == *key)
    }
}

/// What AWS says of the wanted image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ImageFact {
    /// Not asked: the image is live already.
    #[default]
    NotAsked,
    /// It can be launched.
    Available {
        /// `x86_64`, `arm64` …
        architecture: String,
        /// An instance type of the manifest that cannot run it, and the
        /// architecture that this type has.
        misfit: Option<(String, String)>,
    },
    /// It exists, in another state than `available`.
    NotAvailable {
        /// The state as AWS words it.
        state: String,
    },
    /// It does not exist, or is not shared with the account.
    Missing,
}

/// What the gate of an app says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GateFact {
    /// It was not asked: no step needed it so far.
    #[default]
    NotAsked,
    /// Go on.
    Open,
    /// Wait; what it answered, or why it could not be asked.
    Closed {
        /// In a few words.
        said: String,
    },
}

/// A group that an interrupted apply made of a release that git asks for no
/// more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The release.
    pub key: ReleaseKey,
    /// What it was made with, as an older commit says.
    pub settings: Settings,
    /// Its template and group.
    pub leftover: Leftover,
}

/// Made in AWS, but not recorded: an apply was killed between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The launch template's id.
    pub template_id: String,
    /// The group's name, when it came to that.
    pub group_name: Option<String>,
    /// The image that the template names.
    pub ami: Option<AmiId>,
}
