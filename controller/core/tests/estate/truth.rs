//! What really is: images, and everything that can name one. Kept as plain
//! things, not as references, so that the model that says what is needed
//! shares nothing with the code under test.

use std::collections::{BTreeMap, BTreeSet};

use amid_core::model::AmiId;
use amid_core::retention::{Permission, Source};
use jiff::Timestamp;

/// Ours, and the one other place that is read.
pub const HERE: usize = 0;
pub const THERE: usize = 1;

/// An account that is read, and one that is not.
pub const ACCOUNTS: [&str; 2] = ["111111111111", "222222222222"];
pub const STRANGER: &str = "333333333333";

#[derive(Clone, Debug)]
pub struct Truth {
    pub images: Vec<Img>,
    pub disks: Vec<Disk>,
    pub things: Vec<Thing>,
    pub templates: Vec<Tpl>,
    /// By name, in one place each.
    pub parameters: BTreeMap<String, (usize, Point)>,
    pub branches: Vec<Branch>,
    /// What the manifests on the accepted branch said, the newest last.
    pub changes: Vec<Change>,
    pub git_tags: Vec<(String, usize)>,
    /// Copies of images in the other place.
    pub copies: Vec<usize>,
    pub next: u32,
}

/// An image of ours.
#[derive(Clone, Debug)]
pub struct Img {
    pub gone: bool,
    pub name: String,
    pub state: State,
    pub created: Timestamp,
    pub launched: Option<Timestamp>,
    pub deprecated: Option<Timestamp>,
    /// Since when the cleaner has it disabled.
    pub disabled: Option<Timestamp>,
    pub protected: bool,
    pub permissions: BTreeSet<Permission>,
    /// Those that it has to have when it is not on its way out.
    pub meant: BTreeSet<Permission>,
    /// The deprecation that it has to have then.
    pub meant_deprecated: Option<Timestamp>,
    pub tags: BTreeMap<String, String>,
    pub base: Option<usize>,
    /// `SourceImageId` and no tag.
    pub base_by_aws: bool,
    pub disks: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Available,
    Disabled,
    Failed,
}

/// A snapshot.
#[derive(Clone, Debug)]
pub struct Disk {
    pub gone: bool,
    pub created: Timestamp,
    pub tags: BTreeMap<String, String>,
    pub shared: bool,
    pub locked: bool,
    pub backup: bool,
}

/// What something names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Point {
    Image(usize),
    /// The copy of an image in the other place.
    Copy(usize),
    Parameter(String),
    Template(usize, Pin),
    Disk(usize),
    /// An image that is not ours.
    Foreign,
    Nothing,
}

/// The version of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    Default,
    Latest,
    Number(u64),
}

/// Something that names one image.
#[derive(Clone, Debug)]
pub struct Thing {
    pub id: u32,
    pub source: Source,
    pub place: usize,
    pub point: Point,
    pub created: Timestamp,
}

/// A launch template.
#[derive(Clone, Debug)]
pub struct Tpl {
    pub place: usize,
    pub versions: Vec<(u64, Point, Timestamp)>,
    pub default: u64,
}

impl Tpl {
    pub fn latest(&self) -> u64 {
        self.versions.iter().map(|(n, ..)| *n).max().unwrap_or(0)
    }

    pub fn number(&self, pin: Pin) -> u64 {
        match pin {
            Pin::Default => self.default,
            Pin::Latest => self.latest(),
            Pin::Number(n) => n,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Branch {
    pub name: String,
    pub committed: Timestamp,
    pub names: Vec<usize>,
}

/// A commit on the accepted branch that set an app's image.
#[derive(Clone, Debug)]
pub struct Change {
    pub at: Timestamp,
    pub app: usize,
    pub image: usize,
}

pub fn ami(n: usize) -> AmiId {
    AmiId::parse(&format!("ami-{n:08x}")).unwrap()
}

/// The id of an image's copy.
pub fn copy(n: usize) -> AmiId {
    AmiId::parse(&format!("ami-c{n:07x}")).unwrap()
}

pub fn number(ami: &AmiId) -> usize {
    usize::from_str_radix(&ami.as_str()[4..], 16).unwrap()
}

pub fn disk_id(n: usize) -> String {
    format!("snap-{n:08x}")
}

impl Truth {
    pub fn id(&mut self) -> u32 {
        self.next += 1;
        self.next
    }
}
