//! 19: clean-up disables an image that nothing needs any more, and a `git revert` asks for it. It is
//! brought back before the roll begins; that AWS launches nothing from a disabled image is
//! played by the proxy, so that a roll which did not wait would fail.

use anyhow::Result;
use serde_json::{Value, json};

use super::check_head;
use crate::world::stage::{SOON, Stage};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.configure("cleanup", &cleanup(&stage.app))?;
    let scribe = stage.scribe.clone();
    let live = stage.deployed().await?;
    let next = stage.image("v2").await?;
    let commit = stage.push_image(&next)?;
    stage.until_settled(&next, 2).await?;
    let gone = stage
        .until_asked("clean-up disables the old image", SOON, async |stage| {
            let image = stage.aws.image(&live).await?;
            Ok(image.filter(|image| image.state == "disabled"))
        })
        .await?;
    scribe.check("it says since when, in AWS", gone.is_marked());
    let used = stage.aws.image(&next).await?;
    scribe.check_or(
        "the image that is live was left alone",
        used.as_ref()
            .is_some_and(|image| image.state == "available" && !image.is_marked()),
        || format!("{used:?}"),
    );

    let revert = stage.push_revert(commit)?;
    stage.until_settled(&live, 2).await?;
    let back = stage.aws.image(&live).await?;
    scribe.check_or(
        "the old image was brought back, and nothing of clean-up is left on it",
        back.as_ref()
            .is_some_and(|image| image.state == "available" && !image.is_marked()),
        || format!("{back:?}"),
    );
    check_head(stage, "the person's revert is the last commit", revert)
}

/// A clean-up without patience, for this app's images alone: other scenes have theirs in the same account.
fn cleanup(app: &str) -> Value {
    json!({
        "interval": "2s",
        "requests_per_second": 5,
        "policy": {
            "mode": "on",
            "claims": [{ "name": format!("{}-*", app.replace('/', "-")) }],
            "default": { "keep_newest": 0, "min_age": "0s", "not_launched_for": "0s" },
            "waits": { "stale": "1s", "deprecated": "1s", "disabled": "24h" },
            "longest_build": "0s",
            "revert_window": { "changes": 0, "age": "0s" },
            "breakers": {
                "first_runs": 0, "max_percent": 100, "max_family_percent": 100,
                "settle": "0s", "fewer_references_percent": 100,
            },
        },
    })
}
