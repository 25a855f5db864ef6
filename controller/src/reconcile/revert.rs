//! Writes the revert commit: only the launch fields, on the manifest as it
//! stands at the branch's head, pushed by compare-and-swap.

use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;

use amid_core::history::Event;
use amid_core::manifest::edit::set_fields;
use amid_core::manifest::parse::{Source, parse_one};
use amid_core::step::Revert;

use super::engine::{Engine, Slot};
use super::look::VERSIONS;
use super::perform::Performed;
use crate::desired::{Accepted, commit_id};
use crate::fault;
use crate::git::{Change, Pushed};

/// The fields that make a release, and what describes its image.
const LAUNCH_FIELDS: &[&str] = &[
    "ami",
    "env",
    "instance_types",
    "revision",
    "secrets",
    "user_data",
    "image",
];

/// Writes and pushes it.
pub(super) async fn push(
    engine: &Arc<Engine>,
    slot: &Arc<Slot>,
    accepted: &Arc<Accepted>,
    revert: &Revert,
) -> anyhow::Result<Performed> {
    fault::point("before-revert");
    let (work, at) = (Arc::clone(engine), engine.now());
    let (path, base) = (format!("desired/{}.json", slot.app), accepted.commit);
    let (app, revert_) = (slot.app.to_string(), revert.clone());
    let pushed = tokio::task::spawn_blocking(move || -> anyhow::Result<Pushed> {
        let revert = revert_;
        let mirror = &work.mirror;
        let head = mirror
            .blob_at(base, &path)?
            .with_context(|| format!("`{path}` is not in the repository any more"))?;
        let older = mirror.newest_matching(base, &path, VERSIONS, &mut |_, bytes| {
            parse_one(&Source { path: &path, bytes })
                .is_ok_and(|manifest| manifest.settings() == revert.to)
        })?;
        let fields = match &older {
            Some((_, bytes)) => {
                serde_json::from_slice(bytes).context("Failed to read the older manifest")?
            }
            None => serde_json::from_str(revert.to.as_str())
                .context("Failed to read the live release's settings")?,
        };
        let content = edited(&head, &fields)?;
        let message = message(
            &app,
            &revert,
            older.as_ref().map(|(info, _)| info.id.to_string()),
        );
        mirror.commit_and_push(Change {
            base,
            path,
            content,
            message,
            at,
        })
    })
    .await
    .context("Failed to write the revert commit")??;
    fault::point("pushed");
    match pushed {
        Pushed::Done(commit) => {
            tracing::warn!(app = %slot.app, commit = %commit, "{}: {}", slot.app, revert.reason);
            engine.journal(
                slot,
                Event::Reverted {
                    commit: commit_id(commit)?,
                    answers: revert.answers.clone(),
                },
            )?;
            fault::point("reverted");
            engine.hint();
            Ok(Performed::Done)
        }
        // A newer commit wins: it is read first.
        Pushed::Moved(_) => {
            engine.hint();
            Ok(Performed::Done)
        }
        Pushed::Refused { reason, branch } => {
            engine.journal(
                slot,
                Event::RevertRefused {
                    answers: revert.answers.clone(),
                    message: reason,
                    branch,
                },
            )?;
            Ok(Performed::Done)
        }
    }
}

fn edited(head: &[u8], fields: &Value) -> anyhow::Result<Vec<u8>> {
    let now: Value = serde_json::from_slice(head).context("Failed to read the manifest")?;
    let edits: Vec<(&str, Option<Value>)> = LAUNCH_FIELDS
        .iter()
        .filter(|name| now.get(**name) != fields.get(**name))
        .map(|name| (*name, fields.get(*name).cloned()))
        .collect();
    set_fields(head, &edits)
        .map_err(anyhow::Error::msg)
        .context("Failed to edit the manifest")
}

fn message(app: &str, revert: &Revert, older: Option<String>) -> String {
    use std::fmt::Write;
    let mut text = format!(
        "Revert {app} to {to}\n\n{from} was given up: {failure}.\n",
        to = revert.to_ami,
        from = revert.from_ami,
        failure = revert.failure,
    );
    if let Some(older) = older {
        let _ = writeln!(text, "The launch settings are those of {older}.");
    }
    let _ = write!(
        text,
        "\nAmid-App: {app}\nAmid-From-Ami: {}\nAmid-To-Ami: {}\nAmid-Reason: {}\nAmid-Answers: {}\n",
        revert.from_ami,
        revert.to_ami,
        revert.failure.label(),
        revert.answers,
    );
    text
}
