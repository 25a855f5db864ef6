//! `make pipeline`: one change of the app's code, from an edited line to a finished roll, and how long each
//! part took.
//!
//! What a build machine does (editing, compiling, provisioning in a chroot, the image suite, sealing) is
//! `scripts/pipeline.sh`, which is called back for each part. What packer would write and AWS would do is
//! played here; from the packer manifest on it is the ordinary way: `amid bump`, a merge, a roll. All machines
//! run from the roots that the builds left, under requests that may not fail.

mod builder;
mod parts;

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::{
    fleet::{Fleet, Image},
    scenes::traffic,
    timeline::{Scribe, Timeline},
    world::{
        Front, World,
        daemon::http_get,
        stage::{Stage, Times},
    },
};
use builder::Builder;
use parts::Parts;

const APP: &str = "demo/todo";
/// The base of all images here; nothing asks AWS for it.
const BASE: &str = "ami-0123456789abcdef0";
/// The branch that bumps are proposed on.
const PROPOSED: &str = "proposed";

/// Plays the whole way on a world of its own.
pub async fn play(timeline: &Timeline, script: &Path) -> Result<()> {
    let scribe = timeline.scribe();
    let builder = Builder::new(script, &scribe);
    scribe.heading("What is there before: a cloud, and an app in production");
    let apps = [APP.to_owned()];
    let (world, first) = tokio::try_join!(
        World::bring_up_behind(Front::TargetGroups, timeline, &apps),
        builder.first_image(),
    )?;
    let times = Times {
        timeout: "20s",
        ..Times::default()
    };
    let mut stage = Stage::open(&world, scribe.clone(), APP, times)?;
    let ended = production(&mut stage, &builder, &first).await;
    if ended.is_err() {
        scribe.note("the end of amid's log:");
        scribe.block(&stage.log_end());
    }
    scribe.check_or(
        "never did fewer instances serve than had to",
        stage.sampler.violations() == 0,
        || stage.sampler.in_words(),
    );
    ended?;
    stage.stop().await
}

/// From the deployed app to the end.
async fn production(stage: &mut Stage<'_>, builder: &Builder, first: &Path) -> Result<()> {
    let scribe = stage.scribe.clone();
    let fleet = Fleet::start(stage).await?;
    let live = stage.image("v1").await?;
    fleet.add_image(&live, Image::of_root(first)?);
    stage.deployed().await?;
    let load = traffic::start_load(stage, &fleet).await?;

    scribe.heading("My code change in production");
    let mut parts = Parts::new(scribe.clone());
    let changed = change(stage, builder, &fleet, &mut parts).await?;
    let bad = stage.image("bad").await?;
    let ended = rolls(stage, builder, &fleet, &mut parts, &changed, &bad).await;
    scribe.heading("What the clients saw of all this");
    // Also where a roll went wrong: then it is worth the most.
    let judged = traffic::judge(stage, fleet, load, [&live, &changed.ami], &bad).await;
    ended.and(judged)
}

/// The roll of the change, and that of an image that never gets ready.
async fn rolls(
    stage: &mut Stage<'_>,
    builder: &Builder,
    fleet: &Fleet,
    parts: &mut Parts,
    changed: &Changed,
    bad: &str,
) -> Result<()> {
    let scribe = stage.scribe.clone();
    let (_, root) = parts
        .time("roll: healthy, baked, old group gone", async {
            // The build machine makes the next image meanwhile, as it would.
            tokio::try_join!(
                stage.until_settled(&changed.ami, 2),
                builder.bad_image(&changed.program),
            )
        })
        .await?;
    parts.tell();
    check_served(fleet, &scribe, &changed.line).await;

    scribe.heading("An image that passed its suite and never gets ready");
    fleet.add_image(bad, Image::of_root(&root)?);
    traffic::bad_image(stage, bad, &changed.ami).await
}

/// What came of an edited line.
struct Changed {
    /// As people see it.
    line: String,
    program: String,
    ami: String,
}

/// Everything up to the merge.
async fn change(
    stage: &mut Stage<'_>,
    builder: &Builder,
    fleet: &Fleet,
    parts: &mut Parts,
) -> Result<Changed> {
    let (commit, line) = parts
        .time("an edited line, committed", builder.change())
        .await?;
    let program = parts
        .time("program: cargo build", builder.program())
        .await?;
    let root = parts
        .time(
            "image: provisioned in a chroot, its suite green",
            builder.image("v2", &program, &commit),
        )
        .await?;
    let ami = stage.image("v2").await?;
    let image = Image::of_root(&root)?;
    let version = image.version().to_owned();
    fleet.add_image(&ami, image);
    let manifest = parts
        .time(
            "packer-manifest.json, and tags at the image",
            builder.seal(stage, &root, &ami),
        )
        .await?;
    parts
        .time(
            "amid bump --manifest",
            builder.bump(stage, &manifest, &commit),
        )
        .await?;
    parts
        .time("merge on the local remote", async { merge(stage) })
        .await?;
    let merged = stage.manifest()?;
    stage.scribe.check_or(
        "git names the image that was built, and the commit in it",
        merged["ami"] == *ami
            && merged["image"]["commit"] == *commit
            && merged["image"]["version"] == *version,
        || merged.to_string(),
    );
    Ok(Changed { line, program, ami })
}

/// What a forge does when somebody merges: the branch goes on to what was proposed.
fn merge(stage: &Stage<'_>) -> Result<()> {
    let repository = git2::Repository::open_bare(stage.bare.path())?;
    let proposed = repository
        .find_branch(PROPOSED, git2::BranchType::Local)?
        .get()
        .peel_to_commit()?;
    let head = stage.bare.head()?.context("The branch is empty")?;
    ensure!(
        repository.graph_descendant_of(proposed.id(), head)?,
        "Nothing was proposed on top of the branch"
    );
    repository.reference("refs/heads/main", proposed.id(), true, "merge")?;
    let subject = proposed.summary().ok().flatten().unwrap_or_default();
    stage.tell_push(proposed.id(), subject);
    Ok(())
}

/// The edited line is what people get.
async fn check_served(fleet: &Fleet, scribe: &Scribe, line: &str) {
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(http_get(fleet.addr(), "/").await);
    }
    let shows =
        |answer: &Result<(u16, String)>| matches!(answer, Ok((200, page)) if page.contains(line));
    scribe.check_or(
        "every machine serves the edited line",
        seen.iter().all(shows),
        || format!("{:?}", seen.iter().find(|answer| !shows(answer))),
    );
}
