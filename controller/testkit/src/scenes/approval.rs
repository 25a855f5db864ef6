//! 16: the module changes in a commit so that a plan would do something unexpected. It is held and shown, and
//! runs only after `amid approve` names that plan; an approval of what was held before the world moved counts
//! for nothing.

use anyhow::{Context, Result};
use serde_json::json;

use super::state_text;
use crate::world::stage::{QUIET, Stage, hold_id, text};

const MODULE: &str = "terraform/modules/releases/main.tf";
const SURPRISE: &str =
    "\nresource \"terraform_data\" \"surprise\" {\n  input = \"nobody asked for it\"\n}\n";

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.deployed().await?;
    let scribe = stage.scribe.clone();
    let app = stage.app.clone();
    let ami = stage.image("v2").await?;

    let module = stage.bare.read("main", MODULE)?;
    let module = String::from_utf8(module.context("The module is not in the repository")?)
        .context("The module is no text")?;
    let mut manifest = stage.manifest()?;
    manifest["ami"] = json!(ami);
    let path = Stage::manifest_path(&app);
    stage.push_files(
        &[
            (MODULE, &format!("{module}{SURPRISE}")),
            (&path, &text(&manifest)),
        ],
        "Change the module and bump the image",
    )?;
    let hold = stage.held("unexpected_plan").await?;
    let said = hold["text"].as_str().unwrap_or_default().to_owned();
    scribe.check_or(
        "the hold shows what the plan would do besides",
        said.contains("terraform_data.surprise"),
        || said.clone(),
    );
    let first = hold_id(&hold).context("The hold does not say how to approve it")?;
    stage.watch_for("nothing is applied", QUIET).await;
    scribe.check("nothing was made", stage.sampler.lives().len() == 1);

    // The world moves.
    let newer = stage.image("v3").await?;
    stage.push_image(&newer)?;
    let hold = stage
        .held_where(&app, "unexpected_plan", |hold| {
            hold_id(hold).is_some_and(|id| id != first)
        })
        .await?;
    let second = hold_id(&hold).context("The hold does not say how to approve it")?;
    let stale = stage.cli(&["approve", &first]).await?;
    stage
        .watch_for("the old approval counts for nothing", QUIET)
        .await;
    scribe.check(
        "approving what was held before the world moved makes nothing",
        stage.sampler.lives().len() == 1,
    );
    scribe.check("and is refused", !stale.success);
    let approved = stage.cli(&["approve", &second]).await?;
    scribe.check_or(
        &format!("`amid approve {second}` is taken"),
        approved.success,
        || approved.err.clone(),
    );
    stage.until_settled(&newer, 2).await?;
    scribe.check(
        "the image that the newer commit overtook never got a group",
        stage.sampler.life_of_image(&ami).is_none(),
    );
    let state = state_text(stage).await?.unwrap_or_default();
    scribe.check(
        "what was approved was made",
        state.contains("nobody asked for it"),
    );
    Ok(())
}
