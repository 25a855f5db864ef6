//! The tree of a commit as a folder, for terragrunt.

use std::sync::Arc;

use anyhow::Context;

use super::engine::{Engine, Slot};
use crate::desired::Accepted;

/// Puts the tree of the accepted commit where terragrunt finds it. Says
/// whether the unit is in it.
pub(crate) async fn export(
    engine: &Arc<Engine>,
    slot: &Slot,
    accepted: &Accepted,
    unit: &str,
) -> anyhow::Result<bool> {
    let (mirror, to, commit) = (
        Arc::clone(&engine.mirror),
        engine.export_dir(&slot.app),
        accepted.commit,
    );
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("Failed to make `{}`", parent.display()))?;
    }
    tokio::task::spawn_blocking(move || mirror.export(commit, &to))
        .await
        .context("Failed to export the repository")??;
    let work = engine.unit(&slot.app, unit).work;
    Ok(work.join("terragrunt.hcl").is_file())
}
