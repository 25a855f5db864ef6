//! Reads the file that Packer's manifest post-processor writes: the one
//! interface between building an image and naming it in git.
//!
//! It lists builds with their artifact, `region:ami-…`, and whatever the
//! template put into `custom_data`. Of that the keys `version`, `commit`,
//! `build` and `base` are read.

use serde_json::Value;

use super::Built;
use crate::model::AmiId;

/// The image that the last run made in `region`; `name` tells builds of one
/// run apart.
///
/// # Errors
///
/// A sentence that says what is missing, and what there is.
pub fn built(bytes: &[u8], region: &str, name: Option<&str>) -> Result<Built, String> {
    let file: Value = serde_json::from_slice(bytes).map_err(|error| {
        format!("it is not the file of Packer's manifest post-processor: {error}")
    })?;
    let builds = file["builds"]
        .as_array()
        .filter(|builds| !builds.is_empty())
        .ok_or("it lists no builds: is it the file of Packer's manifest post-processor?")?;
    let last = file["last_run_uuid"].as_str();
    let of_last_run = |build: &&Value| {
        last.is_none_or(|last| last.is_empty() || build["packer_run_uuid"].as_str() == Some(last))
    };
    let builds: Vec<&Value> = builds.iter().filter(of_last_run).collect();
    let named = |build: &&&Value| name.is_none_or(|name| build["name"].as_str() == Some(name));
    let chosen: Vec<&&Value> = builds.iter().filter(named).collect();
    let build = match chosen.as_slice() {
        [one] => **one,
        [] => return Err(no_build(&builds, name)),
        several => {
            return Err(format!(
                "its last run made several images, name one with `--packer-build`: {}",
                names(several.iter().map(|build| **build))
            ));
        }
    };
    let artifact = build["artifact_id"].as_str().unwrap_or_default();
    let mut images = artifact.split(',').filter_map(|part| part.split_once(':'));
    let Some((_, ami)) = images.find(|(at, _)| *at == region) else {
        return Err(format!(
            "it names no image in {region}, its artifact is `{}`",
            artifact.escape_debug().take(200).collect::<String>()
        ));
    };
    let data = |key: &str| {
        let text = build["custom_data"][key].as_str().map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let built = Built {
        ami: AmiId::parse(ami)?,
        version: data("version"),
        commit: data("commit"),
        build: data("build"),
        base: data("base"),
    };
    built.check()?;
    Ok(built)
}

fn no_build(builds: &[&Value], name: Option<&str>) -> String {
    match name {
        Some(name) if !builds.is_empty() => format!(
            "its last run has no build `{}`, it has: {}",
            name.escape_debug(),
            names(builds.iter().copied())
        ),
        _ => "it lists no build of its last run".to_owned(),
    }
}

fn names<'a>(builds: impl Iterator<Item = &'a Value>) -> String {
    let names: Vec<String> = builds
        .take(10)
        .map(|build| {
            let name = build["name"].as_str().unwrap_or("without a name");
            format!("`{}`", name.escape_debug().take(60).collect::<String>())
        })
        .collect();
    names.join(", ")
}
