//! 7: AWS has no capacity for the new instances. That is not the image's fault: the new group is taken away,
//! git stays as it is, the app waits with back-off and goes on by itself once there is capacity.

use anyhow::Result;

use super::check_head;
use crate::{
    proxy::RefuseLaunches,
    world::stage::{ROLL, SOON, Stage},
};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let live = stage.deployed().await?;
    let scribe = stage.scribe.clone();
    let ami = stage.image("v2").await?;
    stage.rules().refuse_launches(RefuseLaunches {
        ami: Some(ami.clone()),
        code: "InsufficientInstanceCapacity".to_owned(),
        message:
            "We currently do not have sufficient t3.micro capacity in the Availability Zone you \
                  requested."
                .to_owned(),
    });
    scribe.note("AWS has no capacity from now on");
    let commit = stage.push_image(&ami)?;
    stage
        .until("the new group is there", SOON, |look| {
            look.with_image(&ami).is_some()
        })
        .await?;
    stage
        .until("the new group is taken away", ROLL, |look| {
            look.settled(&live, 2)
        })
        .await?;
    let hold = stage.held("unavailable").await?;
    let text = hold["text"].as_str().unwrap_or_default().to_owned();
    scribe.check_or(
        "amid says that capacity is missing, and when it tries again",
        text.contains("capacity") && text.contains("next try at"),
        || text.clone(),
    );
    check_head(stage, "no revert was written", commit)?;

    stage.rules().allow_launches();
    scribe.note("AWS has capacity again");
    stage.until_settled(&ami, 2).await?;
    scribe.check("the roll went on by itself", true);
    check_head(stage, "nobody but the person has committed", commit)
}
