//! 6: an image that never becomes healthy. After its timeout the new group is drained and removed, the old one
//! was never touched, the evidence is in the history, and git goes back by a commit of `amid`'s. Where the
//! manifest says `hold`, git stays, and the release is not tried again, even after the state directory is lost.

use std::{fs, time::Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::{check_ended, check_head};
use crate::{
    proxy::ImageHealth,
    world::{
        aws::Group,
        stage::{QUIET, ROLL, SOON, Stage},
    },
};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let live = stage.deployed().await?;
    let before = stage.sampler.latest().context("Nothing was seen yet")?;
    let before = before.only().context("There is not one group")?.clone();
    reverted(stage, &live, &before).await?;
    if stage.brief {
        return Ok(());
    }
    held(stage, &live).await?;
    forgotten(stage).await
}

/// `on_failure: "revert"`, which is what a manifest means that says nothing.
async fn reverted(stage: &mut Stage<'_>, live: &str, before: &Group) -> Result<()> {
    let scribe = stage.scribe.clone();
    let bad = stage.image("bad").await?;
    stage.rules().image_health(&bad, ImageHealth::Unhealthy);
    let commit = stage.push_image(&bad)?;
    stage
        .until("the bad group is there", SOON, |look| {
            look.with_image(&bad).is_some()
        })
        .await?;
    let revert = stage
        .until_asked("a revert commit is on the branch", ROLL, async |stage| {
            let newest = stage.bare.log()?.into_iter().next();
            Ok(newest.filter(|newest| newest.id != commit))
        })
        .await?;
    scribe.note(&format!("amid pushed \"{}\"", revert.subject()));
    stage
        .until("the bad group is gone", ROLL, |look| look.settled(live, 2))
        .await?;
    stage.until_idle().await?;

    let lives = stage.sampler.lives();
    let old = lives
        .get(&before.name)
        .context("The old group was never seen")?;
    scribe.check_or(
        "the old group was never touched",
        old.instances == before.ids()
            && old.drained.is_none()
            && old.sizes.last().map(|(_, sizes)| *sizes)
                == Some((before.min, before.max, before.desired)),
        || format!("{old:?}"),
    );
    scribe.check_or(
        "the revert commit is amid's",
        revert.author == "amid <amid@localhost>",
        || revert.author.clone(),
    );
    let subject = format!("Revert {} to {live}", stage.app);
    scribe.check_or(
        "its subject names app and image",
        revert.subject() == subject,
        || revert.subject().to_owned(),
    );
    for (what, line) in [
        ("the app", format!("Amid-App: {}", stage.app)),
        ("the bad image", format!("Amid-From-Ami: {bad}")),
        ("the good image", format!("Amid-To-Ami: {live}")),
        (
            "the commit that it answers",
            format!("Amid-Answers: {commit}"),
        ),
        ("the reason", "Amid-Reason: ".to_owned()),
    ] {
        scribe.check_or(
            &format!("its body names {what}"),
            revert.message.contains(&line),
            || revert.message.clone(),
        );
    }
    scribe.check(
        "git names the good image again",
        stage.manifest()?["ami"] == json!(live),
    );
    check_head(stage, "one commit was enough", revert.id)?;
    let history = stage.history().await?;
    scribe.check(
        "the history keeps what the load balancer said of the bad instances",
        history.contains("Target.FailedHealthChecks"),
    );
    check_ended(
        stage,
        "the history says how the commit ended",
        commit,
        "failed_reverted",
    )
    .await
}

/// `on_failure: "hold"`: git still names the bad image, so that only memory keeps it from being tried again.
async fn held(stage: &mut Stage<'_>, live: &str) -> Result<()> {
    let worse = stage.image("worse").await?;
    stage.rules().image_health(&worse, ImageHealth::Unhealthy);
    let commit = stage.push_edit(&format!("Bump to {worse}, and stay"), |manifest| {
        manifest["ami"] = json!(worse);
        manifest["on_failure"] = json!("hold");
    })?;
    stage
        .until("the second bad group is there", SOON, |look| {
            look.with_image(&worse).is_some()
        })
        .await?;
    stage
        .until("the second bad group is gone", ROLL, |look| {
            look.settled(live, 2)
        })
        .await?;
    stage.held("release_failed").await?;
    stage.until_idle().await?;
    check_head(stage, "with `on_failure: hold` git stays as it is", commit)?;
    check_ended(
        stage,
        "the history says how that commit ended",
        commit,
        "failed_not_reverted",
    )
    .await
}

/// The state directory is lost.
async fn forgotten(stage: &mut Stage<'_>) -> Result<()> {
    let scribe = stage.scribe.clone();
    stage.stop().await?;
    fs::remove_dir_all(stage.state_dir()).context("Failed to delete the state directory")?;
    fs::create_dir_all(stage.state_dir()).context("Failed to make a state directory")?;
    scribe.note("the state directory is deleted");
    let restarted = Instant::now();
    let groups = stage.sampler.lives().len();
    stage.start().await?;
    stage.held("release_failed").await?;
    stage
        .watch_for("the bad image is not tried again", QUIET)
        .await;
    scribe.check(
        "the bad image is not tried again after the state directory was lost",
        stage.sampler.lives().len() == groups,
    );
    let applies = stage.runs.since(restarted);
    scribe.check(
        "nothing was applied at all",
        applies.iter().all(|run| run.verb != "apply"),
    );
    Ok(())
}
