//! `amid bump`: names a new image in an app's manifest.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;

use amid_core::bump::{Built, Why, built, with_image, words};
use amid_core::model::{AmiId, AppName};

use super::deliver::{Copy, Edit, blocking, deliver};
use crate::config::Config;

/// Bytes of Packer's file.
const MAX_FILE: u64 = 4 << 20;

/// What was typed.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The app.
    pub app: String,
    /// The image, or …
    pub ami: Option<String>,
    /// … the file of Packer's manifest post-processor.
    pub manifest: Option<PathBuf>,
    /// Which of its builds.
    pub packer_build: Option<String>,
    /// The app's commit.
    pub commit: Option<String>,
    /// The app's version.
    pub app_version: Option<String>,
    /// The build that made the image.
    pub build: Option<String>,
}

/// Commits it. Returns a sentence.
///
/// # Errors
///
/// When there is no such app, no such image in the file, or the commit does
/// not get to where it should.
pub async fn bump(config: Config, wanted: Wanted, at: Timestamp) -> anyhow::Result<String> {
    let app = AppName::parse(&wanted.app).map_err(anyhow::Error::msg)?;
    let to = image(&config, &app, &wanted)?;
    to.check().map_err(anyhow::Error::msg)?;
    let (copy, edit) = {
        let config = config.clone();
        blocking(move || {
            let copy = Copy::fetch(&config)?;
            let found = copy.manifest(&config, &app)?;
            let content = with_image(&found.bytes, &to).map_err(anyhow::Error::msg)?;
            let words = words(&app, &Why::Bump, &found.manifest.ami, &to);
            let edit = Edit {
                app,
                found,
                content,
                words,
                verb: "bump",
            };
            Ok((copy, edit))
        })
        .await?
    };
    deliver(config, copy, edit, at).await
}

/// The image, and what is known of it: a flag says more than the file.
fn image(config: &Config, app: &AppName, wanted: &Wanted) -> anyhow::Result<Built> {
    let mut to = match (&wanted.ami, &wanted.manifest) {
        (Some(ami), _) => Built::of(AmiId::parse(ami).map_err(anyhow::Error::msg)?),
        (None, Some(file)) => from_file(config, app, file, wanted.packer_build.as_deref())?,
        (None, None) => anyhow::bail!("Name the image with `--ami` or `--manifest`"),
    };
    for (known, flag) in [
        (&mut to.commit, &wanted.commit),
        (&mut to.version, &wanted.app_version),
        (&mut to.build, &wanted.build),
    ] {
        if flag.is_some() {
            known.clone_from(flag);
        }
    }
    Ok(to)
}

fn from_file(
    config: &Config,
    app: &AppName,
    path: &Path,
    name: Option<&str>,
) -> anyhow::Result<Built> {
    let target = config
        .target(app)
        .and_then(|index| config.targets.get(index))
        .with_context(|| format!("No entry of `targets` in the config covers {app}"))?;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .with_context(|| format!("Failed to read `{}`", path.display()))?;
    anyhow::ensure!(
        bytes.len() as u64 <= MAX_FILE,
        "`{}` has more than {} MiB",
        path.display(),
        MAX_FILE >> 20
    );
    built(&bytes, &target.region, name)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("`{}` does not name the image", path.display()))
}
