//! `amid plan` where no daemon runs: one look from an empty state directory.
//!
//! It reads git, AWS and terraform's outputs as a daemon at its first start
//! would, and changes nothing. What only a daemon's journal knows (suspensions
//! by command, waits after a failure) is not known here; losing that is safe,
//! but a running daemon is asked first for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;

use crate::config::Config;
use crate::daemon;
use crate::desired::Accepted;

/// What a first pass would do to `app`, or to each.
///
/// # Errors
///
/// When the repository cannot be read, or what the config names is missing.
pub async fn plan(
    mut config: Config,
    parent_env: BTreeMap<String, String>,
    app: Option<&str>,
    commands: bool,
) -> anyhow::Result<Vec<Value>> {
    let folder = tempfile::Builder::new()
        .prefix("amid-plan-")
        .tempdir()
        .context("Failed to make a temporary folder")?;
    config.state_dir = folder.path().join("state");
    let root = config.terragrunt.root.clone();
    let (engine, _) = daemon::engine(config, parent_env).await?;
    let engine = Arc::new(engine);
    let mirror = Arc::clone(&engine.mirror);
    let accepted = tokio::task::spawn_blocking(move || -> anyhow::Result<Accepted> {
        let head = mirror
            .fetch()
            .map_err(|error| anyhow::Error::msg(error.to_string()))?;
        Accepted::read(&mirror, head, &root)
    })
    .await
    .context("Failed to read the repository")?
    .context("Failed to read the repository")?;
    engine.accepted.send_replace(Some(Arc::new(accepted)));
    daemon::plans(&engine, app, commands)
        .await
        .map_err(anyhow::Error::msg)
}
