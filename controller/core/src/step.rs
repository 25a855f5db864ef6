//! What can be done to an app, as values.
//!
//! A [`Step`] says everything that the performer needs: the variables of one
//! small terragrunt apply and exactly which changes its plan may hold, or the
//! revert commit to write. Steps are compared in tests and performed by dull
//! code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{AmiId, CommitId, Group, Made, ReleaseKey, Releases, Settings};
use crate::observe::{Leftover, Observed};
use crate::reason::{Failure, Reason};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// One plan and apply of the app's unit.
    Apply(Box<Apply>),
    /// A commit that sets the manifest back to the live release.
    Revert(Box<Revert>),
}

impl Step {
    /// Why.
    pub fn reason(&self) -> &Reason {
        match self {
            Self::Apply(apply) => &apply.reason,
            Self::Revert(revert) => &revert.reason,
        }
    }
}

/// One plan and apply of the app's unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply {
    /// Which arrow of the roll this is.
    pub kind: ApplyKind,
    /// The release that the arrow is about.
    pub key: ReleaseKey,
    /// Why.
    pub reason: Reason,
    /// The value of the variable `releases`.
    pub releases: Releases,
    /// Groups that this apply may leave out.
    pub may_remove: Vec<String>,
    /// What the state is to remember.
    pub memory: Memory,
    /// What is to be taken into the state.
    pub adopt: Option<(ReleaseKey, Leftover)>,
    /// What its plan may hold, and nothing else.
    pub expected: Expected,
    /// What must still be so between plan and apply.
    pub guard: Guard,
}

/// The arrows of a roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyKind {
    /// A release is made.
    Add,
    /// The new release grows to full size.
    Grow,
    /// A group's sizes go to zero.
    Drain,
    /// A drained group gets its sizes back.
    Restore,
    /// An empty group is deleted.
    Remove,
    /// Sizes or pins change in place.
    Resize,
    /// A change by hand is undone.
    Heal,
    /// Nothing is expected: the unit's code changed.
    Check,
}

impl ApplyKind {
    /// For metrics and journal.
    pub fn label(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Grow => "grow",
            Self::Drain => "drain",
            Self::Restore => "restore",
            Self::Remove => "remove",
            Self::Resize => "resize",
            Self::Heal => "heal",
            Self::Check => "check",
        }
    }

    /// Every arrow, for metrics.
    pub const ALL: &[Self] = &[
        Self::Add,
        Self::Grow,
        Self::Drain,
        Self::Restore,
        Self::Remove,
        Self::Resize,
        Self::Heal,
        Self::Check,
    ];
}

/// What must hold, looked at again right before the apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// These releases have at least so many healthy instances.
    pub healthy: BTreeMap<ReleaseKey, u32>,
    /// These releases have no instance at all.
    pub empty: BTreeSet<ReleaseKey>,
}

impl Guard {
    /// Whether it holds in `observed`.
    pub fn holds(&self, observed: &Observed) -> bool {
        let healthy = self.healthy.iter().all(|(key, required)| {
            observed
                .group(key)
                .is_some_and(|group| group.healthy() >= *required)
        });
        let empty = self.empty.iter().all(|key| {
            observed
                .group(key)
                .is_none_or(|group| group.instances.is_empty())
        });
        healthy && empty
    }
}

/// A commit that sets the manifest back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// Why.
    pub reason: Reason,
    /// What failed.
    pub failure: Failure,
    /// The commit that asked for it.
    pub answers: CommitId,
    /// The launch settings to go back to.
    pub to: Settings,
    /// The image that failed.
    pub from_ami: AmiId,
    /// The image that is live.
    pub to_ami: AmiId,
}

/// What must not be forgotten even when the controller's disk is lost: a
/// small JSON text in the unit's state, written in the very apply that it
/// belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The roll that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll: Option<Roll>,
    /// Releases that failed, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
    /// Releases that served, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub served: Vec<ReleaseKey>,
}

/// The most failed or served releases that are remembered.
const REMEMBERED: usize = 8;

