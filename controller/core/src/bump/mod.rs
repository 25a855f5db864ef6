//! The commits that `bump`, `promote` and `rollback` make: which fields of a
//! manifest change, and what the commit says of it.
//!
//! Only the fields in question are touched, so that the diff shows them and
//! nothing else. What is written into a commit's trailers comes from builds
//! and command lines: it is held to one short line first, so that nothing can
//! pose as a trailer of its own.

mod back;
mod packer;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use serde_json::Value;

use crate::manifest::set_fields;
use crate::model::{AmiId, AppName};

pub use back::{Target, Version, back_to, find};
pub use packer::built;

/// The fields that make a release, and what describes its image.
pub const LAUNCH_FIELDS: &[&str] = &[
    "ami",
    "env",
    "instance_types",
    "revision",
    "secrets",
    "user_data",
    "image",
];

/// The longest value of a trailer, in characters.
const MAX_LINE: usize = 200;

/// An image and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The image.
    pub ami: AmiId,
    /// The app's version.
    pub version: Option<String>,
    /// The app's commit.
    pub commit: Option<String>,
    /// The build that made the image.
    pub build: Option<String>,
    /// The image that it was made from.
    pub base: Option<String>,
}

impl Built {
    /// An image of which nothing else is known.
    pub fn of(ami: AmiId) -> Self {
        Self {
            ami,
            version: None,
            commit: None,
            build: None,
            base: None,
        }
    }

    /// Holds every text to one short line.
    ///
    /// # Errors
    ///
    /// A sentence that names the text.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [
            ("version", &self.version),
            ("commit", &self.commit),
            ("build", &self.build),
            ("base", &self.base),
        ] {
            if let Some(value) = value {
                one_line(name, value)?;
            }
        }
        Ok(())
    }
}

fn one_line(name: &str, value: &str) -> Result<(), String> {
    if value.trim().is_empty() {
        return Err(format!("the image's `{name}` is empty: leave it out"));
    }
    if value.chars().count() > MAX_LINE || value.chars().any(char::is_control) {
        return Err(format!(
            "the image's `{name}` is not one line of at most {MAX_LINE} characters"
        ));
    }
    Ok(())
}

/// The manifest with another image. What it said of the old one goes: a
/// version that is not known is better than a wrong one.
///
/// # Errors
///
/// A sentence, where the text is no manifest.
pub fn with_image(bytes: &[u8], built: &Built) -> Result<Vec<u8>, String> {
    built.check()?;
    let text = |value: &Option<String>| value.clone().map(Value::from);
    let now: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut edits = vec![("ami", Some(Value::from(built.ami.as_str())))];
    let mut image = vec![
        ("image.version", text(&built.version)),
        ("image.commit", text(&built.commit)),
        ("image.build", text(&built.build)),
    ];
    if now["ami"].as_str() == Some(built.ami.as_str()) {
        // More about the same image takes nothing away.
        image.retain(|(_, value)| value.is_some());
        edits.extend(image);
    } else if image.iter().all(|(_, value)| value.is_none()) {
        edits.push(("image", None));
    } else {
        edits.extend(image);
    }
    set_fields(bytes, &edits)
}

/// The manifest with the launch fields of another one, or of a release's
/// settings; fields that the other does not give are taken out.
///
/// # Errors
///
/// A sentence, where the text is no JSON object.
pub fn with_launch_fields(bytes: &[u8], from: &Value) -> Result<Vec<u8>, String> {
    let now: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let edits: Vec<(&str, Option<Value>)> = LAUNCH_FIELDS
        .iter()
        .filter(|name| now.get(**name) != from.get(**name))
        .map(|name| (*name, from.get(*name).cloned()))
        .collect();
    set_fields(bytes, &edits)
}

/// What a commit is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A new image.
    Bump,
    /// The image of another app, such as the same one in staging.
    Promote(AppName),
    /// An older release, as the commit of this id had it.
    Rollback(Option<String>),
}

/// A commit's message, and of a pull request title and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The first line.
    pub subject: String,
    /// What follows, trailers last.
    pub body: String,
}

impl Words {
    /// As git takes it.
    pub fn message(&self) -> String {
        format!("{}\n\n{}", self.subject, self.body)
    }
}

/// Words a commit that takes `app` from one image to another.
pub fn words(app: &AppName, why: &Why, from: &AmiId, to: &Built) -> Words {
    let name = match &to.version {
        Some(version) => format!("{version} ({})", to.ami),
        None => to.ami.to_string(),
    };
    let (subject, mut body) = match why {
        Why::Bump => (
            format!("Bump {app} to {name}"),
            format!("{from} becomes {}.\n", to.ami),
        ),
        Why::Promote(source) => (
            format!("Promote {name} from {source} to {app}"),
            format!("{from} becomes {}, which {source} has.\n", to.ami),
        ),
        Why::Rollback(commit) => (
            format!("Roll {app} back to {name}"),
            match commit {
                Some(commit) => format!("The launch settings are those of {commit}.\n"),
                None => format!("{from} becomes {}.\n", to.ami),
            },
        ),
    };
    let commit = to.commit.as_deref();
    for (trailer, value) in [
        ("App", Some(app.as_str())),
        ("From-Ami", Some(from.as_str())),
        ("To-Ami", Some(to.ami.as_str())),
        ("Base-Ami", to.base.as_deref()),
        ("Version", to.version.as_deref()),
        ("Build", to.build.as_deref()),
        ("App-Commit", commit),
    ] {
        if let Some(value) = value {
            if trailer == "App" {
                body.push('\n');
            }
            let _ = writeln!(body, "Amid-{trailer}: {value}");
        }
    }
    Words { subject, body }
}
