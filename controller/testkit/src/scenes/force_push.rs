//! 13: the branch is rewritten to an older history. That is held and reported; nothing is applied until
//! `amid approve` names it.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::world::stage::{QUIET, Stage, hold_id, short};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let old = stage.deployed().await?;
    let scribe = stage.scribe.clone();
    let older = stage.bare.head()?.context("The branch is empty")?;
    let ami = stage.image("v2").await?;
    stage.push_image(&ami)?;
    let look = stage.until_settled(&ami, 2).await?;
    let group = look.only().context("There is not one group")?.clone();

    let pushed = Instant::now();
    stage.person.reset(older)?;
    stage.person.force_push()?;
    scribe.note(&format!(
        "the branch was moved back to {} by force",
        short(older)
    ));
    let hold = stage.held("rewritten").await?;
    stage.watch_for("nothing is applied", QUIET).await;
    let look = stage.sampler.latest().context("Nothing was seen yet")?;
    scribe.check(
        "the app stays as it was",
        look.only()
            .is_some_and(|now| now.name == group.name && now.ids() == group.ids()),
    );
    let runs = stage.runs.since(pushed);
    scribe.check(
        "no apply was started",
        runs.iter().all(|run| run.verb != "apply"),
    );

    let id = hold_id(&hold).context("The hold does not say how to approve it")?;
    let refused = stage.cli(&["approve", "no-such-hold"]).await?;
    scribe.check("approving something else is refused", !refused.success);
    let approved = stage.cli(&["approve", &id]).await?;
    scribe.check_or(
        &format!("`amid approve {id}` is taken"),
        approved.success,
        || approved.err.clone(),
    );
    stage.until_settled(&old, 2).await?;
    scribe.check("after the approval the older commit was rolled out", true);
    Ok(())
}
