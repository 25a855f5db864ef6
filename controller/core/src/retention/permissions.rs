//! Launch permissions, and how they are kept in tags while an image is
//! disabled: `DisableImage` takes all of them away, `EnableImage` gives none
//! back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::tags::{PERMISSIONS, TAG_VALUE};

/// Who may launch an image besides its owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// An account, by its id.
    Account(String),
    /// Everybody: the group `all`.
    Everybody,
    /// An organization or a unit of one, by its ARN.
    Organization(String),
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => f.pad(id),
            Self::Everybody => f.pad("all"),
            Self::Organization(arn) => f.pad(arn),
        }
    }
}

impl Permission {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "all" {
            Some(Self::Everybody)
        } else if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Some(Self::Account(text.to_owned()))
        } else if text.starts_with("arn:") {
            Some(Self::Organization(text.to_owned()))
        } else {
            None
        }
    }
}

/// The most tags that permissions may fill: a resource has 50 at the most.
const MAX_TAGS: usize = 12;

/// The text that stands for no permission at all.
const NONE: &str = "none";

/// The tags that hold these permissions; `None` when they do not fit.
pub fn to_tags(permissions: &BTreeSet<Permission>) -> Option<BTreeMap<String, String>> {
    let mut values: Vec<String> = Vec::new();
    for permission in permissions {
        let text = permission.to_string();
        if text.len() > TAG_VALUE || text.contains(' ') {
            return None;
        }
        match values.last_mut() {
            Some(value) if value.len() + 1 + text.len() <= TAG_VALUE => {
                value.push(' ');
                value.push_str(&text);
            }
            _ => values.push(text),
        }
    }
    if values.is_empty() {
        values.push(NONE.to_owned());
    }
    if values.len() > MAX_TAGS {
        return None;
    }
    let tags = values
        .into_iter()
        .enumerate()
        .map(|(n, value)| (key(n), value))
        .collect();
    Some(tags)
}

/// The key of the `n`th tag.
pub fn key(n: usize) -> String {
    match n {
        0 => PERMISSIONS.to_owned(),
        n => format!("{PERMISSIONS}-{}", n + 1),
    }
}

/// The permissions that an image's tags hold; `None` when it has no such
/// tags. What somebody made unreadable is left out.
pub fn from_tags(tags: &BTreeMap<String, String>) -> Option<BTreeSet<Permission>> {
    tags.get(PERMISSIONS)?;
    let texts = (0..MAX_TAGS).filter_map(|n| tags.get(&key(n)));
    Some(
        texts
            .flat_map(|text| text.split(' '))
            .filter_map(Permission::parse)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(n: u32) -> BTreeSet<Permission> {
        (0..n)
            .map(|n| Permission::Account(format!("{n:012}")))
            .collect()
    }

    #[test]
    fn permissions_come_back_out_of_tags() {
        let mut some = accounts(100);
        some.insert(Permission::Everybody);
        some.insert(Permission::Organization(
            "arn:aws:organizations::123456789012:organization/o-abc".to_owned(),
        ));
        for permissions in [
            BTreeSet::new(),
            accounts(1),
            accounts(19),
            accounts(20),
            some,
        ] {
            let tags = to_tags(&permissions).unwrap();
            assert!(tags.values().all(|value| value.len() <= TAG_VALUE));
            assert_eq!(from_tags(&tags), Some(permissions));
        }
    }

    #[test]
    fn too_many_permissions_do_not_fit() {
        assert!(to_tags(&accounts(1000)).is_none());
        assert_eq!(from_tags(&BTreeMap::new()), None);
    }
}
