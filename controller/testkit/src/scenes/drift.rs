//! 11: somebody changes the group by hand. Sizes and template version are put back or only reported, as
//! `on_drift` says; desired capacity is autoscaling's and never drift; an instance of an image that git does
//! not name is seen.

use anyhow::{Context, Result};
use serde_json::json;

use crate::world::stage::{QUIET, SOON, Stage};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let live = stage.deployed().await?;
    let before = stage.sampler.latest().context("Nothing was seen yet")?;
    let group = before.only().context("There is not one group")?.clone();
    healed(stage, &group.name).await?;
    desired_capacity(stage, &group.name).await?;
    template_version(stage, &group.name, &live).await?;
    stranger(stage, &group.name).await?;
    reported(stage, &group.name).await?;
    let lives = stage.sampler.lives();
    stage
        .scribe
        .check("no other group was ever made", lives.len() == 1);
    Ok(())
}

async fn healed(stage: &mut Stage<'_>, name: &str) -> Result<()> {
    stage.scribe.note("somebody sets min 1 and max 9 by hand");
    stage.aws.set_sizes(name, 1, 9).await?;
    stage
        .until("the change is seen", SOON, |look| {
            look.named(name)
                .is_some_and(|group| (group.min, group.max) == (1, 9))
        })
        .await?;
    stage
        .until("min and max are put back", SOON, |look| {
            look.named(name)
                .is_some_and(|group| (group.min, group.max) == (2, 6))
        })
        .await?;
    stage.scribe.check("min and max were put back", true);
    stage.until_idle().await
}

async fn desired_capacity(stage: &mut Stage<'_>, name: &str) -> Result<()> {
    stage.scribe.note("autoscaling wants 3 instances");
    stage.aws.set_desired(name, 3).await?;
    stage
        .until("three instances serve", SOON, |look| look.serving() == 3)
        .await?;
    stage.sampler.set_floor(3);
    stage.watch_for("desired capacity stays", QUIET).await;
    let look = stage.sampler.latest().context("Nothing was seen yet")?;
    stage.scribe.check(
        "desired capacity is never drift",
        look.named(name)
            .is_some_and(|group| (group.desired, group.serving()) == (3, 3)),
    );
    Ok(())
}

async fn template_version(stage: &mut Stage<'_>, name: &str, live: &str) -> Result<()> {
    let other = stage.image("by-hand").await?;
    let look = stage.sampler.latest().context("Nothing was seen yet")?;
    let group = look.named(name).context("The group is gone")?;
    stage
        .scribe
        .note("somebody points the group at a template version of their own");
    stage.aws.point_at_new_version(group, &other).await?;
    stage
        .until("the change is seen", SOON, |look| {
            look.named(name)
                .is_some_and(|group| group.version == "2" && group.ami == other)
        })
        .await?;
    stage
        .until("the template version is put back", SOON, |look| {
            look.named(name)
                .is_some_and(|group| group.version == "1" && group.ami == live)
        })
        .await?;
    stage
        .scribe
        .check("the template version was put back", true);
    stage.until_idle().await
}

async fn stranger(stage: &mut Stage<'_>, name: &str) -> Result<()> {
    let scribe = stage.scribe.clone();
    let other = stage.image("stranger").await?;
    let look = stage.sampler.latest().context("Nothing was seen yet")?;
    let group = look.named(name).context("The group is gone")?;
    scribe.note("somebody puts an instance of another image into the group");
    let tags = [("amid:app", &*stage.app), ("amid:release", &*group.release)];
    let id = stage.aws.attach_stranger(group, &other, &tags).await?;
    let hold = stage.held("foreign_image").await?;
    let text = hold["text"].as_str().unwrap_or_default();
    scribe.check_or(
        "amid names the instance and the image that git does not name",
        text.contains(&id) && text.contains(&other),
        || text.to_owned(),
    );
    Ok(())
}

async fn reported(stage: &mut Stage<'_>, name: &str) -> Result<()> {
    let scribe = stage.scribe.clone();
    stage.push_edit("Only report drift", |manifest| {
        manifest["on_drift"] = json!("report");
    })?;
    // It has to know of the commit before the change is made.
    let head = stage.bare.head()?.map(|head| head.to_string());
    stage
        .until_asked("amid has accepted the commit", SOON, async |stage| {
            let status = stage.status().await?;
            let accepted = status["repository"]["accepted"].as_str().map(str::to_owned);
            Ok((accepted == head).then_some(()))
        })
        .await?;
    scribe.note("somebody sets min 1 and max 9 by hand, again");
    stage.aws.set_sizes(name, 1, 9).await?;
    let hold = stage.held("drifted").await?;
    let text = hold["text"].as_str().unwrap_or_default().to_owned();
    scribe.check_or(
        "amid says what was changed",
        text.contains(name) && text.contains('9'),
        || text.clone(),
    );
    stage.watch_for("nothing is put back", QUIET).await;
    let look = stage.sampler.latest().context("Nothing was seen yet")?;
    scribe.check(
        "with `on_drift: report` the change stays",
        look.named(name)
            .is_some_and(|group| (group.min, group.max) == (1, 9)),
    );
    Ok(())
}
