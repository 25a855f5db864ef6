//! 5: `canary: 1`. One new instance first, which has to bake, then the full size. A bad image stops at one.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    proxy::ImageHealth,
    world::stage::{ROLL, SOON, Stage},
};

/// What the manifest asks for, less one look of the sampler at either end.
const BAKE: Duration = Duration::from_millis(4_500);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.deployed().await?;
    let scribe = stage.scribe.clone();
    let good = stage.image("v2").await?;
    stage.push_edit(&format!("Try {good} on one instance first"), |manifest| {
        manifest["ami"] = json!(good);
        manifest["roll"]["canary"] = json!(1);
    })?;
    stage.until_settled(&good, 2).await?;
    let life = stage
        .sampler
        .life_of_image(&good)
        .context("The new group was never seen")?;
    scribe.check(
        "the new group began with one instance",
        life.desired_at_birth == 1,
    );
    let grown = life.sizes.iter().find(|(_, sizes)| sizes.2 >= 2);
    let grown = grown.context("The new group never grew")?.0;
    let served = life.served_since(1, grown);
    scribe.check_or(
        "it grew only after the canary had served for the bake time",
        served.is_some_and(|since| grown.duration_since(since) >= BAKE),
        || format!("{life:?}"),
    );

    let bad = stage.image("bad").await?;
    stage.rules().image_health(&bad, ImageHealth::Unhealthy);
    stage.push_image(&bad)?;
    stage
        .until("the canary of the bad image is there", SOON, |look| {
            look.with_image(&bad).is_some()
        })
        .await?;
    stage
        .until("the bad image is gone", ROLL, |look| look.settled(&good, 2))
        .await?;
    stage.until_idle().await?;
    let life = stage
        .sampler
        .life_of_image(&bad)
        .context("The bad group was never seen")?;
    scribe.check_or(
        "the bad image never had more than one instance",
        life.most == 1,
        || format!("it had {}", life.most),
    );
    let manifest = stage.manifest()?;
    scribe.check_or(
        "git names the good image again",
        manifest["ami"] == json!(good),
        || manifest["ami"].to_string(),
    );
    scribe.check(
        "and still asks for a canary",
        manifest["roll"]["canary"] == json!(1),
    );
    Ok(())
}