impl Memory {
    /// As the text that the module keeps.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// From the text that the module keeps. What cannot be read is a newer
    /// version's or damaged; forgetting it would try failed releases again.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn from_text(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Whether `key` failed when `commit` asked for it.
    pub fn failure(&self, key: &ReleaseKey, commit: &CommitId) -> Option<&Failed> {
        self.failed
            .iter()
            .rev()
            .find(|failed| failed.key == *key && failed.commit == *commit)
    }

    pub(crate) fn remember_failed(&mut self, failed: Failed) {
        self.failed
            .retain(|f| f.key != failed.key || f.commit != failed.commit);
        self.failed.push(failed);
        trim(&mut self.failed);
    }

    pub(crate) fn remember_served(&mut self, key: &ReleaseKey) {
        self.served.retain(|k| k != key);
        self.served.push(key.clone());
        trim(&mut self.served);
    }
}

fn trim<T>(items: &mut Vec<T>) {
    let surplus = items.len().saturating_sub(REMEMBERED);
    items.drain(..surplus);
}

/// A roll that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roll {
    /// The release that serves.
    pub from: ReleaseKey,
    /// The release that is to take over.
    pub to: ReleaseKey,
    /// The commit that asked for it.
    pub commit: CommitId,
    /// The old release goes first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recreate: bool,
    /// The old group's desired capacity when it was drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry: Option<u32>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// A release that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The release.
    pub key: ReleaseKey,
    /// The commit that asked for it.
    pub commit: CommitId,
    /// Why it was given up.
    pub failure: Failure,
    /// When.
    pub at: Timestamp,
}

/// What a plan does to one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Create,
    /// It is changed in place.
    Update,
    /// It is deleted.
    Delete,
    /// It is deleted and made again, in either order.
    Replace,
    /// It is taken into the state, and nothing else.
    Import,
    /// Anything else that terraform names.
    Other,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Replace => "replace",
            Self::Import => "import",
            Self::Other => "other",
        })
    }
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// The resource, without the address of a module around it.
    pub address: String,
    /// What happens to it.
    pub action: Action,
}

impl Change {
    fn new(action: Action, address: String) -> Self {
        Self { address, action }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.address)
    }
}

/// Attributes of a group that an update may change.
pub const GROUP_ATTRIBUTES: &[&str] = &[
    "desired_capacity",
    "max_size",
    "min_size",
    "suspended_processes",
];

/// Which changes a plan must hold and which it may hold besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Each of them has to be there.
    pub must: BTreeSet<Change>,
    /// These may be there.
    pub may: BTreeSet<Change>,
    /// So may these, for every address that starts like this.
    pub may_prefix: Vec<Change>,
}

impl Expected {
    /// What making `wanted` out of `observed` changes.
    pub fn between(
        observed: &Observed,
        wanted: &Releases,
        memory: &Memory,
        adopt: Option<&(ReleaseKey, Leftover)>,
    ) -> Self {
        let mut expected = Self::default();
        for key in wanted.keys() {
            let adopted = adopt
                .filter(|(adopted, _)| adopted == key)
                .map(|(_, leftover)| leftover);
            match (observed.made.get(key), wanted.get(key)) {
                (None, _) => expected.creates(key, adopted),
                (Some(_), Some(made)) => expected.updates(observed.group(key), key, made),
                (Some(_), None) => {}
            }
        }
        // What an apply that failed halfway made of a release stands in the
        // state, but not in its outputs.
        let begun = observed.memory.roll.iter().map(|roll| &roll.to);
        let gone: BTreeSet<&ReleaseKey> = observed.made.keys().chain(begun).collect();
        for key in gone.into_iter().filter(|key| !wanted.contains_key(*key)) {
            expected.deletes(observed, key);
        }
        if observed.has_state && observed.made.is_empty() {
            // The first apply failed somewhere, perhaps for another release.
            // One with a group is held long before.
            for address in ["terraform_data.release[", "aws_launch_template.release["] {
                let delete = Change::new(Action::Delete, address.to_owned());
                expected.may_prefix.push(delete);
            }
            for (action, address) in [
                (Action::Create, GUARD),
                (Action::Create, MEMORY),
                (Action::Update, MEMORY),
            ] {
                expected.may.insert(Change::new(action, address.to_owned()));
            }
        } else if !observed.has_state {
            expected
                .must
                .insert(Change::new(Action::Create, GUARD.to_owned()));
            expected
                .must
                .insert(Change::new(Action::Create, MEMORY.to_owned()));
        } else if *memory != observed.memory {
            expected
                .must
                .insert(Change::new(Action::Update, MEMORY.to_owned()));
        }
        expected
    }

