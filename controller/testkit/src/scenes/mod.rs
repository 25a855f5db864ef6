//! The life of an app, scene by scene.
//!
//! Each scene begins with an app that is deployed (it deploys one where there is none), makes something happen
//! as people, AWS or bad luck would, and checks what came of it by asking git and the AWS API. Only where
//! `amid`'s words are themselves the matter (what is held, what the history keeps) is `amid` asked. After
//! every scene two checks are made that hold for all of them: the app never had too few instances, and never
//! did two applies run at once.

mod approval;
mod autoscaled;
mod bad_image;
mod bump;
mod by_hand;
mod canary;
mod cleaned;
mod drift;
mod first;
mod force_push;
mod impossible_image;
mod in_place;
mod killed;
mod metrics;
mod mistakes;
mod no_capacity;
mod replaced;
mod revert;
mod superseded;
mod suspended;
pub mod traffic;

use std::{collections::BTreeSet, env};

use anyhow::{Result, bail};
use futures_util::{StreamExt, stream};

use crate::{
    permissions,
    timeline::Scribe,
    world::{
        World,
        stage::{SOON, Stage, Times},
    },
};

/// One scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// 1: the first commit.
    First,
    /// 2: another image.
    Bump,
    /// The test of 2: an `amid` that trusts "InService" is caught.
    BumpBroken,
    /// 3: sizes, env, revision.
    InPlace,
    /// 4: a group that had scaled.
    Autoscaled,
    /// 5: a canary first.
    Canary,
    /// 6: an image that never gets healthy.
    BadImage,
    /// 7: AWS has no capacity.
    NoCapacity,
    /// 8: `git revert` in the middle of a roll.
    Revert,
    /// 9: three commits during a roll.
    Superseded,
    /// 10: images that cannot be launched.
    ImpossibleImage,
    /// 11: changes by hand.
    Drift,
    /// 12: mistakes in a manifest, and a manifest that goes.
    Mistakes,
    /// 13: a branch that was rewritten.
    ForcePush,
    /// 14: SIGKILL.
    Killed,
    /// 15: terragrunt by hand.
    ByHand,
    /// 16: a plan that needs a person.
    Approval,
    /// 17: suspended apps.
    Suspended,
    /// 18: another machine for amid itself.
    Replaced,
    /// 19: a revert to an image that clean-up has disabled.
    Cleaned,
    /// 20: real processes and real requests.
    Traffic,
}

impl Scene {
    /// All of them, in their order.
    pub const ALL: [Scene; 21] = [
        Scene::First,
        Scene::Bump,
        Scene::BumpBroken,
        Scene::InPlace,
        Scene::Autoscaled,
        Scene::Canary,
        Scene::BadImage,
        Scene::NoCapacity,
        Scene::Revert,
        Scene::Superseded,
        Scene::ImpossibleImage,
        Scene::Drift,
        Scene::Mistakes,
        Scene::ForcePush,
        Scene::Killed,
        Scene::ByHand,
        Scene::Approval,
        Scene::Suspended,
        Scene::Replaced,
        Scene::Cleaned,
        Scene::Traffic,
    ];

    /// Those that `make demo` plays, on one app.
    pub const DEMO: [Scene; 4] = [Scene::First, Scene::Bump, Scene::BadImage, Scene::Revert];

    /// Whether it is played only where it is named: it takes longer than a test should.
    pub fn only_when_named(self) -> bool {
        self == Scene::Traffic
    }

