//! With the real tools, against moto: a push until the new group exists, and what a whole roll adds by itself.
//!
//! `amid` rolls one app; in between a person adds a release to another, with terragrunt by hand and the same
//! variables, so that both see the same machine. Children are known from the process table, which is looked at
//! ten times a second; health and emptiness from AWS, four times a second.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use amid_core::manifest::parse::{Source, parse_one};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value, json};
use tokio::process::Command;

use super::{
    Scale, millis,
    report::{Bar, Row},
};
use crate::{
    timeline::Timeline,
    world::{
        Done, World, run,
        stage::{Stage, Times, text},
    },
};

const APP: &str = "demo/todo";
const BY_HAND: &str = "demo/byhand";
const LOOK_EVERY: Duration = Duration::from_millis(100);
const AT_MOST: Duration = Duration::from_secs(300);
/// What the manifests of this benchmark ask for.
const BAKE: Duration = Duration::from_secs(5);

pub(super) async fn measure(scale: &Scale, group: bool, roll: bool) -> Result<Vec<Row>> {
    let timeline = Timeline::start();
    let apps = [APP.to_owned(), BY_HAND.to_owned()];
    let mut world = World::bring_up(&timeline, &apps).await?;
    world.tools.amid.clone_from(&scale.amid);
    let mut stage = Stage::open(&world, timeline.scribe(), APP, Times::default())?;
    stage.deployed().await?;
    let mut hand = Hand::begin(&world, &mut stage).await?;
    let (mut ours, mut theirs, mut their_groups) = (Vec::new(), Vec::new(), Vec::new());
    let (mut idle, mut whole) = (Vec::new(), Vec::new());
    for number in 0..scale.rolls {
        let ami = stage.image(&format!("roll-{number}")).await?;
        let began = Instant::now();
        stage.push_image(&ami)?;
        let exists = group_of(&stage, APP, &ami).await?;
        ours.push(exists.duration_since(began).as_secs_f64());
        stage.until_settled(&ami, 2).await?;
        let told = told(&stage, &ami, began)?;
        idle.push(told.idle.as_secs_f64());
        whole.push(told.whole.as_secs_f64());
        if group {
            let (took, exists) = hand.add(&stage, number).await?;
            theirs.push(took.as_secs_f64());
            their_groups.push(exists.as_secs_f64());
            hand.remove_old().await?;
        }
    }
    stage.stop().await?;
    let mut rows = Vec::new();
    if group {
        // Each against the run by hand that came right after it.
        let ratios: Vec<f64> = ours
            .iter()
            .zip(&theirs)
            .map(|(ours, hand)| ours / hand)
            .collect();
        rows.push(Row::of_samples(
            "group",
            "push → new group exists, over `terragrunt plan` + `apply` of the same change by hand",
            Bar::median("×", 1.15),
            ratios,
        ));
        let strict: Vec<f64> = ours
            .iter()
            .zip(&their_groups)
            .map(|(ours, hand)| ours / hand)
            .collect();
        rows.push(Row::without_bar(
            "group-strict",
            "the same, until the group exists by hand, too (an apply goes on after that)",
            "×",
            strict,
        ));
        rows.push(Row::without_bar(
            "group-amid",
            "push → new group exists",
            "s",
            ours,
        ));
        rows.push(Row::without_bar(
            "group-by-hand",
            "`terragrunt plan` + `apply` by hand",
            "s",
            theirs,
        ));
    }
    if roll {
        rows.push(Row::of_samples(
            "roll",
            "a whole roll: time in which neither a child ran nor a wait of the manifest was open (5 s and the poll of 1 s)",
            Bar::max("s", 6.0),
            idle,
        ));
        rows.push(Row::without_bar("roll-whole", "a whole roll", "s", whole));
    }
    Ok(rows)
}

