//! 1: the first commit of an app. Its unit's state is created, and two instances serve behind the balancer.

use anyhow::{Context, Result};

use super::{check_head, check_no_lock, state_text};
use crate::world::stage::{Stage, text};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.start().await?;
    let ami = stage.image("v1").await?;
    let manifest = text(&stage.fresh_manifest(&stage.app, &ami));
    let path = Stage::manifest_path(&stage.app);
    let message = format!("Deploy {} with {ami}", stage.app);
    let commit = stage.push_files(&[(&path, &manifest)], &message)?;
    let look = stage.until_settled(&ami, 2).await?;
    stage.sampler.set_floor(2);

    let scribe = stage.scribe.clone();
    let group = look.only().context("There is no group")?;
    scribe.check(
        "two instances serve behind the load balancer",
        group.serving() == 2,
    );
    scribe.check(
        "the group has the sizes that the manifest asks for",
        (group.min, group.desired, group.max) == (2, 2, 6),
    );
    let name = format!("{}-{}", stage.app.replace('/', "-"), group.release);
    scribe.check_or(
        "the group carries the app's name and its release's key",
        group.name == name && group.release.len() == 10,
        || group.name.clone(),
    );
    for instance in &group.instances {
        let (image, tags) = stage.aws.instance(&instance.id).await?;
        let told = tags.get("amid:app") == Some(&stage.app)
            && tags.get("amid:release") == Some(&group.release);
        scribe.check_or(
            "an instance runs the image and carries the app's tags",
            image == ami && told,
            || format!("{} runs {image}, tags {tags:?}", instance.id),
        );
    }
    let templates = stage.aws.templates_of(&stage.app).await?;
    scribe.check_or(
        "there is one launch template, of the same name",
        templates == [name],
        || templates.join(", "),
    );
    let state = state_text(stage).await?;
    scribe.check(
        "the unit's state is in its bucket and knows the group",
        state.is_some_and(|state| state.contains(&group.name)),
    );
    check_no_lock(stage).await?;
    check_head(stage, "nobody but the person has committed", commit)
}