    /// Its number in the list of scenes.
    pub fn number(self) -> &'static str {
        self.row().0
    }

    /// Its name, which is also the name of its app: `demo/NAME`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What happens in it, in one line.
    pub fn title(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Scene::First => ("1", "first", "A first commit deploys the app"),
            Scene::Bump => ("2", "bump", "A commit bumps the AMI"),
            Scene::BumpBroken => (
                "2-broken",
                "broken-bump",
                "An amid that trusts \"InService\" is caught by the sampler",
            ),
            Scene::InPlace => (
                "3",
                "in-place",
                "Sizes change in place; env and revision roll",
            ),
            Scene::Autoscaled => (
                "4",
                "autoscaled",
                "A bump while autoscaling has grown the group",
            ),
            Scene::Canary => ("5", "canary", "One new instance first"),
            Scene::BadImage => ("6", "bad-image", "An image that never becomes healthy"),
            Scene::NoCapacity => ("7", "no-capacity", "AWS has no capacity"),
            Scene::Revert => ("8", "revert", "git revert in the middle of a roll"),
            Scene::Superseded => ("9", "superseded", "Three commits in quick succession"),
            Scene::ImpossibleImage => ("10", "impossible", "Images that cannot be launched"),
            Scene::Drift => ("11", "drift", "Somebody changes the group by hand"),
            Scene::Mistakes => (
                "12",
                "mistakes",
                "A manifest with mistakes, and one that goes",
            ),
            Scene::ForcePush => ("13", "force-push", "The branch is rewritten"),
            Scene::Killed => ("14", "killed", "SIGKILL in the middle of an apply"),
            Scene::ByHand => ("15", "by-hand", "terragrunt by hand"),
            Scene::Approval => ("16", "approval", "A plan that needs a person"),
            Scene::Suspended => ("17", "suspended", "A suspended app"),
            Scene::Replaced => (
                "18",
                "replaced",
                "amid's own machine is replaced in the middle of an apply",
            ),
            Scene::Cleaned => (
                "19",
                "cleaned",
                "A revert to an image that clean-up has disabled",
            ),
            Scene::Traffic => (
                "20",
                "traffic",
                "Real processes serve real requests through a roll and a bad image",
            ),
        }
    }

    /// The scene with this number or name.
    pub fn find(word: &str) -> Result<Scene> {
        let found = Scene::ALL
            .into_iter()
            .find(|scene| scene.number() == word || scene.name() == word);
        match found {
            Some(scene) => Ok(scene),
            None => {
                let names: Vec<&str> = Scene::ALL.iter().map(|scene| scene.name()).collect();
                bail!(
                    "There is no scene `{word}`; there are: {}",
                    names.join(", ")
                )
            }
        }
    }

    /// The app that it plays on where it has a stage of its own.
    pub fn app(self) -> String {
        format!("demo/{}", self.name())
    }

    /// Every app that it needs a target group and a unit for.
    pub fn apps(self) -> Vec<String> {
        match self {
            Scene::Mistakes => vec![self.app(), mistakes::other_app(&self.app())],
            _ => vec![self.app()],
        }
    }

    async fn play(self, stage: &mut Stage<'_>) -> Result<()> {
        match self {
            Scene::First => first::play(stage).await,
            Scene::Bump => bump::play(stage).await,
            Scene::BumpBroken => bump::play_broken(stage).await,
            Scene::InPlace => in_place::play(stage).await,
            Scene::Autoscaled => autoscaled::play(stage).await,
            Scene::Canary => canary::play(stage).await,
            Scene::BadImage => bad_image::play(stage).await,
            Scene::NoCapacity => no_capacity::play(stage).await,
            Scene::Revert => revert::play(stage).await,
            Scene::Superseded => superseded::play(stage).await,
            Scene::ImpossibleImage => impossible_image::play(stage).await,
            Scene::Drift => drift::play(stage).await,
            Scene::Mistakes => mistakes::play(stage).await,
            Scene::ForcePush => force_push::play(stage).await,
            Scene::Killed => killed::play(stage).await,
            Scene::ByHand => by_hand::play(stage).await,
            Scene::Approval => approval::play(stage).await,
            Scene::Suspended => suspended::play(stage).await,
            Scene::Replaced => replaced::play(stage).await,
            Scene::Cleaned => cleaned::play(stage).await,
            Scene::Traffic => traffic::play(stage).await,
        }
    }
}

/// Plays one scene on a stage, with the checks that hold for every scene. Answers whether all went well.
pub async fn play_on(scene: Scene, stage: &mut Stage<'_>) -> bool {
    let scribe = stage.scribe.clone();
    scribe.heading(&format!("{} · {}", scene.number(), scene.title()));
    let mut ended = scene.play(stage).await;
    if ended.is_ok() {
        ended = metrics::check(stage).await;
    }
    let mut well = match &ended {
        Ok(()) => true,
        Err(error) => scribe.check_or("the scene came to its end", false, || format!("{error:#}")),
    };
    well &= scribe.check_or(
        "never did fewer instances serve than had to",
        stage.sampler.violations() == 0,
        || stage.sampler.in_words(),
    );
    let overlap = stage.runs.overlap();
    well &= scribe.check_or(
        "never did two applies run at once",
        overlap.is_none(),
        || overlap.unwrap_or_default(),
    );
    let asked = permissions::permitted()
        .map(|permitted| permissions::not_permitted(&stage.requests(), &permitted));
    well &= scribe.check_or(
        "amid asked AWS for nothing that its policies do not allow",
        asked.as_ref().is_ok_and(BTreeSet::is_empty),
        || format!("{asked:?}: see terraform/modules/controller/operations.json"),
    );
    if ended.is_err() {
        scribe.note("the end of amid's log:");
        scribe.block(&stage.log_end());
    }
    well
}

