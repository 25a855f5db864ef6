//! 17: a suspended app rolls nothing: suspended in its manifest, or by command where git cannot be reached. A
//! rollback still may.

use std::fs;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    proxy::ImageHealth,
    world::stage::{QUIET, ROLL, SOON, Stage},
};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.deployed().await?;
    in_the_manifest(stage).await?;
    let live = by_command(stage).await?;
    a_rollback_still_may(stage, &live).await
}

async fn in_the_manifest(stage: &mut Stage<'_>) -> Result<()> {
    let scribe = stage.scribe.clone();
    let ami = stage.image("v2").await?;
    stage.push_edit(&format!("Bump to {ami}, but not today"), |manifest| {
        manifest["ami"] = json!(ami);
        manifest["suspend"] = json!({ "reason": "Black Friday" });
    })?;
    let hold = stage.held("suspended").await?;
    let text = hold["text"].as_str().unwrap_or_default().to_owned();
    scribe.check_or("amid says why", text.contains("Black Friday"), || {
        text.clone()
    });
    stage.watch_for("nothing rolls", QUIET).await;
    scribe.check(
        "a suspended app rolls nothing",
        stage.sampler.life_of_image(&ami).is_none(),
    );
    stage.push_edit("Black Friday is over", |manifest| {
        if let Some(fields) = manifest.as_object_mut() {
            fields.remove("suspend");
        }
    })?;
    stage.until_settled(&ami, 2).await?;
    scribe.check("it rolls once `suspend` is gone from git", true);
    Ok(())
}

async fn by_command(stage: &mut Stage<'_>) -> Result<String> {
    let scribe = stage.scribe.clone();
    let app = stage.app.clone();
    let ami = stage.image("v3").await?;
    let remote = stage.bare.path().to_owned();
    let away = remote.with_extension("away");
    fs::rename(&remote, &away).context("Failed to take git away")?;
    scribe.note("git cannot be reached");
    suspend(stage).await?;
    fs::rename(&away, &remote).context("Failed to give git back")?;
    scribe.note("git is back");
    stage.push_image(&ami)?;
    stage.held("suspended").await?;
    stage.watch_for("nothing rolls", QUIET).await;
    scribe.check(
        "what was suspended while git was away stays suspended",
        stage.sampler.life_of_image(&ami).is_none(),
    );
    resume(stage, &app).await?;
    stage.until_settled(&ami, 2).await?;
    scribe.check("it rolls after `amid resume`", true);
    Ok(ami)
}

async fn a_rollback_still_may(stage: &mut Stage<'_>, live: &str) -> Result<()> {
    let scribe = stage.scribe.clone();
    let app = stage.app.clone();
    let ami = stage.image("v4").await?;
    stage
        .rules()
        .image_health(&ami, ImageHealth::InitialForever);
    let commit = stage.push_image(&ami)?;
    stage
        .until("the new group is there", SOON, |look| {
            look.with_image(&ami).is_some()
        })
        .await?;
    suspend(stage).await?;
    stage.push_revert(commit)?;
    stage
        .until(
            "the new group is taken away though the app is suspended",
            ROLL,
            |look| look.settled(live, 2),
        )
        .await?;
    stage.until_idle().await?;
    scribe.check("a suspended app may still go back", true);
    resume(stage, &app).await
}

async fn suspend(stage: &Stage<'_>) -> Result<()> {
    let later = Timestamp::now()
        .checked_add(SignedDuration::from_hours(1))
        .context("There is no such time")?;
    let until = format!("{later:.0}");
    let args = [
        "suspend",
        &stage.app,
        "--until",
        &until,
        "--reason",
        "the demo says so",
    ];
    let done = stage.cli(&args).await?;
    stage
        .scribe
        .check_or("`amid suspend` is taken", done.success, || done.err.clone());
    Ok(())
}

async fn resume(stage: &Stage<'_>, app: &str) -> Result<()> {
    let done = stage.cli(&["resume", app]).await?;
    stage
        .scribe
        .check_or("`amid resume` is taken", done.success, || done.err.clone());
    Ok(())
}
