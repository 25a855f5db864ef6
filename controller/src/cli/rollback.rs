//! `amid rollback`: brings an older release back by a commit.
//!
//! The launch fields are those of the older version; sizes and everything
//! else stay as they are now.

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;

use amid_core::bump::{Built, Target, Version, Why, back_to, find, with_launch_fields, words};
use amid_core::manifest::parse::{Source, parse_one};
use amid_core::model::AppName;

use super::deliver::{Copy, Edit, Found, blocking, deliver};
use crate::config::Config;
use crate::desired::commit_id;

/// How many versions of a manifest are looked through.
const VERSIONS: usize = 500;

/// Commits it. Returns a sentence.
///
/// # Errors
///
/// When there is no such version, or the commit does not get to where it
/// should.
pub async fn rollback(
    config: Config,
    app: String,
    to: Option<String>,
    at: Timestamp,
) -> anyhow::Result<String> {
    let app = AppName::parse(&app).map_err(anyhow::Error::msg)?;
    let target = match &to {
        Some(text) => Target::parse(text).map_err(anyhow::Error::msg)?,
        None => Target::Previous,
    };
    let (copy, edit) = {
        let config = config.clone();
        blocking(move || {
            let copy = Copy::fetch(&config)?;
            let found = copy.manifest(&config, &app)?;
            let edit = older(&copy, app, found, &target)?;
            Ok((copy, edit))
        })
        .await?
    };
    deliver(config, copy, edit, at).await
}

fn older(copy: &Copy, app: AppName, found: Found, target: &Target) -> anyhow::Result<Edit> {
    let path = found.path.clone();
    let mut seen = Vec::new();
    copy.mirror
        .newest_matching(copy.head, &path, VERSIONS, &mut |info, bytes| {
            seen.push((info.id, bytes.to_vec()));
            false
        })?;
    let mut versions = Vec::new();
    for (id, bytes) in &seen {
        let (_, message) = copy.mirror.commit(*id)?;
        let manifest = parse_one(&Source { path: &path, bytes }).ok();
        versions.push(Version {
            commit: commit_id(*id)?,
            settings: manifest.map(|manifest| manifest.settings()),
            takes_back: find(&message),
        });
    }
    let chosen = back_to(&versions, target).map_err(anyhow::Error::msg)?;
    let bytes = seen
        .iter()
        .find(|(id, _)| id.to_string() == chosen.commit.as_str())
        .map(|(_, bytes)| bytes)
        .context("The older version is gone")?;
    let fields: Value =
        serde_json::from_slice(bytes).context("Failed to read the older manifest")?;
    let older = parse_one(&Source { path: &path, bytes })
        .map_err(|_| anyhow::anyhow!("The older manifest has mistakes"))?;
    let content = with_launch_fields(&found.bytes, &fields)
        .map_err(anyhow::Error::msg)
        .context("Failed to edit the manifest")?;
    let image = older.image.unwrap_or_default();
    let built = Built {
        version: image.version,
        commit: image.commit,
        build: image.build,
        ..Built::of(older.ami)
    };
    let why = Why::Rollback(Some(chosen.commit.to_string()));
    let words = words(&app, &why, &found.manifest.ami, &built);
    Ok(Edit {
        app,
        found,
        content,
        words,
        verb: "rollback",
    })
}