/// Plays one scene on a stage of its own.
async fn play_alone(world: &World, scene: Scene, scribe: Scribe) {
    if scene == Scene::BumpBroken && world.tools.broken_amid.is_none() {
        scribe.heading(&format!("{} · {}", scene.number(), scene.title()));
        scribe.note("skipped: AMID_BROKEN_BIN names no `amid` built with `broken-health`");
        return;
    }
    match Stage::open(world, scribe.clone(), &scene.app(), Times::default()) {
        Ok(mut stage) => {
            play_on(scene, &mut stage).await;
            if stage.amid().is_err() {
                // It never ran, or died on the way: that was said.
                return;
            }
            let stopped = stage.stop().await;
            scribe.check_or("amid stops when it is told to", stopped.is_ok(), || {
                stopped
                    .err()
                    .map(|error| format!("{error:#}"))
                    .unwrap_or_default()
            });
        }
        Err(error) => {
            scribe.check_or("the stage stands", false, || format!("{error:#}"));
        }
    }
}

/// Plays scenes, each on a stage of its own, several side by side.
pub async fn play_all(world: &World, scenes: &[Scene]) {
    let jobs = side_by_side().min(scenes.len().max(1));
    let alone = scenes.len() == 1;
    stream::iter(scenes)
        .for_each_concurrent(jobs, |scene| {
            let label = if alone { "" } else { scene.name() };
            play_alone(world, *scene, world.timeline.scribe_for(label))
        })
        .await;
}

/// How many scenes run side by side: `AMID_E2E_JOBS`, or what cores and memory allow, at most 3. A scene has
/// one terragrunt at a time, which takes 700 MB and most of a core.
fn side_by_side() -> usize {
    let asked = env::var("AMID_E2E_JOBS").ok();
    if let Some(jobs) = asked.and_then(|jobs| jobs.parse().ok()) {
        return std::cmp::max(1, jobs);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = available_mib().map_or(1, |mib| usize::try_from(mib / 1_500).unwrap_or(1));
    cores.min(memory).clamp(1, 3)
}

fn available_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

// --- Checks that several scenes make ---

/// No terraform state lock of the app is left.
async fn check_no_lock(stage: &Stage<'_>) -> Result<()> {
    let folder = format!("{}/", stage.app);
    let locks: Vec<String> = stage
        .world
        .state_objects()
        .await?
        .into_iter()
        .filter(|key| key.contains(&folder) && key.ends_with(".tflock"))
        .collect();
    stage
        .scribe
        .check_or("no state lock is left", locks.is_empty(), || {
            locks.join(", ")
        });
    Ok(())
}

/// The text of the app's terraform state, straight from S3.
async fn state_text(stage: &Stage<'_>) -> Result<Option<String>> {
    let folder = format!("{}/", stage.app);
    let keys = stage.world.state_objects().await?;
    let key = keys
        .iter()
        .find(|key| key.contains(&folder) && key.ends_with("tfstate"));
    match key {
        Some(key) => stage.world.s3(key).await,
        None => Ok(None),
    }
}

/// Nobody but the person has committed since `commit`.
fn check_head(stage: &Stage<'_>, name: &str, commit: git2::Oid) -> Result<()> {
    let head = stage.bare.head()?;
    let subject = stage
        .bare
        .log()?
        .first()
        .map(|one| one.subject().to_owned());
    stage.scribe.check_or(name, head == Some(commit), || {
        subject.unwrap_or_else(|| "the branch is empty".to_owned())
    });
    Ok(())
}

/// The history says, now or in a moment, that a commit ended so.
async fn check_ended(
    stage: &mut Stage<'_>,
    name: &str,
    commit: git2::Oid,
    outcome: &str,
) -> Result<()> {
    let id = commit.to_string();
    let found = stage
        .until_asked("the history says how a commit ended", SOON, async |stage| {
            let events = stage.events().await?;
            let end = events
                .iter()
                .find(|event| event["event"] == "ended" && event["commit"] == *id);
            Ok(end.map(|end| end["outcome"].to_string()))
        })
        .await;
    let found = found.unwrap_or_else(|error| format!("{error:#}"));
    stage
        .scribe
        .check_or(name, found == format!("\"{outcome}\""), || found.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_are_found_by_number_and_by_name() {
        assert_eq!(Scene::find("6").unwrap(), Scene::BadImage);
        assert_eq!(Scene::find("bad-image").unwrap(), Scene::BadImage);
        assert!(Scene::find("99").unwrap_err().to_string().contains("bump"));
    }

    #[test]
    fn no_amid_is_in_charge_of_the_app_of_another_scene() {
        for scene in Scene::ALL {
            for other in Scene::ALL.into_iter().filter(|other| *other != scene) {
                for app in other.apps() {
                    assert!(!app.starts_with(&scene.app()), "{scene:?} and {app}");
                }
            }
        }
    }
}
