//! 8: a person pushes `git revert` in the middle of a roll, once while an apply runs and once while `amid`
//! waits for health. No further step of that roll starts, the give-up begins at once, and the old release is
//! all there is in the end. When things happened is read from the process table.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::check_head;
use crate::{
    proxy::ImageHealth,
    world::{
        aws::Group,
        stage::{ROLL, SOON, Stage},
    },
};

/// How soon the give-up has to begin.
const AT_ONCE: Duration = Duration::from_secs(5);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.deployed().await?;
    let before = stage.sampler.latest().context("Nothing was seen yet")?;
    let before = before.only().context("There is not one group")?.clone();
    during_an_apply(stage, &before).await?;
    if !stage.brief {
        during_a_wait(stage, &before).await?;
    }
    Ok(())
}

async fn during_an_apply(stage: &mut Stage<'_>, before: &Group) -> Result<()> {
    let scribe = stage.scribe.clone();
    let ami = stage.image("v8").await?;
    let commit = stage.push_image(&ami)?;
    let apply = stage
        .until_asked("an apply of the new roll runs", SOON, async |stage| {
            Ok(stage.runs.applying())
        })
        .await?;
    let revert = stage.push_revert(commit)?;
    let ended = stage
        .until_asked("the running apply ends", ROLL, async |stage| {
            let all = stage.runs.all();
            let same = all.iter().find(|run| run.process == apply.process);
            Ok(same.and_then(|run| run.ended))
        })
        .await?;
    let next = first_run_after(stage, ended).await?;
    let after = next.duration_since(ended);
    scribe.check_or(
        "the give-up began within 5 s of the running apply's end",
        after <= AT_ONCE,
        || format!("after {after:?}"),
    );
    only_the_old_one_is_left(stage, before, &ami, revert).await
}

async fn during_a_wait(stage: &mut Stage<'_>, before: &Group) -> Result<()> {
    let scribe = stage.scribe.clone();
    let ami = stage.image("v9").await?;
    stage
        .rules()
        .image_health(&ami, ImageHealth::InitialForever);
    let commit = stage.push_image(&ami)?;
    stage
        .until("the new group is there", SOON, |look| {
            look.with_image(&ami).is_some()
        })
        .await?;
    stage.until_idle().await?;
    let pushed = Instant::now();
    let revert = stage.push_revert(commit)?;
    let next = first_run_after(stage, pushed).await?;
    let after = next.duration_since(pushed);
    scribe.check_or(
        "the give-up began within 5 s of the push",
        after <= AT_ONCE,
        || format!("after {after:?}"),
    );
    only_the_old_one_is_left(stage, before, &ami, revert).await
}

async fn first_run_after(stage: &mut Stage<'_>, moment: Instant) -> Result<Instant> {
    stage
        .until_asked("the give-up begins", SOON, async |stage| {
            let runs = stage.runs.since(moment);
            Ok(runs.first().map(|run| run.began))
        })
        .await
}

async fn only_the_old_one_is_left(
    stage: &mut Stage<'_>,
    before: &Group,
    ami: &str,
    revert: git2::Oid,
) -> Result<()> {
    let scribe = stage.scribe.clone();
    let name = before.name.clone();
    stage
        .until("the old release is all there is", ROLL, |look| {
            look.only()
                .is_some_and(|group| group.name == name && group.serving() == 2)
        })
        .await?;
    stage.until_idle().await?;
    let lives = stage.sampler.lives();
    let old = lives.get(&name).context("The old group was never seen")?;
    scribe.check_or(
        "the old group kept its instances all the time",
        old.instances == before.ids() && old.drained.is_none(),
        || format!("{old:?}"),
    );
    let new = stage.sampler.life_of_image(ami);
    scribe.check(
        "the new group is gone",
        new.is_none_or(|life| life.gone.is_some()),
    );
    check_head(stage, "the person's revert is the last commit", revert)
}
