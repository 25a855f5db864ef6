//! 9: three commits in quick succession during a roll. The newest wins, the ones between never get a group
//! and are journalled as superseded.

use anyhow::Result;

use super::{check_ended, check_head};
use crate::{
    proxy::ImageHealth,
    world::stage::{SOON, Stage},
};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.deployed().await?;
    let scribe = stage.scribe.clone();
    let slow = stage.image("v2").await?;
    stage
        .rules()
        .image_health(&slow, ImageHealth::InitialForever);
    let begun = stage.push_image(&slow)?;
    stage
        .until("the roll has begun", SOON, |look| {
            look.with_image(&slow).is_some()
        })
        .await?;

    let mut commits = Vec::new();
    let mut images = Vec::new();
    for name in ["v3", "v4", "v5"] {
        images.push(stage.image(name).await?);
    }
    for ami in &images {
        commits.push(stage.push_image(ami)?);
    }
    let (newest, between) = (&images[2], &images[..2]);
    stage.until_settled(newest, 2).await?;
    for ami in between {
        scribe.check(
            &format!("{ami}, which came between, never got a group"),
            stage.sampler.life_of_image(ami).is_none(),
        );
    }
    for commit in [begun, commits[0], commits[1]] {
        let name = "a commit that a newer one overtook is journalled as superseded";
        check_ended(stage, name, commit, "superseded").await?;
    }
    check_ended(
        stage,
        "the newest is journalled as applied",
        commits[2],
        "applied",
    )
    .await?;
    check_head(stage, "nobody but the person has committed", commits[2])
}
