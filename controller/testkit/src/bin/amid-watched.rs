//! Plays the short life of [`amid_testkit::watched`] for a Prometheus that watches it.
//!
//! Prints `metrics ADDRESS` as soon as there is something to scrape, plays when it gets a line, and prints
//! `played` when everything is at rest; then it stays until its input ends. `dashboards/live.py` runs it.

#![allow(
    clippy::disallowed_methods,
    reason = "a tool for tests: it starts programs and reads clocks and the environment"
)]

use std::{io::Write, path::PathBuf};

use amid_testkit::{small::Options, watched};
use anyhow::{Context, Result, ensure};
use serde_json::json;

fn main() -> Result<()> {
    let amid = std::env::var_os("AMID_BIN").map(PathBuf::from);
    let amid = amid.context("AMID_BIN names no amid")?;
    ensure!(amid.is_file(), "There is no amid at {}", amid.display());
    let mut options = Options::of(&amid);
    // It only reports, so that the life of the apps is as it is without.
    options.config.insert(
        "cleanup".to_owned(),
        json!({
            "interval": "2s",
            "policy": { "claims": [{ "name": "*", "app": watched::WEB }] },
        }),
    );
    let mut small = watched::begin(options)?;
    say(&format!(
        "metrics {}",
        small.listener("Metrics and status")?
    ))?;
    let mut input = std::io::stdin().lines();
    let line = input.next().transpose();
    if line.context("Failed to wait for a line")?.is_none() {
        // Whoever watches gave up before it began.
        return small.stop();
    }
    watched::play(&mut small)?;
    say("played")?;
    // Whoever watches closes the input at the end.
    input.by_ref().for_each(drop);
    small.stop()
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("Failed to print")
}