    fn deletes(&mut self, observed: &Observed, key: &ReleaseKey) {
        // What is gone already is not deleted: somebody did it, or an earlier
        // apply that failed later.
        let is_whole = observed.made.contains_key(key) && observed.group(key).is_some();
        let changes = if is_whole {
            &mut self.must
        } else {
            &mut self.may
        };
        for address in addresses(key) {
            changes.insert(Change::new(Action::Delete, address));
        }
        for address in extras(key) {
            self.may_prefix.push(Change::new(Action::Delete, address));
        }
    }

    fn creates(&mut self, key: &ReleaseKey, adopted: Option<&Leftover>) {
        let [record, template, group] = addresses(key);
        // An apply that failed right after it left it in the state.
        self.may.insert(Change::new(Action::Create, record));
        if adopted.is_some() {
            // What is imported may also be brought in line in the same apply.
            self.may
                .insert(Change::new(Action::Import, template.clone()));
            self.may.insert(Change::new(Action::Update, template));
        } else {
            self.must.insert(Change::new(Action::Create, template));
        }
        if adopted.is_some_and(|leftover| leftover.group_name.is_some()) {
            self.may.insert(Change::new(Action::Import, group.clone()));
            self.may.insert(Change::new(Action::Update, group));
        } else {
            self.must.insert(Change::new(Action::Create, group));
        }
        for address in extras(key) {
            self.may_prefix.push(Change::new(Action::Create, address));
        }
    }

    fn updates(&mut self, group: Option<&Group>, key: &ReleaseKey, wanted: &Made) {
        let [record, template, address] = addresses(key);
        match group {
            // Its policies and schedules went with it, perhaps its template.
            None => {
                self.must.insert(Change::new(Action::Create, address));
                self.may.insert(Change::new(Action::Create, record));
                self.may.insert(Change::new(Action::Create, template));
                for address in extras(key) {
                    self.may_prefix.push(Change::new(Action::Create, address));
                }
            }
            Some(group) if (group.min, group.max) != effective(wanted) => {
                self.must.insert(Change::new(Action::Update, address));
            }
            // A schedule's process is suspended while a roll runs; a template
            // version that somebody changed is put back.
            Some(_) => {
                self.may.insert(Change::new(Action::Update, address));
            }
        }
    }

    /// What of `changes` is not expected, and what is missing, in words.
    pub fn unexpected(&self, changes: &[Change]) -> Vec<String> {
        let found: BTreeSet<&Change> = changes.iter().collect();
        let mut wrong: Vec<String> = changes
            .iter()
            .filter(|change| {
                !self.must.contains(change)
                    && !self.may.contains(change)
                    && !self.may_prefix.iter().any(|may| {
                        may.action == change.action && change.address.starts_with(&may.address)
                    })
            })
            .map(ToString::to_string)
            .collect();
        wrong.extend(
            self.must
                .iter()
                .filter(|change| !found.contains(change))
                .map(|change| format!("no {change}")),
        );
        wrong
    }
}

/// The always-present guard of the module.
pub const GUARD: &str = "terraform_data.guard";
/// Where the module keeps the memory.
pub const MEMORY: &str = "terraform_data.memory";

/// The addresses of a release: its record, its template, its group.
pub fn addresses(key: &ReleaseKey) -> [String; 3] {
    [
        format!("terraform_data.release[\"{key}\"]"),
        format!("aws_launch_template.release[\"{key}\"]"),
        format!("aws_autoscaling_group.release[\"{key}\"]"),
    ]
}

fn extras(key: &ReleaseKey) -> [String; 2] {
    [
        format!("aws_autoscaling_policy.release[\"{key}/"),
        format!("aws_autoscaling_schedule.release[\"{key}/"),
    ]
}

/// The sizes that the module gives a group.
pub fn effective(made: &Made) -> (u32, u32) {
    if made.drain {
        (0, 0)
    } else {
        (made.min_size.max(made.pin), made.max_size.max(made.pin))
    }
}
