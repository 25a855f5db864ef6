//! 3: sizes change the group in place; a change of `env` or of `revision` alone makes a new group of the same
//! image.

use anyhow::{Context, Result};
use serde_json::json;

use crate::world::stage::{ROLL, SOON, Stage};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let ami = stage.deployed().await?;
    let scribe = stage.scribe.clone();
    let before = stage.sampler.latest().context("Nothing was seen yet")?;
    let before = before.only().context("There is not one group")?.clone();

    stage.push_edit("Give it one instance more", |manifest| {
        manifest["min_size"] = json!(3);
        manifest["max_size"] = json!(5);
    })?;
    let name = before.name.clone();
    let look = stage
        .until("three instances serve", SOON, |look| {
            look.named(&name)
                .is_some_and(|group| (group.min, group.max, group.serving()) == (3, 5, 3))
        })
        .await?;
    stage.until_idle().await?;
    scribe.check(
        "no other group was ever made",
        stage.sampler.lives().len() == 1 && look.groups.len() == 1,
    );
    let group = look.only().context("There is not one group")?;
    scribe.check(
        "the first two instances are still there",
        group.ids().is_superset(&before.ids()),
    );

    stage.sampler.set_floor(3);
    let mut name = group.name.clone();
    for (message, field, value) in [
        ("Log more", "env", json!({ "LOG_LEVEL": "debug" })),
        ("Give it fresh machines", "revision", json!(1)),
    ] {
        stage.push_edit(message, |manifest| manifest[field] = value)?;
        let look = stage
            .until("a new group has taken over", ROLL, |look| {
                look.settled(&ami, 3) && look.named(&name).is_none()
            })
            .await?;
        stage.until_idle().await?;
        let group = look.only().context("There is not one group")?;
        scribe.check_or(
            &format!("a change of `{field}` made a new group of the same image"),
            group.ami == ami && group.name != name,
            || group.name.clone(),
        );
        name.clone_from(&group.name);
    }
    scribe.check("three groups in all", stage.sampler.lives().len() == 3);
    Ok(())
}
