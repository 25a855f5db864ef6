//! Images: listing them, and each change that can be made to one.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;

use super::{
    page::{Filters, page, wants},
    parts::tag_set,
};
use crate::{
    cloud::{ACCOUNT, Cloud, Image},
    wire::{Element, Form},
};

pub(super) fn images(cloud: &Cloud, form: &Form) -> Result<Element> {
    let ids = form.list("ImageId");
    for id in &ids {
        let is_known = cloud.images.contains_key(*id);
        ensure!(
            is_known,
            "InvalidAMIID.NotFound: The image id '[{id}]' does not exist"
        );
    }
    let filters = Filters::read(form);
    let with_disabled = form.get("IncludeDisabled") == Some("true");
    let mut found = Vec::new();
    for (id, image) in &cloud.images {
        let fields = [
            ("image-id", &**id),
            ("name", &*image.name),
            ("state", &*image.state),
            ("architecture", &*image.architecture),
        ];
        // AWS leaves disabled images out of every listing that does not ask for them.
        if (image.state != "disabled" || with_disabled)
            && wants(&ids, id)
            && filters.fit(&image.details.tags, &fields)?
        {
            found.push((id, image));
        }
    }
    let page = page(&found, form, "MaxResults", 1_000, |(id, image)| {
        image_element(cloud, id, image)
    })?;
    let mut result = vec![Element::node("imagesSet", page.items)];
    result.extend(page.next.map(|next| Element::leaf("nextToken", next)));
    Ok(Element::node("DescribeImagesResponse", result))
}

fn image_element(cloud: &Cloud, id: &str, image: &Image) -> Element {
    let details = &image.details;
    let mut element = Element::new("item");
    element.set("imageId", id);
    element.set("imageState", &*image.state);
    element.set("imageOwnerId", ACCOUNT);
    element.set("name", &*image.name);
    element.set("architecture", &*image.architecture);
    // AWS always writes milliseconds here, and there are readers that insist.
    let created = details
        .created
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
    element.set(
        "creationDate",
        created.unwrap_or_else(|| "2026-01-01T00:00:00.000Z".to_owned()),
    );
    let is_public = details.shared.iter().any(|who| who == "all");
    element.set("isPublic", is_public.to_string());
    if let Some(at) = details.deprecated {
        element.set("deprecationTime", at.to_string());
    }
    if let Some(at) = details.launched {
        element.set("lastLaunchedTime", at.to_string());
    }
    if let Some(source) = &details.source {
        element.set("sourceImageId", &**source);
        element.set("sourceImageRegion", "us-east-1");
    }
    let protection = if details.protected {
        "enabled"
    } else {
        "disabled"
    };
    element.set("deregistrationProtection", protection);
    let devices = details.snapshots.iter().enumerate().map(|(at, snapshot)| {
        let bytes = cloud.estate.snapshots.get(snapshot).map_or(0, |s| s.bytes);
        let ebs = vec![
            Element::leaf("snapshotId", &**snapshot),
            Element::leaf("volumeSize", (bytes >> 30).to_string()),
        ];
        let letter = char::from(b'a' + u8::try_from(at % 26).unwrap_or(0));
        Element::node(
            "item",
            vec![
                Element::leaf("deviceName", format!("/dev/xvd{letter}")),
                Element::node("ebs", ebs),
            ],
        )
    });
    element
        .children
        .push(Element::node("blockDeviceMapping", devices.collect()));
    element.children.push(tag_set(&details.tags));
    element
}

/// `DescribeImageAttribute`, of which only the launch permission is played.
pub(super) fn attribute(cloud: &Cloud, form: &Form) -> Result<Element> {
    let (id, image) = named(cloud, form)?;
    ensure!(
        form.get("Attribute") == Some("launchPermission"),
        "InvalidParameterValue: The stand-in knows only the attribute launchPermission"
    );
    let list = image.details.shared.iter().map(|who| {
        let leaf = match who.as_str() {
            "all" => Element::leaf("group", "all"),
            who if who.starts_with("arn:") => Element::leaf("organizationArn", who),
            who => Element::leaf("userId", who),
        };
        Element::node("item", vec![leaf])
    });
    Ok(Element::node(
        "DescribeImageAttributeResponse",
        vec![
            Element::leaf("imageId", id),
            Element::node("launchPermission", list.collect()),
        ],
    ))
}

