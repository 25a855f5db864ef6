//! Many apps that are as desired: what a sweep over them costs, and how soon a start is ready.
//!
//! The stand-in answers from memory with pages of a hundred groups and counts what it is asked; the stub's log
//! would show every child. Nothing is ever applied here.

use std::{
    collections::BTreeMap,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use amid_core::manifest::parse::{Source, parse_one};
use anyhow::{Context, Result, anyhow, ensure};
use jiff::Timestamp;

use super::{
    Scale, millis,
    report::{Bar, Row},
};
use crate::{
    cloud::{Cloud, NewGroup, Template},
    small::{IMAGE, Options, Small, http_get, manifest},
};

/// Apps of the benchmark of starts.
const FEW: usize = 100;
const ASK_EVERY: Duration = Duration::from_millis(2);
/// Where looking costs more.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const AT_MOST: Duration = Duration::from_secs(300);

pub(super) fn sweep(scale: &Scale) -> Result<Vec<Row>> {
    let mut small = world(&scale.amid, scale.apps, "4s")?;
    small.start()?;
    until_steady(&small, scale.apps)?;
    let page = small.listener("Metrics and status")?;
    let (mut sweeps, mut calls, mut samples) = (Vec::new(), Vec::new(), Vec::new());
    // What was asked for until now may have slowed the sweep that is under way.
    let mut before = Swept::after(page, Swept::read(page)?)?;
    while u64::try_from(samples.len()).unwrap_or(u64::MAX) < scale.sweeps {
        small.standin.reset_counts();
        let now = Swept::after(page, before)?;
        samples.push((now.seconds - before.seconds) * 1e3);
        let asked: u64 = small.standin.counts().values().sum();
        calls.push(asked);
        sweeps.push(small.standin.counts());
        before = now;
    }
    // A sweep in three also asks for the instances' images; the bar is about the usual one.
    let peak = small.peak_memory()?;
    let children = small.stub.events()?.len();
    small.stop()?;
    for (action, count) in sweeps.iter().flatten().collect::<BTreeMap<_, _>>() {
        eprintln!("  at most {count} × {action} in a sweep");
    }
    let most = calls.iter().max().copied().unwrap_or_default();
    let count = |value: u64| f64::from(u32::try_from(value).unwrap_or(u32::MAX));
    let what = format!("no-op sweep of {} apps", scale.apps);
    Ok(vec![
        Row::of_samples("sweep", &what, Bar::max("ms", 1_000.0), samples),
        Row::of_one(
            "sweep-memory",
            &format!("{what}: peak RSS since the start"),
            Bar::max("MiB", 32.0),
            count(peak >> 10) / 1024.0,
        ),
        Row::of_samples(
            "sweep-calls",
            &format!("{what}: API calls (a sweep that also asks for instances' images: {most})"),
            Bar::min("calls", count(scale.apps.div_ceil(100) as u64)),
            calls.iter().map(|calls| count(*calls)).collect(),
        ),
        Row::of_one(
            "sweep-children",
            &format!("{what}: children started since the start"),
            Bar::max("children", 0.0),
            count(children as u64),
        ),
    ])
}

pub(super) fn start(scale: &Scale) -> Result<Vec<Row>> {
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for _ in 0..scale.starts {
        let mut small = world(&scale.amid, FEW, "30s")?;
        first.push(millis(ready(&mut small)?));
        small.stop()?;
        again.push(millis(ready(&mut small)?));
        small.stop()?;
    }
    Ok(vec![
        Row::of_samples(
            "start",
            "start → ready, 100 apps",
            Bar::max("ms", 1_000.0),
            again,
        ),
        Row::of_samples(
            "start-first",
            "start → ready, 100 apps, empty state directory",
            Bar::max("ms", 1_000.0),
            first,
        ),
    ])
}

/// From the start of the process until a first look at everything is done, which is what `/readyz` says too.
fn ready(small: &mut Small) -> Result<Duration> {
    let began = Instant::now();
    small.spawn()?;
    until(small, "it is ready", |small| {
        Ok(small
            .status()
            .is_ok_and(|status| !status["swept"].is_null()))
    })?;
    Ok(began.elapsed())
}

/// Waits until so many apps are as desired.
pub(super) fn until_steady(small: &Small, count: usize) -> Result<()> {
    until(small, "every app is steady", |small| {
        // A status of a thousand apps is no small answer: asked for seldom.
        thread::sleep(LOOK_EVERY);
        let status = small.status()?;
        let apps = status["apps"].as_array();
        let apps = apps.context("The status has no apps")?;
        Ok(!status["swept"].is_null()
            && apps.len() == count
            && apps.iter().all(|app| app["phase"] == "steady"))
    })
}

fn until(small: &Small, what: &str, mut so: impl FnMut(&Small) -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !so(small)? {
        ensure!(
            began.elapsed() < AT_MOST,
            "Not so within {} s: {what}; {}",
            AT_MOST.as_secs(),
            small.log_end()
        );
        thread::sleep(ASK_EVERY);
    }
    Ok(())
}

/// So many apps in git, and their groups in the cloud.
pub fn world(amid: &Path, apps: usize, sweep: &str) -> Result<Small> {
    let mut cloud = Cloud::new();
    cloud.add_image(IMAGE, "x86_64", true);
    let mut files = Vec::new();
    for number in 0..apps {
        let app = format!("demo/app-{number:04}");
        let text = manifest(&app, IMAGE);
        let path = format!("desired/{app}.json");
        let source = Source {
            path: &path,
            bytes: text.as_bytes(),
        };
        let read = parse_one(&source)
            .map_err(|problems| anyhow!("The benchmark's own manifest is bad: {problems:?}"))?;
        add_group(&mut cloud, &app, IMAGE, read.settings().key().as_str())?;
        files.push((path, text.into_bytes()));
        files.push(Small::unit_file(&app));
    }
    let mut options = Options::of(amid);
    options.cloud = Some(cloud);
    options.poll = "30s".to_owned();
    options.sweep = sweep.to_owned();
    let small = Small::new(options)?;
    small.push(&files, "Begin")?;
    Ok(small)
}

/// The group that the release with this key would have been rolled to.
pub(super) fn add_group(cloud: &mut Cloud, app: &str, image: &str, key: &str) -> Result<()> {
    let name = format!("{}-{key}", app.replace('/', "-"));
    let tags = BTreeMap::from([
        ("amid:app".to_owned(), app.to_owned()),
        ("amid:release".to_owned(), key.to_owned()),
    ]);
    let template = cloud.create_template(Template {
        name: name.clone(),
        image: image.to_owned(),
        instance_type: "m5.large".to_owned(),
        tags: tags.clone(),
        created: Timestamp::UNIX_EPOCH,
    })?;
    let new = NewGroup {
        name,
        template,
        min: 1,
        max: 2,
        desired: 1,
        target_groups: Vec::new(),
        tags,
    };
    cloud.create_group(new, Timestamp::UNIX_EPOCH)
}

/// What the metrics say of sweeps.
#[derive(Debug, Clone, Copy)]
struct Swept {
    count: u64,
    seconds: f64,
}

impl Swept {
    /// Waits for the end of the next sweep.
    fn after(page: std::net::SocketAddr, before: Swept) -> Result<Swept> {
        let began = Instant::now();
        loop {
            let now = Swept::read(page)?;
            if now.count > before.count {
                ensure!(now.count == before.count + 1, "A sweep was missed");
                return Ok(now);
            }
            ensure!(began.elapsed() < AT_MOST, "There was no sweep");
            thread::sleep(LOOK_EVERY);
        }
    }

    fn read(page: std::net::SocketAddr) -> Result<Swept> {
        let (_, text) = http_get(page, "/metrics")?;
        let value = |name: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value = line.with_context(|| format!("There is no metric {name}"))?;
            value
                .trim()
                .parse()
                .with_context(|| format!("The metric {name} is no number"))
        };
        Ok(Swept {
            // A count is a whole number far below 2^53.
            count: format!("{:.0}", value("amid_sweep_duration_seconds_count")?)
                .parse()
                .context("The count of sweeps is no number")?,
            seconds: value("amid_sweep_duration_seconds_sum")?,
        })
    }
}
