//! 12: a manifest with three mistakes. All three are reported with file, line and column, and the other app of
//! the same commit goes on deploying. A manifest that is deleted destroys nothing.

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    sampler::Sampler,
    world::stage::{QUIET, ROLL, Stage, text},
};

/// The app that does nothing wrong.
pub(super) fn other_app(app: &str) -> String {
    format!("{app}-other")
}

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.deployed().await?;
    let scribe = stage.scribe.clone();
    let before = stage.sampler.latest().context("Nothing was seen yet")?;
    let before = before.only().context("There is not one group")?.clone();

    let other = other_app(&stage.app);
    let other_path = Stage::manifest_path(&other);
    let mut others = Sampler::start(stage.aws.clone(), &other, scribe.clone());
    let first = stage.image("other-v1").await?;
    let second = stage.image("other-v2").await?;
    let mut manifest = stage.fresh_manifest(&other, &first);
    let message = format!("Deploy {other} with {first}");
    stage.push_files(&[(&other_path, &text(&manifest))], &message)?;
    until_settled(stage, &mut others, &first).await?;
    others.set_floor(2);

    // Three mistakes of three kinds.
    let path = Stage::manifest_path(&stage.app);
    let mut broken = stage.manifest()?;
    broken["min_size"] = json!("two");
    broken["roll"]["bake"] = json!("5 parsecs");
    broken["instance_typos"] = json!(["t3.micro"]);
    manifest["ami"] = json!(second);
    let message = format!("Break {} and bump {other}", stage.app);
    stage.push_files(
        &[(&path, &text(&broken)), (&other_path, &text(&manifest))],
        &message,
    )?;
    let app = stage.app.clone();
    let hold = stage.held_app(&app, "manifest_invalid").await?;
    let sentence = hold["text"].as_str().unwrap_or_default().to_owned();
    scribe.check_or(
        "amid counts three mistakes",
        sentence.contains("3 mistakes"),
        || sentence.clone(),
    );
    let validate = stage.cli(&["validate"]).await?;
    let report = validate.text();
    let places = with_places(&report, &path);
    scribe.check_or(
        "`amid validate` reports all three with file, line and column",
        places == 3 && validate.code == Some(1),
        || format!("{places} places, exit code {:?}: {report}", validate.code),
    );
    for word in ["min_size", "bake", "instance_typos"] {
        scribe.check(
            &format!("one of them is about `{word}`"),
            report.contains(word),
        );
    }
    until_settled(stage, &mut others, &second).await?;
    scribe.check("the other app was rolled by the same commit", true);

    stage.person.pull()?;
    let message = format!("Delete {app}");
    let commit = stage.person.delete(&[&path], &message)?;
    stage.person.push()?;
    stage.tell_push(commit, &message);
    stage.held_app(&app, "manifest_deleted").await?;
    stage.watch_for("nothing is destroyed", QUIET).await;
    let look = stage.sampler.latest().context("Nothing was seen yet")?;
    scribe.check(
        "a deleted manifest destroys nothing",
        look.only().is_some_and(|group| {
            group.name == before.name && group.ids() == before.ids() && group.serving() == 2
        }),
    );
    scribe.check_or(
        "the other app never had too few instances either",
        others.violations() == 0,
        || others.in_words(),
    );
    Ok(())
}

async fn until_settled(stage: &Stage<'_>, sampler: &mut Sampler, ami: &str) -> Result<()> {
    let _waiting = stage
        .scribe
        .waiting(&format!("{ami} alone serves the other app"));
    let settled = async {
        while let Some(look) = sampler.next().await {
            if look.settled(ami, 2) {
                return;
            }
        }
    };
    tokio::time::timeout(ROLL, settled)
        .await
        .context("The other app was not rolled in time")
}

/// In how many places of the file the report says something: `desired/demo/x.json:7:3`.
fn with_places(report: &str, path: &str) -> usize {
    let mut places: Vec<(u32, u32)> = report
        .split(path)
        .skip(1)
        .filter_map(|rest| {
            let mut parts = rest
                .strip_prefix(':')?
                .splitn(3, |c: char| !c.is_ascii_digit());
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        })
        .collect();
    places.sort_unstable();
    places.dedup();
    places.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_once_each() {
        let report = "error: a\n --> desired/x.json:7:3\n --> desired/x.json:12:1: b\ndesired/x.json:7:3 again\n\
                      in desired/x.json and desired/y.json:1:1";
        assert_eq!(with_places(report, "desired/x.json"), 2);
    }
}