/// `ModifyImageAttribute`, of which only the launch permission is played.
pub(super) fn modify(cloud: &mut Cloud, form: &Form) -> Result<()> {
    let image = changed(cloud, form)?;
    for at in 1..=1_000 {
        let field = |name: &str| form.get(&format!("LaunchPermission.Add.{at}.{name}"));
        let who = field("UserId")
            .or(field("Group"))
            .or(field("OrganizationArn"))
            .or(field("OrganizationalUnitArn"));
        let Some(who) = who else { break };
        if !image.details.shared.iter().any(|known| known == who) {
            image.details.shared.push(who.to_owned());
        }
    }
    for at in 1..=1_000 {
        let field = |name: &str| form.get(&format!("LaunchPermission.Remove.{at}.{name}"));
        let Some(who) = field("UserId").or(field("Group")) else {
            break;
        };
        image.details.shared.retain(|known| known != who);
    }
    Ok(())
}

/// `DisableImage` takes all launch permissions away; `EnableImage` gives none back.
pub(super) fn set_state(cloud: &mut Cloud, form: &Form, enabled: bool) -> Result<()> {
    let image = changed(cloud, form)?;
    let (from, to) = match enabled {
        true => ("disabled", "available"),
        false => ("available", "disabled"),
    };
    if image.state == to {
        return Ok(());
    }
    ensure!(
        image.state == from,
        "IncorrectState: The image is in the state {}",
        image.state
    );
    to.clone_into(&mut image.state);
    if !enabled {
        image.details.shared.clear();
    }
    Ok(())
}

pub(super) fn deprecate(cloud: &mut Cloud, form: &Form, now: Timestamp) -> Result<()> {
    let image = changed(cloud, form)?;
    let at: Timestamp = form
        .get("DeprecateAt")
        .and_then(|at| at.parse().ok())
        .context("InvalidParameterValue: DeprecateAt is no time")?;
    ensure!(
        at >= now,
        "InvalidParameterValue: The deprecation time cannot be in the past"
    );
    image.details.deprecated = Some(at);
    Ok(())
}

pub(super) fn undeprecate(cloud: &mut Cloud, form: &Form) -> Result<()> {
    changed(cloud, form)?.details.deprecated = None;
    Ok(())
}

pub(super) fn deregister(cloud: &mut Cloud, form: &Form) -> Result<Element> {
    let id = form
        .get("ImageId")
        .context("MissingParameter: ImageId is missing")?;
    let with_snapshots = form.get("DeleteAssociatedSnapshots") == Some("true");
    let results = cloud.deregister(id, with_snapshots)?;
    let items = results.into_iter().map(|(snapshot, code)| {
        Element::node(
            "item",
            vec![
                Element::leaf("snapshotId", snapshot),
                Element::leaf("returnCode", code),
            ],
        )
    });
    Ok(Element::node(
        "DeregisterImageResponse",
        vec![
            Element::leaf("return", "true"),
            Element::node("deleteSnapshotResultSet", items.collect()),
        ],
    ))
}

/// `CreateTags` and `DeleteTags`, on images and snapshots.
pub(super) fn tags(cloud: &mut Cloud, form: &Form, set: bool) -> Result<()> {
    let changes: Vec<(String, Option<String>)> = (1..=50)
        .map_while(|at| {
            let key = form.get(&format!("Tag.{at}.Key"))?.to_owned();
            let value = form.get(&format!("Tag.{at}.Value")).map(str::to_owned);
            Some((key, value))
        })
        .collect();
    for id in form.list("ResourceId") {
        let tags: &mut BTreeMap<String, String> = if let Some(image) = cloud.images.get_mut(id) {
            &mut image.details.tags
        } else if let Some(snapshot) = cloud.estate.snapshots.get_mut(id) {
            &mut snapshot.tags
        } else if id.starts_with("ami-") {
            bail!("InvalidAMIID.NotFound: The image id '[{id}]' does not exist")
        } else {
            bail!("InvalidID: The ID '{id}' is not valid")
        };
        for (key, value) in &changes {
            match (set, value) {
                (true, value) => {
                    tags.insert(key.clone(), value.clone().unwrap_or_default());
                }
                (false, Some(value)) if tags.get(key) != Some(value) => {}
                (false, _) => {
                    tags.remove(key);
                }
            }
        }
        // AWS refuses a fifty-first tag.
        ensure!(
            tags.len() <= 50,
            "TagLimitExceeded: The maximum number of tags for the resource has been reached."
        );
    }
    Ok(())
}

fn named<'a>(cloud: &'a Cloud, form: &Form) -> Result<(&'a String, &'a Image)> {
    let id = form
        .get("ImageId")
        .context("MissingParameter: ImageId is missing")?;
    cloud
        .images
        .get_key_value(id)
        .with_context(|| format!("InvalidAMIID.NotFound: The image id '[{id}]' does not exist"))
}

fn changed<'a>(cloud: &'a mut Cloud, form: &Form) -> Result<&'a mut Image> {
    let id = form
        .get("ImageId")
        .context("MissingParameter: ImageId is missing")?;
    cloud
        .images
        .get_mut(id)
        .with_context(|| format!("InvalidAMIID.NotFound: The image id '[{id}]' does not exist"))
}
