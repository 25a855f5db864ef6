//! `amid restart`: commits a higher `revision`, so that every instance is
//! replaced the way that a release is.

use anyhow::{Context, bail};
use jiff::Timestamp;

use amid_core::manifest::edit::set_fields;
use amid_core::manifest::parse::{Source, parse_one};
use amid_core::model::AppName;

use crate::config::Config;
use crate::git::{Change, Mirror, Pushed};

/// Commits and pushes it. Blocks. Returns a sentence.
///
/// # Errors
///
/// When the app has no valid manifest, or the remote does not take the
/// commit.
pub fn restart(config: &Config, app: &str, at: Timestamp) -> anyhow::Result<String> {
    let app = AppName::parse(app).map_err(anyhow::Error::msg)?;
    let scratch =
        tempfile::tempdir().context("Failed to make a folder for a copy of the repository")?;
    let mirror = Mirror::open(scratch.path(), crate::daemon::remote(config)?)?;
    let base = mirror
        .fetch()
        .map_err(|error| anyhow::Error::msg(error.to_string()))?;
    let path = format!("desired/{app}.json");
    let Some(bytes) = mirror.blob_at(base, &path)? else {
        bail!(
            "There is no `{path}` on branch `{}`",
            config.repository.branch
        );
    };
    let manifest = parse_one(&Source {
        path: &path,
        bytes: &bytes,
    })
    .map_err(|problems| {
        anyhow::anyhow!(
            "{}",
            problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        )
    })?;
    let revision = manifest.revision.unwrap_or(0) + 1;
    let content =
        set_fields(&bytes, &[("revision", Some(revision.into()))]).map_err(anyhow::Error::msg)?;
    let pushed = mirror.commit_and_push(Change {
        base,
        path,
        content,
        message: format!(
            "Restart {app}\n\nRevision {revision} replaces every instance.\n\nAmid-App: {app}\n"
        ),
        at,
    })?;
    match pushed {
        Pushed::Done(commit) => Ok(format!("{app} restarts: revision {revision} in {commit}")),
        Pushed::Moved(_) => bail!("The branch moved meanwhile: run it again"),
        Pushed::Refused {
            reason,
            branch: Some(branch),
        } => {
            bail!("The remote refused the commit ({reason}); it is on branch `{branch}`: merge it")
        }
        Pushed::Refused {
            reason,
            branch: None,
        } => bail!("The remote refused the commit: {reason}"),
    }
}
