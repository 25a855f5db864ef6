//! What clean-up costs on a large account: its decision, git's part of it, and the requests of a run.
//!
//! Decision and revert window are measured by examples of the crates that have them, each in a process of its own;
//! this reads what they print. The requests are counted by the stand-in while the real `amid` runs once.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Scale,
    report::{Bar, Row},
};
use crate::{
    cloud::{Cloud, Template},
    small::{Options, Small},
};

/// What the example of `amid-core` prints.
#[derive(Deserialize)]
struct Decision {
    images: u64,
    launch_template_versions: u64,
    samples_ms: Vec<f64>,
    memory_beyond_inputs_kib: Option<u64>,
}

/// What the example of `amid` prints.
#[derive(Deserialize)]
struct History {
    commits: u64,
    cold_ms: Vec<f64>,
    one_more_ms: Vec<f64>,
}

pub(super) fn measure(scale: &Scale) -> Result<Vec<Row>> {
    let mut rows = decision(&scale.cleanup.decision)?;
    rows.extend(history(&scale.cleanup.history)?);
    rows.extend(requests(scale)?);
    Ok(rows)
}

fn printed<T: DeserializeOwned>(example: &Path) -> Result<T> {
    let output = Command::new(example).output().with_context(|| {
        format!(
            "Failed to run {}: `make bench` builds it",
            example.display()
        )
    })?;
    ensure!(
        output.status.success(),
        "{} ended with {}: {}",
        example.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("Failed to read what {} printed", example.display()))
}

fn decision(example: &Path) -> Result<Vec<Row>> {
    let printed: Decision = printed(example)?;
    let what = format!(
        "clean-up's decision: {} images, {} versions of launch templates",
        printed.images, printed.launch_template_versions
    );
    let memory = printed
        .memory_beyond_inputs_kib
        .context("The kernel does not tell the peak of the memory")?;
    Ok(vec![
        Row::of_samples(
            "cleanup",
            &what,
            Bar::median("ms", 100.0),
            printed.samples_ms,
        ),
        Row::of_one(
            "cleanup-memory",
            &format!("{what}: memory beyond the inputs"),
            Bar::max("MiB", 64.0),
            memory as f64 / 1024.0,
        ),
    ])
}

fn history(example: &Path) -> Result<Vec<Row>> {
    let printed: History = printed(example)?;
    let what = format!("git's revert window of {} commits", printed.commits);
    Ok(vec![
        Row::of_samples(
            "cleanup-git",
            &format!("{what}, read for the first time"),
            Bar::max("ms", 1_000.0),
            printed.cold_ms,
        ),
        Row::of_samples(
            "cleanup-git-more",
            &format!("{what}, after one more commit"),
            Bar::max("ms", 50.0),
            printed.one_more_ms,
        ),
    ])
}

/// Actions that are asked page by page, with the size of the account's list and of a page.
fn pages(cloud: &Cloud) -> Vec<(&'static str, usize, usize)> {
    let more: usize = cloud.estate.versions.values().map(Vec::len).sum();
    vec![
        ("DescribeImages", cloud.images.len(), 1_000),
        ("DescribeSnapshots", cloud.estate.snapshots.len(), 1_000),
        (
            "DescribeLaunchTemplateVersions",
            cloud.templates.len() + more,
            200,
        ),
    ]
}

fn requests(scale: &Scale) -> Result<Vec<Row>> {
    let mut options = Options::of(&scale.amid);
    let cloud = account(scale.images)?;
    let expected: usize = pages(&cloud)
        .iter()
        .map(|(_, size, page)| size.div_ceil(*page).max(1))
        .sum();
    let paged: Vec<&str> = pages(&cloud).iter().map(|(action, ..)| *action).collect();
    options.cloud = Some(cloud);
    options.sweep = "10m".to_owned();
    options.cleanup = Some(json!({
        "interval": "1h",
        "policy": { "mode": "report", "claims": [{ "name": "*" }] }
    }));
    let mut small = Small::new(options)?;
    small.push(&[("README.md".to_owned(), b"No app\n".to_vec())], "Begin")?;
    small.start()?;
    let mut report = Value::Null;
    small.until("clean-up ran once", |small| {
        report = gc(small, &["gc", "-o", "json"])?;
        Ok(report["places"].is_array())
    })?;
    // Nothing else asks for these actions, and no sweep comes meanwhile.
    small.standin.reset_counts();
    let report = gc(&small, &["gc", "--now", "-o", "json"])?;
    let counts = small.standin.counts();
    small.stop()?;
    for (action, count) in &counts {
        eprintln!("  {count} × {action} in a run of clean-up");
    }
    let images = report["places"][0]["images"].as_array();
    let images = images.context("amid gc shows no images")?;
    let leaving = images
        .iter()
        .filter(|image| image["action"].is_string())
        .count();
    let asked = |action: &str| counts.get(action).copied().unwrap_or_default();
    let read: u64 = paged.iter().map(|action| asked(action)).sum();
    let all: u64 = counts.values().sum();
    let count = |of: usize| f64::from(u32::try_from(of).unwrap_or(u32::MAX));
    let number = |of: u64| count(usize::try_from(of).unwrap_or(usize::MAX));
    let what = format!("a run of clean-up over {} images", images.len());
    Ok(vec![
        Row::of_one(
            "cleanup-pages",
            &format!("{what}: requests for images, snapshots and versions of launch templates"),
            Bar::max("calls", count(expected)),
            number(read),
        ),
        Row::of_one(
            "cleanup-references",
            &format!("{what}: `DescribeImageReferences` for the {leaving} about to go, ten ids a call"),
            Bar::max("calls", count(leaving.div_ceil(10))),
            number(asked("DescribeImageReferences")),
        ),
        Row::without_bar(
            "cleanup-requests",
            &format!("{what}: all requests"),
            "calls",
            vec![number(all)],
        ),
    ])
}

fn gc(small: &Small, args: &[&str]) -> Result<Value> {
    let output = small.cli(args)?;
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// So many old images; launch templates name half of them, twice each.
fn account(images: usize) -> Result<Cloud> {
    let mut cloud = Cloud::new();
    let made = Timestamp::now() - SignedDuration::from_hours(24 * 400);
    for number in 0..images {
        let id = format!("ami-{number:017x}");
        let name = format!("service-{}-{number}", number % 100);
        cloud.add_image_with_snapshot(&id, &name, made, &[("team", "a")]);
        if number % 2 == 0 {
            let template = Template {
                name,
                image: id.clone(),
                instance_type: "m5.large".to_owned(),
                tags: std::collections::BTreeMap::new(),
                created: made,
            };
            let template = cloud.create_template(template)?;
            let second = crate::cloud::estate::TemplateVersion {
                number: 2,
                image: id,
                created: made,
                default: true,
            };
            cloud.estate.versions.insert(template, vec![second]);
        }
    }
    Ok(cloud)
}
