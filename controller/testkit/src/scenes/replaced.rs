//! 18: amid's own machine is replaced in the middle of an apply, as when it gets a new image. The old process
//! is told to stop and leaves the apply to its end; the new one has a fresh disk, finds the world as it is and
//! goes on with the roll. Nothing is rolled twice, nothing is forgotten, nothing is left.

use std::fs;

use anyhow::{Context, Result};

use super::killed::{caught_in_the_middle, nothing_is_left};
use crate::world::stage::{ROLL, Stage};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.deployed().await?;
    let scribe = stage.scribe.clone();
    let ami = stage.image("v2").await?;
    let apply = caught_in_the_middle(stage, &ami).await?;
    // As the machine's `leave` does, which then waits for longer than any apply.
    stage.stop().await?;
    stage
        .until_asked("the apply of the old machine ends", ROLL, async |_| {
            Ok((!apply.process.alive()).then_some(()))
        })
        .await?;
    let look = stage.sampler.latest().context("Nothing was seen yet")?;
    scribe.check("the roll is not over yet", look.only().is_none());
    let groups = stage.sampler.lives().len();

    let old = stage.folder().join("state-of-the-old-machine");
    fs::rename(stage.state_dir(), &old).context("Failed to take the state directory away")?;
    fs::create_dir_all(stage.state_dir()).context("Failed to make a state directory")?;
    scribe.note("another machine, a fresh disk");
    stage.start().await?;
    stage.until_settled(&ami, 2).await?;
    stage.until_idle().await?;
    scribe.check_or(
        "no group was made twice",
        stage.sampler.lives().len() == groups,
        || format!("{} groups, before {groups}", stage.sampler.lives().len()),
    );
    nothing_is_left(stage, &ami).await
}
