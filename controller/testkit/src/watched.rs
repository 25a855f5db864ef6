//! A short life of two apps for those who watch: rolls, a failure with its revert, and a hold.
//!
//! It plays in a small world (see [`crate::small`]) within seconds and ends with everything at rest, so that
//! what the metrics say can be held against what really happened.

use anyhow::{Context, Result, ensure};
use git2::Oid;
use serde_json::{Value, json};

use crate::small::{IMAGE, OTHER_IMAGE, Options, Small};

/// The app that rolls.
pub const WEB: &str = "demo/web";
/// The app that is held.
pub const SHOP: &str = "demo/shop";
/// An image whose instances never pass their health checks.
pub const BAD_IMAGE: &str = "ami-0bad000000000000b";
/// An image that does not exist.
pub const NO_IMAGE: &str = "ami-0000000000000dead";
/// The size of the app that rolls.
pub const SIZE: u32 = 2;

/// The world with `amid` in it and no app yet.
pub fn begin(mut options: Options) -> Result<Small> {
    options.sweep = "1s".to_owned();
    let mut small = Small::new(options)?;
    small.stub.cloud_file().change(|cloud| {
        cloud.add_image(BAD_IMAGE, "x86_64", false);
        cloud.initial_seconds = 1;
        Ok(())
    })?;
    // What is there before amid's first look has no beginning that could be measured.
    let units = [Small::unit_file(WEB), Small::unit_file(SHOP)];
    small.push(&units, "Add the units")?;
    small.start()?;
    small.until("the first look is over", |small| {
        Ok(!small.status()?["swept"].is_null())
    })?;
    Ok(small)
}

/// Deploys an app, bumps its image, bumps it to a bad one and waits until that is reverted; asks for an image
/// that does not exist for another app. Answers the revert commit.
pub fn play(small: &mut Small) -> Result<Oid> {
    let first = push(small, WEB, IMAGE)?;
    until_ended(small, first)?;
    push(small, SHOP, NO_IMAGE)?;
    small.until_held(SHOP, "does not exist")?;
    let second = push(small, WEB, OTHER_IMAGE)?;
    until_ended(small, second)?;
    small.until_deployed(WEB, OTHER_IMAGE)?;
    let bad = push(small, WEB, BAD_IMAGE)?;
    until_ended(small, bad)?;
    let revert = small.bare.head()?.context("The branch is empty")?;
    ensure!(revert != bad, "The bad image was not reverted");
    until_ended(small, revert)?;
    small.until_deployed(WEB, OTHER_IMAGE)?;
    Ok(revert)
}

/// Waits until the history says how a commit ended.
fn until_ended(small: &mut Small, commit: Oid) -> Result<()> {
    small.until(&format!("{commit} came to its end"), |small| {
        let history = small.cli(&["history", WEB, "-n", "1000", "-o", "json"])?;
        let told = String::from_utf8_lossy(&history.stdout).into_owned();
        Ok(ended(&told).contains(&commit.to_string()))
    })
}

/// Commits whose end the history tells.
fn ended(history: &str) -> Vec<String> {
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(history)
        .into_iter::<Value>()
        .flatten()
    {
        let entries = match value {
            Value::Array(entries) => entries,
            other => vec![other],
        };
        for entry in &entries {
            let event = if entry["event"].is_object() {
                &entry["event"]
            } else {
                entry
            };
            if event["event"] == "ended" {
                found.extend(event["commit"].as_str().map(ToOwned::to_owned));
            }
        }
    }
    found
}

/// Asks for an image.
pub fn push(small: &Small, app: &str, image: &str) -> Result<Oid> {
    let manifest = json!({
        "unit": format!("live/{app}/app"),
        "ami": image,
        "instance_types": ["m5.large"],
        "min_size": SIZE,
        "max_size": 6,
        "health": { "type": "load_balancer", "timeout": "4s" },
        "roll": { "bake": "1s", "drain": "5s" },
    });
    let file = (
        format!("desired/{app}.json"),
        format!("{manifest:#}\n").into_bytes(),
    );
    small.person.pull()?;
    small.push(&[file], &format!("Bump {app} to {image}"))
}
