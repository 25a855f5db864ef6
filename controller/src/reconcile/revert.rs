//! Writes the revert commit: only the launch fields, on the manifest as it
//! stands at the branch's head, pushed by compare-and-swap.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;

use amid_core::bump::with_launch_fields;
use amid_core::history::{Event, Proposed};
use amid_core::manifest::parse::{Source, parse_one};
use amid_core::model::AppName;
use amid_core::step::{Revert, RevertWay};

use super::engine::{Engine, Slot};
use super::look::VERSIONS;
use super::perform::Performed;
use crate::desired::{Accepted, commit_id};
use crate::fault;
use crate::forge::NewPull;
use crate::git::{Change, Pushed};

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
    let began = Instant::now();
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
        let content = with_launch_fields(&head, &fields)
            .map_err(anyhow::Error::msg)
            .context("Failed to edit the manifest")?;
        let message = message(
            &app,
            &revert,
            older.as_ref().map(|(info, _)| info.id.to_string()),
        );
        let change = Change {
            base,
            path,
            content,
            message,
            at,
        };
        match revert.way {
            RevertWay::Push => mirror.commit_and_push(change),
            RevertWay::PullRequest => {
                let branch = branch(&app, &revert);
                // A branch that is there already is from a try that was cut off.
                match mirror.commit_aside(change, &branch, None)? {
                    Pushed::Moved(Some(tip)) => Ok(Pushed::Done(tip)),
                    pushed => Ok(pushed),
                }
            }
        }
    })
    .await
    .context("Failed to write the revert commit")?;
    engine.measure_push(&pushed, began.elapsed());
    let pushed = pushed?;
    fault::point("pushed");
    let is_proposed = matches!(pushed, Pushed::Done(_)) && revert.way == RevertWay::PullRequest;
    if is_proposed {
        let proposed = propose(engine, &slot.app, revert).await;
        tracing::warn!(app = %slot.app, branch = proposed.branch, "{}: {}", slot.app, revert.reason);
        engine.journal(
            slot,
            Event::RevertProposed {
                answers: revert.answers.clone(),
                proposed,
            },
        )?;
        fault::point("reverted");
        return Ok(Performed::Done);
    }
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

/// The branch of a revert that waits to be merged: the same for the same
/// failure, so that a second try makes no second one.
fn branch(app: &str, revert: &Revert) -> String {
    let app = app.replace('/', "-");
    format!("amid/revert/{app}-{}", revert.answers.short())
}

/// Opens the pull request. The roll back goes on whether or not the forge
/// answers: the branch is there, and the hold says what is missing.
async fn propose(engine: &Engine, app: &AppName, revert: &Revert) -> Proposed {
    let branch = branch(app.as_str(), revert);
    let Some(forge) = &engine.forge else {
        return Proposed {
            branch,
            link: None,
            problem: Some("there is no `forge` in the config".to_owned()),
        };
    };
    let text = message(app.as_str(), revert, None);
    let (title, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let new = NewPull {
        head: &branch,
        base: &engine.config.repository.branch,
        title,
        body,
    };
    let opened = forge.pull(&new).await;
    let (link, problem) = match opened {
        Ok((pull, _)) => (Some(pull.link), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Proposed {
        branch,
        link,
        problem,
    }
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
