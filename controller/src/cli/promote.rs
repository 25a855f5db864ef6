//! `amid promote`: gives one app the image of another.

use anyhow::bail;
use jiff::Timestamp;

use amid_core::bump::{Built, Why, with_image, words};
use amid_core::model::AppName;

use super::deliver::{Copy, Edit, blocking, deliver};
use crate::config::Config;

/// Commits it. Returns a sentence.
///
/// # Errors
///
/// When one of the apps has no valid manifest, they live in different
/// regions, or the commit does not get to where it should.
pub async fn promote(
    config: Config,
    from: String,
    to: String,
    at: Timestamp,
) -> anyhow::Result<String> {
    let from = AppName::parse(&from).map_err(anyhow::Error::msg)?;
    let to = AppName::parse(&to).map_err(anyhow::Error::msg)?;
    let region = |app: &AppName| {
        let target = config.target(app).and_then(|i| config.targets.get(i));
        target.map(|target| target.region.clone())
    };
    if let (Some(here), Some(there)) = (region(&from), region(&to))
        && here != there
    {
        bail!(
            "{from} lives in {here} and {to} in {there}: an AMI id is of one region, bump {to} to its copy there"
        );
    }
    let (copy, edit) = {
        let config = config.clone();
        blocking(move || {
            let copy = Copy::fetch(&config)?;
            let source = copy.manifest(&config, &from)?.manifest;
            let found = copy.manifest(&config, &to)?;
            let image = source.image.unwrap_or_default();
            let built = Built {
                version: image.version,
                commit: image.commit,
                build: image.build,
                ..Built::of(source.ami)
            };
            let content = with_image(&found.bytes, &built).map_err(anyhow::Error::msg)?;
            let words = words(&to, &Why::Promote(from), &found.manifest.ami, &built);
            let edit = Edit {
                app: to,
                found,
                content,
                words,
                verb: "promote",
            };
            Ok((copy, edit))
        })
        .await?
    };
    deliver(config, copy, edit, at).await
}
