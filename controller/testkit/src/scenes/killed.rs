//! 14: SIGKILL in the middle of an apply. Of `amid` alone: the apply survives and is waited for. Of everything
//! at once, when a group was made but not yet recorded: the next start takes it in. In both cases one apply at
//! a time, no lock left, no group orphaned.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{check_no_lock, state_text};
use crate::{
    proxy::{Fault, FaultKind},
    world::{
        processes::Run,
        stage::{ROLL, SOON, Stage},
    },
};

/// How long terraform waits for the answer to the creation of a group, so that the group is there and nothing
/// is recorded yet.
const WINDOW: Duration = Duration::from_secs(8);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.deployed().await?;
    amid_alone(stage).await?;
    everything(stage).await
}

async fn amid_alone(stage: &mut Stage<'_>) -> Result<()> {
    let scribe = stage.scribe.clone();
    let ami = stage.image("v2").await?;
    let apply = caught_in_the_middle(stage, &ami).await?;
    stage.take_amid()?.kill().await?;
    scribe.note("SIGKILL for amid alone");
    scribe.check("the apply survives its controller", apply.process.alive());
    stage.start().await?;
    stage
        .until_asked("the surviving apply ends", ROLL, async |_| {
            Ok((!apply.process.alive()).then_some(()))
        })
        .await?;
    stage.until_settled(&ami, 2).await?;
    nothing_is_left(stage, &ami).await
}

async fn everything(stage: &mut Stage<'_>) -> Result<()> {
    let scribe = stage.scribe.clone();
    let ami = stage.image("v3").await?;
    caught_in_the_middle(stage, &ami).await?;
    let folder = stage.state_dir();
    stage.take_amid()?.kill_with_children(&folder).await?;
    scribe.note("SIGKILL for amid, terragrunt, terraform and its provider");
    let state = state_text(stage).await?.unwrap_or_default();
    let made = stage.sampler.latest().context("Nothing was seen yet")?;
    let made = made
        .with_image(&ami)
        .context("The new group was not made")?;
    scribe.check(
        "a group was made and not recorded",
        !state.contains(&made.name),
    );
    stage.start().await?;
    // A lock may be broken only after a while, in case that a last write is still on its way.
    stage
        .until("the new image alone serves", 2 * ROLL, |look| {
            look.settled(&ami, 2)
        })
        .await?;
    stage.until_idle().await?;
    nothing_is_left(stage, &ami).await
}

/// Bumps to an image and answers the running apply once the new group is there and terraform does not know it.
pub(super) async fn caught_in_the_middle(stage: &mut Stage<'_>, ami: &str) -> Result<Run> {
    stage.rules().fault(Fault {
        service: "autoscaling".to_owned(),
        action: "CreateAutoScalingGroup".to_owned(),
        naming: None,
        times: Some(1),
        kind: FaultKind::Delay(WINDOW),
    });
    stage.push_image(ami)?;
    stage
        .until("the new group is there", SOON, |look| {
            look.with_image(ami).is_some()
        })
        .await?;
    let apply = stage.runs.applying();
    apply.context("No apply runs though its group has just been made")
}

/// One group, one template, both known to terraform, and no lock.
pub(super) async fn nothing_is_left(stage: &mut Stage<'_>, ami: &str) -> Result<()> {
    let scribe = stage.scribe.clone();
    let look = stage.sampler.latest().context("Nothing was seen yet")?;
    let group = look.only().context("There is not one group")?;
    scribe.check(
        "the new release is all there is",
        group.ami == ami && look.serving() == 2,
    );
    let templates = stage.aws.templates_of(&stage.app).await?;
    scribe.check_or(
        "no launch template is orphaned",
        templates == [group.name.clone()],
        || templates.join(", "),
    );
    let state = state_text(stage).await?.unwrap_or_default();
    scribe.check(
        "terraform's state knows the group",
        state.contains(&group.name),
    );
    check_no_lock(stage).await
}