/// Waits until a group of this image exists.
async fn group_of(stage: &Stage<'_>, app: &str, ami: &str) -> Result<Instant> {
    let began = Instant::now();
    let mut images = std::collections::BTreeMap::new();
    while began.elapsed() < AT_MOST {
        let look = stage.aws.observe(app, &mut images).await;
        if let Ok(look) = look
            && look.with_image(ami).is_some()
        {
            return Ok(look.at);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("There is no group of {ami}: {}", stage.log_end())
}

/// What a roll's time went by with.
struct Told {
    whole: Duration,
    idle: Duration,
}

/// Adds up the children and waits of the roll to `ami` that began with a push at `began`.
fn told(stage: &Stage<'_>, ami: &str, began: Instant) -> Result<Told> {
    let runs = stage.runs.since(began);
    let mut busy: Vec<(Instant, Instant)> = Vec::new();
    for one in &runs {
        busy.push((one.began, one.ended.context("A child still runs")?));
    }
    let end = busy.iter().map(|(_, ended)| *ended).max();
    let end = end.context("The roll ran no child")?;
    let new = stage.sampler.life_of_image(ami);
    let new = new.context("The new group was never seen")?;
    let healthy = new
        .served_since(2, end)
        .context("The new group never served")?;
    // The manifest's waits: until healthy, then the bake; and while the old group empties.
    busy.push((new.born, healthy + BAKE));
    for old in stage.sampler.lives().values() {
        if let Some(drained) = old.drained.filter(|drained| *drained >= began) {
            let empty = old
                .serving
                .iter()
                .find(|(at, count)| *at >= drained && *count == 0);
            let empty = empty.map(|(at, _)| *at).or(old.gone).unwrap_or(end);
            busy.push((drained, empty));
        }
    }
    busy.sort();
    let (mut idle, mut until) = (Duration::ZERO, began);
    for (from, to) in busy {
        idle += from.saturating_duration_since(until);
        until = until.max(to.min(end));
    }
    Ok(Told {
        whole: end.duration_since(began),
        idle,
    })
}

/// A person with a clone who applies an app's unit by hand.
struct Hand<'w> {
    world: &'w World,
    endpoint: String,
    unit: PathBuf,
    plan: PathBuf,
    releases: Map<String, Value>,
    live: String,
}

impl<'w> Hand<'w> {
    /// Deploys a first release.
    async fn begin(world: &'w World, stage: &mut Stage<'_>) -> Result<Hand<'w>> {
        let ami = stage.image("by-hand").await?;
        let folder = world.folder().join("by-hand");
        let (_, person) = world.repository(&folder)?;
        let manifest = stage.fresh_manifest(BY_HAND, &ami);
        let path = Stage::manifest_path(BY_HAND);
        person.commit(&[(path.as_str(), text(&manifest))], "Deploy by hand")?;
        let mut hand = Hand {
            world,
            endpoint: stage.endpoint(),
            unit: person
                .dir()
                .join("terraform/live")
                .join(BY_HAND)
                .join("app"),
            plan: folder.join("by-hand.tfplan"),
            releases: Map::new(),
            live: String::new(),
        };
        hand.live = hand.want(stage, &ami)?;
        hand.plan_and_apply(&[]).await?;
        Ok(hand)
    }

    /// Adds a release of this image to those that are wanted; answers its key.
    fn want(&mut self, stage: &Stage<'_>, ami: &str) -> Result<String> {
        let manifest = text(&stage.fresh_manifest(BY_HAND, ami));
        let source = Source {
            path: "desired/demo/byhand.json",
            bytes: manifest.as_bytes(),
        };
        let read = parse_one(&source)
            .map_err(|problems| anyhow!("The benchmark's own manifest is bad: {problems:?}"))?;
        let settings = read.settings();
        let key = settings.key().to_string();
        let release = json!({ "settings": settings, "min_size": 2, "max_size": 6, "desired": 2 });
        self.releases.insert(key.clone(), release);
        Ok(key)
    }

    /// Adds a release beside the live one, as a roll's first step does: how long plan and apply took, and how
    /// long it was until the group existed.
    async fn add(&mut self, stage: &Stage<'_>, number: usize) -> Result<(Duration, Duration)> {
        let name = format!("{}-by-hand-{number}", APP.replace('/', "-"));
        let ami = self.world.moto.register_image(&name, "x86_64").await?;
        let key = self.want(stage, &ami)?;
        if let Some(old) = self.releases.get_mut(&self.live) {
            old["pin"] = json!(2);
        }
        let began = Instant::now();
        let (exists, took) = tokio::join!(group_of(stage, BY_HAND, &ami), async {
            self.plan_and_apply(&[]).await?;
            Ok::<_, anyhow::Error>(began.elapsed())
        });
        let (exists, took) = (exists?, took?);
        let old = std::mem::replace(&mut self.live, key);
        if let Some(old) = self.releases.get_mut(&old) {
            old["drain"] = json!(true);
            old["pin"] = json!(0);
        }
        eprintln!(
            "  by hand: {:.0} ms, the group existed after {:.0} ms",
            millis(took),
            millis(exists.duration_since(began))
        );
        Ok((took, exists.duration_since(began)))
    }

    /// Drains and removes what is not live. Not measured.
    async fn remove_old(&mut self) -> Result<()> {
        self.plan_and_apply(&[]).await?;
        let live = self.live.clone();
        let old: Vec<String> = self
            .releases
            .keys()
            .filter(|key| **key != live)
            .cloned()
            .collect();
        self.releases.retain(|key, _| *key == live);
        let prefix = BY_HAND.replace('/', "-");
        let names: Vec<String> = old.iter().map(|key| format!("{prefix}-{key}")).collect();
        self.plan_and_apply(&names).await
    }

    async fn plan_and_apply(&self, may_remove: &[String]) -> Result<()> {
        let plan = self.plan.to_string_lossy();
        let out = format!("-out={plan}");
        self.terragrunt(&["plan", "-input=false", &out], may_remove)
            .await?;
        self.terragrunt(&["apply", "-input=false", &plan], may_remove)
            .await?;
        Ok(())
    }

    async fn terragrunt(&self, args: &[&str], may_remove: &[String]) -> Result<Done> {
        let mut command = Command::new(&self.world.tools.terragrunt);
        command
            .args(["run", "--working-dir"])
            .arg(&self.unit)
            .arg("--")
            .args(args)
            .envs(self.world.tools.environment(&self.endpoint))
            .env(
                "TF_VAR_releases",
                Value::Object(self.releases.clone()).to_string(),
            )
            .env("TF_VAR_may_remove", json!(may_remove).to_string())
            .env("TF_VAR_memory", "{}");
        let done = run(command).await?;
        if !done.success {
            bail!(
                "`terragrunt {}` by hand failed:\n{}",
                args.join(" "),
                done.end()
            );
        }
        Ok(done)
    }
}
