//! 4: autoscaling has grown the group to 4 by itself. A bump starts the new group at 4, and nothing drops
//! below 4 during the roll.

use anyhow::{Context, Result};

use crate::world::stage::{SOON, Stage};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.deployed().await?;
    let scribe = stage.scribe.clone();
    let before = stage.sampler.latest().context("Nothing was seen yet")?;
    let name = before
        .only()
        .context("There is not one group")?
        .name
        .clone();

    scribe.note("autoscaling wants 4 instances");
    stage.aws.set_desired(&name, 4).await?;
    stage
        .until("four instances serve", SOON, |look| look.serving() == 4)
        .await?;
    stage.sampler.set_floor(4);

    let ami = stage.image("v2").await?;
    stage.push_image(&ami)?;
    let look = stage.until_settled(&ami, 4).await?;
    let life = stage
        .sampler
        .life_of_image(&ami)
        .context("The new group was never seen")?;
    scribe.check_or(
        "the new group started with 4",
        life.desired_at_birth == 4,
        || format!("with {}", life.desired_at_birth),
    );
    let group = look.only().context("There is not one group")?;
    scribe.check_or(
        "afterwards autoscaling may shrink it to the manifest's minimum again",
        (group.min, group.max) == (2, 6),
        || format!("min {}, max {}", group.min, group.max),
    );
    Ok(())
}
