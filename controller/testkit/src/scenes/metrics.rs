//! What the metrics say after a scene, held against its history, AWS and git.
//!
//! Counters begin anew with the process, the history does not: a scene that starts `amid` twice is left out.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    scrape::Scrape,
    world::{
        aws::Observation,
        stage::{SOON, Stage},
    },
};

/// How a commit can end.
const OUTCOMES: [&str; 5] = [
    "applied",
    "superseded",
    "rejected",
    "failed_reverted",
    "failed_not_reverted",
];

/// Checks them, as soon as they had the time to say what the scene came to.
pub(super) async fn check(stage: &mut Stage<'_>) -> Result<()> {
    if stage.starts() != 1 {
        return Ok(());
    }
    let mut wrong = Vec::new();
    let told = stage
        .until_asked("the metrics say what happened", SOON, async |stage| {
            wrong = differences(stage).await?;
            Ok(wrong.is_empty().then_some(()))
        })
        .await;
    let scribe = stage.scribe.clone();
    scribe.check_or("the metrics say what happened", told.is_ok(), || {
        wrong.join("; ")
    });
    Ok(())
}

async fn differences(stage: &mut Stage<'_>) -> Result<Vec<String>> {
    let events = stage.events().await?;
    let status = stage.status().await?;
    let (_, text) = stage.amid()?.get("/metrics").await?;
    let look = stage.sampler.latest().context("AWS was not looked at")?;
    let scrape = Scrape::read(&text)?;
    let mut wrong = Vec::new();
    let mut want = |name: &str, labels: &[(&str, &str)], want: f64| {
        let said = scrape.sum(name, labels).unwrap_or(0.0);
        if said != want {
            wrong.push(format!("{name} {labels:?} is {said}, not {want}"));
        }
    };
    let app = stage.app.as_str();
    let count = |fits: &dyn Fn(&Value) -> bool| number(events.iter().filter(|e| fits(e)).count());
    for outcome in OUTCOMES {
        let ended = count(&|event| event["event"] == "ended" && event["outcome"] == outcome);
        want(
            "amid_rolls_total",
            &[("app", app), ("outcome", outcome)],
            ended,
        );
    }
    // Another app of the same amid has steps of its own.
    let apps = status["apps"].as_array().map_or(0, Vec::len);
    if apps == 1 {
        for (result, fits) in [("ok", true), ("failed", false)] {
            let finished =
                count(&|event| event["event"] == "finished" && event["error"].is_null() == fits);
            want("amid_steps_total", &[("result", result)], finished);
        }
        let abandoned = count(&|event| event["event"] == "abandoned");
        want("amid_rolls_failed_total", &[], abandoned);
        let reverted = count(&|event| event["event"] == "reverted");
        want("amid_reverts_total", &[("result", "pushed")], reverted);
        let refused = count(&|event| event["event"] == "revert_refused");
        want("amid_reverts_total", &[("result", "refused")], refused);
    }
    want("amid_passes_died_total", &[], 0.0);
    what_is_there(app, &status, &look, &mut want);
    let asked = stage.manifest().ok();
    let as_git_asks = match (look.only(), &asked) {
        (Some(group), Some(manifest)) => manifest["ami"] == group.ami.as_str(),
        _ => false,
    };
    // The same image with other settings is another release.
    if !as_git_asks {
        want("amid_app_as_desired", &[("app", app)], 0.0);
    }
    Ok(wrong)
}

/// Sizes as AWS has them, holds as the status has them.
fn what_is_there(
    app: &str,
    status: &Value,
    look: &Observation,
    want: &mut impl FnMut(&str, &[(&str, &str)], f64),
) {
    let desired: i32 = look.groups.iter().map(|group| group.desired).sum();
    want(
        "amid_app_instances",
        &[("app", app), ("state", "desired")],
        f64::from(desired),
    );
    let apps = status["apps"].as_array().into_iter().flatten();
    for one in apps {
        let Some(name) = one["app"].as_str() else {
            continue;
        };
        let held = one["held"].as_array().into_iter().flatten();
        let reasons: BTreeSet<&str> = held.filter_map(|one| one["label"].as_str()).collect();
        want("amid_app_held", &[("app", name)], number(reasons.len()));
        let phase = one["phase"].as_str().unwrap_or_default();
        want("amid_app_info", &[("app", name), ("phase", phase)], 1.0);
    }
    let rewritten = u8::from(!status["repository"]["held"].is_null());
    want("amid_repository_held", &[], f64::from(rewritten));
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
