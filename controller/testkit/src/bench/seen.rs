//! How soon a commit is seen: after a push to a watched folder, and after a webhook.
//!
//! The clock starts before the push, or before the webhook is sent, and stops when the status that the socket
//! shows names the commit. The socket is asked every two milliseconds.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use git2::Oid;
use serde_json::Value;

use super::{
    Scale, millis,
    report::{Bar, Row},
};
use crate::{
    git_http::GitHttp,
    small::{IMAGE, Options, SECRET, Small, http_send, manifest},
};

const APP: &str = "demo/todo";
const ASK_EVERY: Duration = Duration::from_millis(2);
/// Then it is broken rather than slow.
const AT_MOST: Duration = Duration::from_secs(60);

pub(super) fn push(scale: &Scale) -> Result<Vec<Row>> {
    let mut options = Options::of(&scale.amid);
    options.poll = "30s".to_owned();
    options.sweep = "30s".to_owned();
    let mut small = Small::new(options)?;
    small.push(&Small::app_files(APP, IMAGE), "Begin")?;
    small.start()?;
    small.until_deployed(APP, IMAGE)?;
    let mut samples = Vec::new();
    for number in 0..scale.pushes {
        let files = [changed(number)?];
        let began = Instant::now();
        let commit = small.push(&files, &format!("Name the version {number}"))?;
        until_seen(&small, commit, began)?;
        samples.push(millis(began.elapsed()));
    }
    small.stop()?;
    Ok(vec![Row::of_samples(
        "push",
        "push → commit seen, local repository with file watch",
        Bar::p99("ms", 250.0),
        samples,
    )])
}

pub(super) fn webhook(scale: &Scale) -> Result<Vec<Row>> {
    let mut options = Options::of(&scale.amid);
    // Only the webhook can make it look: the remote is no folder that could be watched.
    options.poll = "1h".to_owned();
    options.sweep = "30s".to_owned();
    options.webhook = true;
    let mut small = Small::new(options)?;
    let remote = GitHttp::start(small.bare.path())?;
    small.reconfigure(|options| options.url = Some(remote.url()))?;
    small.push(&Small::app_files(APP, IMAGE), "Begin")?;
    small.start()?;
    small.until_deployed(APP, IMAGE)?;
    let hook = small.listener("Webhooks")?;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: amid\r\nConnection: close\r\nX-Gitlab-Token: {SECRET}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    let mut samples = Vec::new();
    for number in 0..scale.webhooks {
        let commit = small.push(&[changed(number)?], &format!("Name the version {number}"))?;
        let began = Instant::now();
        let (status, words) = http_send(hook, request.as_bytes())?;
        ensure!(status == 202, "The webhook answered {status}: {words}");
        until_seen(&small, commit, began)?;
        samples.push(millis(began.elapsed()));
    }
    small.stop()?;
    Ok(vec![Row::of_samples(
        "webhook",
        "webhook → commit seen, repository by HTTP",
        Bar::p99("ms", 1_000.0),
        samples,
    )])
}

/// The manifest with a change that is no new release.
fn changed(number: usize) -> Result<(String, Vec<u8>)> {
    let text = manifest(APP, IMAGE);
    let mut value: Value = serde_json::from_str(&text).context("The manifest is no JSON")?;
    value["image"] = serde_json::json!({ "version": format!("1.{number}") });
    Ok((
        format!("desired/{APP}.json"),
        format!("{value:#}\n").into_bytes(),
    ))
}

fn until_seen(small: &Small, commit: Oid, began: Instant) -> Result<()> {
    let wanted = commit.to_string();
    while small.status()?["repository"]["accepted"] != wanted.as_str() {
        ensure!(
            began.elapsed() < AT_MOST,
            "The commit was not seen in {} s: {}",
            AT_MOST.as_secs(),
            small.log_end()
        );
        thread::sleep(ASK_EVERY);
    }
    Ok(())
}
