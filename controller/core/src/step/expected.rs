//! What the plan of a step may hold, and nothing else.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Memory;
use crate::model::{Group, Made, ReleaseKey, Releases};
use crate::observe::{Leftover, Observed};

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
