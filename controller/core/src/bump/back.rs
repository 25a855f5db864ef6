//! Which older version a rollback goes to.
//!
//! Asked for no version by name, the newest one counts that has other launch
//! settings than the one that stands, and that nobody took back: after amid
//! or a person reverted a bad image, a rollback must not bring it in again.

use std::collections::BTreeSet;

use crate::model::{AmiId, CommitId, Settings};

/// One version of a manifest, as a commit brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The commit.
    pub commit: CommitId,
    /// What it said of a machine; `None` where it had mistakes.
    pub settings: Option<Settings>,
    /// Commits that it took back.
    pub takes_back: Vec<CommitId>,
}

/// What a person asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The version before.
    Previous,
    /// The newest version with this image.
    Ami(AmiId),
    /// The version that stood at the commit whose id begins so.
    Commit(String),
}

impl Target {
    /// Reads `ami-…` or the beginning of a commit id.
    ///
    /// # Errors
    ///
    /// A sentence that shows both forms.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("ami-") {
            return AmiId::parse(text).map(Self::Ami);
        }
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if hex && (7..=64).contains(&text.len()) {
            return Ok(Self::Commit(text.to_lowercase()));
        }
        Err(format!(
            "`{}` is neither an AMI id nor a commit id of at least 7 digits",
            text.escape_debug()
        ))
    }
}

/// The commits that a message says it takes back: amid's own trailer, or what
/// `git revert` writes.
pub fn find(message: &str) -> Vec<CommitId> {
    message
        .lines()
        .filter_map(|line| {
            let line = line.trim();
            let id = line
                .strip_prefix("Amid-Answers: ")
                .or_else(|| line.strip_prefix("This reverts commit "))?;
            CommitId::parse(id.trim_end_matches('.')).ok()
        })
        .collect()
}

/// The version to go back to; `versions` begin with the one that stands.
///
/// # Errors
///
/// A sentence that says why there is none.
pub fn back_to<'a>(versions: &'a [Version], target: &Target) -> Result<&'a Version, String> {
    let Some((now, older)) = versions.split_first() else {
        return Err("the manifest has no history".to_owned());
    };
    let differs =
        |version: &&Version| version.settings.is_some() && version.settings != now.settings;
    match target {
        Target::Previous => {
            let taken_back: BTreeSet<&CommitId> = versions
                .iter()
                .flat_map(|version| &version.takes_back)
                .collect();
            let bad: BTreeSet<&Settings> = versions
                .iter()
                .filter(|version| taken_back.contains(&version.commit))
                .filter_map(|version| version.settings.as_ref())
                .collect();
            older
                .iter()
                .filter(differs)
                .find(|version| version.settings.as_ref().is_some_and(|s| !bad.contains(s)))
                .ok_or_else(|| {
                    "there is no older release that nobody took back: name one with `--to`"
                        .to_owned()
                })
        }
        Target::Ami(ami) => {
            let has = |version: &&Version| {
                version.settings.as_ref().and_then(Settings::ami).as_ref() == Some(ami)
            };
            if has(&now) {
                return Err(format!("the manifest names {ami} already"));
            }
            older.iter().find(has).ok_or_else(|| {
                format!("no version of the manifest names {ami}: `amid bump` brings a new image in")
            })
        }
        Target::Commit(prefix) => {
            let found = versions
                .iter()
                .find(|version| version.commit.as_str().starts_with(prefix.as_str()))
                .ok_or_else(|| format!("no commit {prefix} brought a version of the manifest"))?;
            if found.settings.is_none() {
                return Err(format!("the manifest had mistakes at {prefix}"));
            }
            if found.settings == now.settings {
                return Err(format!(
                    "the manifest asks for the release of {prefix} already"
                ));
            }
            Ok(found)
        }
    }
}
