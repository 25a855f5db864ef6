//! 10: an image that does not exist, is of the wrong architecture, or is not available yet. Each is held with
//! its reason before any apply.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::world::stage::{QUIET, Stage};

const NO_SUCH_IMAGE: &str = "ami-0123456789abcdef0";

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let live = stage.deployed().await?;
    let before = stage.sampler.latest().context("Nothing was seen yet")?;
    let before = before.only().context("There is not one group")?.clone();
    let arm = stage.image_for("arm", "arm64").await?;
    let pending = stage.image("pending").await?;
    stage.rules().image_state(&pending, Some("pending"));

    let scribe = stage.scribe.clone();
    for (ami, label, word) in [
        (NO_SUCH_IMAGE, "image_missing", "does not exist"),
        (&arm, "image_wrong_architecture", "arm64"),
        (&pending, "image_not_available", "pending"),
    ] {
        let pushed = Instant::now();
        stage.push_image(ami)?;
        let hold = stage.held(label).await?;
        let text = hold["text"].as_str().unwrap_or_default().to_owned();
        scribe.check_or(
            "the reason names the image and what is wrong with it",
            text.contains(ami) && text.contains(word),
            || text.clone(),
        );
        stage.watch_for("nothing is applied", QUIET).await;
        let runs = stage.runs.since(pushed);
        scribe.check(
            "no apply was started",
            runs.iter().all(|run| run.verb != "apply"),
        );
    }

    // Waiting for an image that is still being copied is no reason for another commit.
    stage.rules().image_state(&pending, None);
    scribe.note("the pending image is available now");
    stage.until_settled(&pending, 2).await?;
    scribe.check(
        "the app rolls by itself once the image is available",
        pending != live,
    );
    let old = stage.sampler.lives().remove(&before.name);
    let old = old.context("The old group was never seen")?;
    scribe.check(
        "only then the old group went",
        old.instances == before.ids(),
    );
    Ok(())
}
