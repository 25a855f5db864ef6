//! 15: terragrunt by hand. In steady state a plan shows no changes; in the middle of a roll an apply is
//! refused by the module, with a sentence that helps.

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    proxy::ImageHealth,
    world::{
        Done,
        stage::{SOON, Stage},
    },
};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.deployed().await?;
    let scribe = stage.scribe.clone();
    let plan = by_hand(
        stage,
        &["plan", "-input=false", "-detailed-exitcode", "-no-color"],
    )
    .await?;
    scribe.check_or(
        "in steady state `terragrunt plan` by hand shows no changes",
        plan.code == Some(0) && plan.text().contains("No changes"),
        || plan.end(),
    );

    let ami = stage.image("v2").await?;
    stage
        .rules()
        .image_health(&ami, ImageHealth::InitialForever);
    stage.push_edit(&format!("Bump to {ami}, which starts slowly"), |manifest| {
        manifest["ami"] = json!(ami);
        // Longer than terragrunt by hand takes.
        manifest["health"]["timeout"] = json!("10m");
    })?;
    stage
        .until("the new group is there", SOON, |look| {
            look.with_image(&ami).is_some()
        })
        .await?;
    stage.until_idle().await?;
    let before = stage.sampler.latest().context("Nothing was seen yet")?;
    let args = ["apply", "-input=false", "-auto-approve", "-no-color"];
    let apply = by_hand(stage, &args).await?;
    let said = in_one_line(&apply.text());
    scribe.check_or(
        "`terragrunt apply` by hand in the middle of a roll is refused",
        !apply.success,
        || apply.end(),
    );
    scribe.check_or(
        "the refusal says what would be lost and what to do",
        said.contains("would leave out groups of") && said.contains("amid status"),
        || apply.end(),
    );
    let after = stage.sampler.latest().context("Nothing was seen yet")?;
    scribe.check("nothing was changed by it", after.groups == before.groups);

    stage.rules().image_health(&ami, ImageHealth::Healthy);
    stage.until_settled(&ami, 2).await?;
    scribe.check("the roll went on afterwards", true);
    let plan = by_hand(
        stage,
        &["plan", "-input=false", "-detailed-exitcode", "-no-color"],
    )
    .await?;
    scribe.check_or(
        "a plan by hand shows no changes again",
        plan.code == Some(0),
        || plan.end(),
    );
    Ok(())
}

async fn by_hand(stage: &mut Stage<'_>, args: &[&str]) -> Result<Done> {
    stage.person.pull()?;
    let what = format!("terragrunt {} by hand", args[0]);
    let _waiting = stage.scribe.waiting(&what);
    let unit = stage
        .person
        .dir()
        .join("terraform/live")
        .join(&stage.app)
        .join("app");
    stage.world.terragrunt(&unit, &stage.endpoint(), args).await
}

/// terraform breaks its sentences into framed lines.
fn in_one_line(text: &str) -> String {
    let plain = text.replace('│', " ");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framed_sentence_is_read_as_one() {
        let framed = "│ This apply would\n│ leave out groups\n│ of demo/x: a";
        assert!(in_one_line(framed).contains("would leave out groups of demo/x"));
    }
}
