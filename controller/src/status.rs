//! What the daemon shows of itself: one snapshot, replaced as a whole.
//!
//! The page, the API, the command line and the metrics all read this and
//! nothing else, so that none of them can disagree with another.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use amid_core::decide::Phase;
use amid_core::history::deployments::Deployments;
use amid_core::reason::Reason;

/// Everything, at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// When the daemon started.
    pub started: Option<Timestamp>,
    /// When the last pass over all apps ended.
    pub swept: Option<Timestamp>,
    /// The watched repository.
    pub repository: Repository,
    /// Every app, by name.
    pub apps: Vec<App>,
}

impl Status {
    /// The app of this name.
    pub fn app(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.app == name)
    }
}

/// The watched repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repository {
    /// Where it is, without credentials.
    pub url: String,
    /// The branch.
    pub branch: String,
    /// The commit that is acted on.
    pub accepted: Option<String>,
    /// When it was read without an error.
    pub fetched: Option<Timestamp>,
    /// Why it cannot be read now.
    pub error: Option<String>,
    /// What stands in the way of a newer commit.
    pub held: Option<Sentence>,
    /// Files below `desired/` that are no app's, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// One app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Its name.
    pub app: String,
    /// Where it is.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// The team that its manifest names.
    pub owner: Option<String>,
    /// Its terragrunt unit.
    pub unit: Option<String>,
    /// What git asks for.
    pub desired: Option<Desired>,
    /// What is there, the serving release first.
    pub releases: Vec<Release>,
    /// What is being done or waited for, and why.
    pub state: Option<Sentence>,
    /// What stands still.
    pub held: Vec<Sentence>,
    /// What people should know, though nothing stands still for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Sentence>,
    /// The terragrunt run that is under way: `plan add`, `apply drain`.
    pub running: Option<String>,
    /// The AWS account that it lives in.
    #[serde(default)]
    pub account: Option<String>,
    /// The region.
    #[serde(default)]
    pub region: Option<String>,
    /// Healthy instances below which no step of amid takes the app.
    #[serde(default)]
    pub floor: Option<u32>,
    /// The newest commits that asked something of it; the API has a path of
    /// its own for them.
    #[serde(skip)]
    pub history: Deployments,
}

impl App {
    /// An app of which nothing is known but where it is.
    pub fn new(app: &str, phase: Phase, since: Timestamp) -> Self {
        Self {
            app: app.to_owned(),
            phase,
            since,
            owner: None,
            unit: None,
            desired: None,
            releases: Vec::new(),
            state: None,
            held: Vec::new(),
            notes: Vec::new(),
            running: None,
            account: None,
            region: None,
            floor: None,
            history: Deployments::default(),
        }
    }
}

/// What git asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// The release.
    pub key: String,
    /// Its image.
    pub ami: String,
    /// What the manifest says of the image's version.
    pub version: Option<String>,
    /// The commit that asks for it.
    pub commit: String,
    /// When that commit was made.
    #[serde(default)]
    pub committed: Option<Timestamp>,
    /// The first line of that commit.
    pub subject: Option<String>,
    /// Who made the commit.
    pub author: Option<String>,
}

/// One release that is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// The release.
    pub key: String,
    /// Its image, where it is known.
    pub ami: Option<String>,
    /// When that image was made, where it is known.
    #[serde(default)]
    pub image_created: Option<Timestamp>,
    /// Its group.
    pub group: String,
    /// `MinSize`
    pub min: u32,
    /// `MaxSize`
    pub max: u32,
    /// `DesiredCapacity`
    pub desired: u32,
    /// Instances that are in service.
    pub in_service: u32,
    /// Instances that are in service and healthy in every target group, where
    /// that was asked.
    pub healthy: u32,
    /// Its instances.
    pub instances: Vec<Instance>,
    /// Its part in a roll.
    #[serde(default)]
    pub role: Role,
    /// Instances that the group is kept at while a roll runs, 0 for none.
    #[serde(default)]
    pub pin: u32,
    /// What it has to prove, while it is on its way in.
    #[serde(default)]
    pub trial: Option<Trial>,
}

/// The part of a release in a roll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It is there to stay.
    #[default]
    Serving,
    /// It has to prove itself.
    Coming,
    /// It is drained, then removed.
    Going,
}

/// What a release on its way in has to prove, and until when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Healthy instances that it needs.
    pub required: u32,
    /// Since when it has them without a break.
    pub healthy_since: Option<Timestamp>,
    /// When it has had them for the bake time, if nothing happens meanwhile.
    pub bake_until: Option<Timestamp>,
    /// The bake time in seconds.
    pub bake_seconds: u64,
    /// When it is given up, if it stays as it is.
    pub timeout_at: Option<Timestamp>,
    /// The time that it is given to become healthy, in seconds.
    pub timeout_seconds: u64,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its lifecycle state in the group.
    pub lifecycle: String,
    /// What its target groups say, where that was asked.
    pub target: Option<String>,
    /// Whether it counts.
    pub healthy: bool,
}

/// A reason, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// For metrics and search.
    pub label: String,
    /// For people.
    pub text: String,
    /// What frees it, where it is a hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frees: Option<String>,
}

impl Sentence {
    /// Words `reason` for `app`.
    pub fn of(reason: &Reason, app: &str) -> Self {
        Self {
            label: reason.label().to_owned(),
            text: reason.to_string(),
            frees: reason.frees(app),
        }
    }
}

/// What the command line asks of the daemon, with the user who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Look at the repository, and at this app, now.
    Reconcile {
        /// The app; `None` for all.
        app: Option<String>,
    },
    /// Let a held step go on.
    Approve {
        /// The hold's id.
        hold: String,
        /// Who asked.
        user: String,
    },
    /// Stop rolling an app forward.
    Suspend {
        /// The app.
        app: String,
        /// Why.
        reason: String,
        /// Until when.
        until: Option<Timestamp>,
        /// Who asked.
        user: String,
    },
    /// Undo a suspend.
    Resume {
        /// The app.
        app: String,
        /// Who asked.
        user: String,
    },
}

/// A command on its way to the loop, and the way back of its answer: a
/// sentence, or a sentence that says why not.
pub type Asked = (
    Command,
    tokio::sync::oneshot::Sender<Result<String, String>>,
);
