//! 2: a commit bumps the AMI. A new group stands beside the old one, becomes healthy, bakes; only then is the
//! old one drained and removed. Targets stay `initial` for 20 s, so that a controller which trusts "InService"
//! alone drains too early, which the second scene here proves with an `amid` that was broken on purpose.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{check_head, check_no_lock};
use crate::{
    proxy::ImageHealth,
    world::stage::{ROLL, Stage},
};

/// What the manifest asks for, less one look of the sampler at either end.
const BAKE: Duration = Duration::from_millis(4_500);
const INITIAL: Duration = Duration::from_secs(20);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let live = stage.deployed().await?;
    let before = stage.sampler.latest().context("Nothing was seen yet")?;
    let old_name = before
        .only()
        .context("There is not one group")?
        .name
        .clone();
    slow_targets(stage).await?;
    let ami = stage.image("v2").await?;
    let commit = stage.push_image(&ami)?;
    let look = stage.until_settled(&ami, 2).await?;
    stage.rules().target_initial(Duration::from_secs(3));

    let scribe = stage.scribe.clone();
    let lives = stage.sampler.lives();
    let old = lives
        .get(&old_name)
        .context("The old group was never seen")?;
    let new = stage
        .sampler
        .life_of_image(&ami)
        .context("The new group was never seen")?;
    let drained = old.drained.context("The old group was never drained")?;
    scribe.check("the new group stood beside the old one", new.born < drained);
    let served = new.served_since(2, drained);
    scribe.check_or(
        "the old group was drained only after both new instances had served for the bake time",
        served.is_some_and(|since| drained.duration_since(since) >= BAKE),
        || match served {
            Some(since) => format!("after {:?}", drained.duration_since(since)),
            None => "they did not serve at all".to_owned(),
        },
    );
    scribe.check_or(
        "until then nobody touched the old group",
        old.instances.len() == 2
            && old
                .sizes
                .iter()
                .all(|(at, sizes)| *at >= drained || sizes.0 == 2),
        || format!("{old:?}"),
    );
    let templates = stage.aws.templates_of(&stage.app).await?;
    let group = look.only().context("There is not one group")?;
    scribe.check_or(
        "old group and old launch template are gone",
        live != ami && templates == [group.name.clone()],
        || templates.join(", "),
    );
    check_no_lock(stage).await?;
    check_head(stage, "nobody but the person has committed", commit)
}

pub(super) async fn play_broken(stage: &mut Stage<'_>) -> Result<()> {
    let broken = stage
        .world
        .tools
        .broken_amid
        .clone()
        .context("AMID_BROKEN_BIN is not set")?;
    stage.use_binary(&broken, "AMID_FAULT", "trust-in-service");
    stage.deployed().await?;
    slow_targets(stage).await?;
    let ami = stage.image("v2").await?;
    // However quick the machine is, the new targets are not: they never serve
    // before the broken amid has drained what did.
    stage
        .rules()
        .image_health(&ami, ImageHealth::InitialForever);
    stage.push_image(&ami)?;
    stage
        .until("the broken amid drains what serves", ROLL, |look| {
            look.serving() < 2
        })
        .await?;
    stage.rules().image_health(&ami, ImageHealth::Healthy);
    stage
        .until("the broken amid has rolled", ROLL, |look| {
            look.settled(&ami, 2)
        })
        .await?;
    stage.scribe.check_or(
        "the sampler caught an amid that trusts \"InService\" alone",
        stage.sampler.violations() > 0,
        || stage.sampler.in_words(),
    );
    // What was to be caught is no failure of this scene.
    stage.sampler.forget_violations();
    Ok(())
}

/// From now on new targets stay `initial` for long; those that serve already are old enough not to be meant.
async fn slow_targets(stage: &Stage<'_>) -> Result<()> {
    let waiting = stage.scribe.waiting("the live instances get 20 s old");
    let lives = stage.sampler.lives();
    let youngest = lives.values().map(|life| life.born).max();
    let age = youngest.context("Nothing was seen yet")?.elapsed();
    tokio::time::sleep((INITIAL + Duration::from_secs(1)).saturating_sub(age)).await;
    drop(waiting);
    stage.rules().target_initial(INITIAL);
    stage
        .scribe
        .note("new targets stay `initial` for 20 s from now on");
    Ok(())
}
