//! What clean-up costs on a large account: its decision, git's part of it, and the requests of a run.
//!
//! Decision and revert window are measured by examples of the crates that have them, each in a process of its own;
//! this reads what they print. The requests are counted by the stand-in while the real `amid` runs once.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Scale,
    report::{Bar, Row},
};
use crate::{
    cloud::{Cloud, NewGroup, Template, estate::TemplateVersion},
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

/// The pages of every list that a run has to read, at AWS's largest sizes of a page.
fn pages(cloud: &Cloud) -> BTreeMap<&'static str, usize> {
    let of = |size: usize, page: usize| size.div_ceil(page).max(1);
    let estate = &cloud.estate;
    let more = |id: &String| estate.versions.get(id).map_or(0, Vec::len);
    // One list has default and latest of all templates; further versions have one for each template.
    let further = cloud.templates.keys().filter(|id| more(id) > 1);
    let versions: usize = further.map(|id| of(1 + more(id), 200)).sum();
    let instances = estate.instances.len() + cloud.groups.len();
    BTreeMap::from([
        ("DescribeImages", of(cloud.images.len(), 1_000)),
        ("DescribeSnapshots", of(estate.snapshots.len(), 1_000)),
        ("DescribeVolumes", of(estate.volumes.len(), 500)),
        ("DescribeInstances", of(instances, 1_000)),
        ("DescribeLaunchTemplates", of(cloud.templates.len(), 200)),
        (
            "DescribeLaunchTemplateVersions",
            of(2 * cloud.templates.len(), 200) + versions,
        ),
        ("DescribeAutoScalingGroups", of(cloud.groups.len(), 100)),
        // AWS has no list of all refreshes.
        ("DescribeInstanceRefreshes", cloud.groups.len()),
        (
            "DescribeLaunchConfigurations",
            of(estate.configurations.len(), 100),
        ),
        ("DescribeFleets", of(estate.fleets.len(), 100)),
        (
            "DescribeSpotFleetRequests",
            of(estate.spot_fleets.len(), 1_000),
        ),
        (
            "DescribeSpotInstanceRequests",
            of(estate.spot_requests.len(), 1_000),
        ),
        ("DescribeParameters", of(estate.parameters.len(), 50)),
        // For images and for snapshots.
        ("ListRules", 2),
    ])
}

fn requests(scale: &Scale) -> Result<Vec<Row>> {
    let mut options = Options::of(&scale.amid);
    let cloud = account(scale.images)?;
    let pages = pages(&cloud);
    options.cloud = Some(cloud);
    options.sweep = "10m".to_owned();
    let cleanup = json!({
        "interval": "1h",
        "policy": { "mode": "report", "claims": [{ "name": "*" }] }
    });
    options.config.insert("cleanup".to_owned(), cleanup);
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
    let images = report["places"][0]["images"].as_array();
    let images = images.context("amid gc shows no images")?;
    let leaving = images.iter().filter(|image| image["action"].is_string());
    let leaving = leaving.count();
    let asked = |action: &str| counts.get(action).copied().unwrap_or_default();
    let permissions = asked("DescribeImageAttribute");
    for (action, count) in &counts {
        let expected = pages.get(action.as_str());
        let expected = expected.map_or_else(String::new, |pages| format!(", pages: {pages}"));
        eprintln!("  {count} × {action} in a run of clean-up{expected}");
    }
    let count = |of: usize| f64::from(u32::try_from(of).unwrap_or(u32::MAX));
    let number = |of: u64| count(usize::try_from(of).unwrap_or(usize::MAX));
    let what = format!(
        "a run of clean-up over {} images, {leaving} about to go",
        images.len()
    );
    let tens = leaving.div_ceil(10);
    let all: u64 = counts.values().sum();
    Ok(vec![
        Row::of_one(
            "cleanup-requests",
            &format!(
                "{what}: requests, as many as pages of all lists and ten ids a call for those"
            ),
            Bar::max("requests", count(pages.values().sum::<usize>() + tens)),
            number(all - permissions),
        ),
        Row::of_one(
            "cleanup-references",
            &format!("{what}: `DescribeImageReferences` of these"),
            Bar::max("requests", count(tens)),
            number(asked("DescribeImageReferences")),
        ),
        Row::without_bar(
            "cleanup-permissions",
            &format!(
                "{what}: besides, one each for the launch permissions, of which AWS has no list"
            ),
            "requests",
            vec![number(permissions)],
        ),
    ])
}

fn gc(small: &Small, args: &[&str]) -> Result<Value> {
    let output = small.cli(args)?;
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// Versions of each launch template.
const VERSIONS: usize = 200;

/// So many old images; a hundredth as many launch templates name half of them, and ten groups use each template.
fn account(images: usize) -> Result<Cloud> {
    let mut cloud = Cloud::new();
    let made = Timestamp::now() - SignedDuration::from_hours(24 * 400);
    let id = |number: usize| format!("ami-{number:017x}");
    for number in 0..images {
        let name = format!("service-{number}");
        cloud.add_image_with_snapshot(&id(number), &name, made, &[("team", "a")]);
    }
    for template in 0..images / 100 {
        let name = format!("template-{template}");
        let image = |version: usize| id(template * 50 + version % 50);
        let made_template = cloud.create_template(Template {
            name: name.clone(),
            image: image(0),
            instance_type: "m5.large".to_owned(),
            tags: BTreeMap::new(),
            created: made,
        })?;
        let versions = (2..=VERSIONS).map(|number| {
            Ok(TemplateVersion {
                number: u32::try_from(number)?,
                image: image(number),
                created: made,
                default: false,
            })
        });
        let versions = versions.collect::<Result<Vec<_>>>()?;
        cloud
            .estate
            .versions
            .insert(made_template.clone(), versions);
        for group in 0..10 {
            let new = NewGroup {
                name: format!("{name}-{group}"),
                template: made_template.clone(),
                min: 1,
                max: 1,
                desired: 1,
                target_groups: Vec::new(),
                tags: BTreeMap::new(),
            };
            cloud.create_group(new, made)?;
        }
    }
    Ok(cloud)
}
