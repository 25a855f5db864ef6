//! Instances, images, instance types and launch templates.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::{
    page::{Filters, page, wants},
    parts::{ZONE, tag_set},
};
use crate::{
    cloud::{
        Cloud, Group, Instance, Template,
        estate::{LoneInstance, TemplateVersion},
    },
    wire::{Element, Form},
};

pub(super) fn instances(cloud: &Cloud, form: &Form) -> Result<Element> {
    let ids = form.list("InstanceId");
    let filters = Filters::read(form);
    let mut found = Vec::new();
    for (name, group) in &cloud.groups {
        for instance in &group.instances {
            let fields = [
                ("instance-id", &*instance.id),
                ("image-id", &*instance.image),
                ("instance-state-name", "running"),
            ];
            if wants(&ids, &instance.id) && filters.fit(&group.tags, &fields)? {
                found.push((name, group, instance));
            }
        }
    }
    for id in ids {
        let is_known = found.iter().any(|(_, _, instance)| instance.id == id)
            || cloud.estate.instances.contains_key(id);
        ensure!(
            is_known,
            "InvalidInstanceID.NotFound: The instance ID '{id}' does not exist"
        );
    }
    let mut all: Vec<Shown<'_>> = found
        .into_iter()
        .map(|(name, group, instance)| Shown::InGroup(name, group, instance))
        .collect();
    for (id, lone) in &cloud.estate.instances {
        let fields = [
            ("instance-id", &**id),
            ("image-id", &*lone.image),
            ("instance-state-name", &*lone.state),
        ];
        if wants(&form.list("InstanceId"), id) && filters.fit(&BTreeMap::new(), &fields)? {
            all.push(Shown::Lone(id, lone));
        }
    }
    let page = page(&all, form, "MaxResults", 1_000, |shown| {
        let (name, group, instance) = match shown {
            Shown::InGroup(name, group, instance) => (name, group, instance),
            Shown::Lone(id, lone) => return lone_instance(id, lone),
        };
        let mut element = Element::new("item");
        element.set("instanceId", &*instance.id);
        element.set("imageId", &*instance.image);
        let state = vec![
            Element::leaf("code", "16"),
            Element::leaf("name", "running"),
        ];
        element.children.push(Element::node("instanceState", state));
        element.set("instanceType", &*instance.instance_type);
        element.set("launchTime", instance.launched.to_string());
        element.children.push(Element::node(
            "placement",
            vec![Element::leaf("availabilityZone", ZONE)],
        ));
        let mut tags = group.tags.clone();
        tags.insert("aws:autoscaling:groupName".to_owned(), (*name).clone());
        element.children.push(tag_set(&tags));
        let reservation = vec![
            Element::leaf(
                "reservationId",
                format!("r-{}", instance.id.trim_start_matches("i-")),
            ),
            Element::node("instancesSet", vec![element]),
        ];
        Element::node("item", reservation)
    })?;
    let mut result = vec![Element::node("reservationSet", page.items)];
    result.extend(page.next.map(|next| Element::leaf("nextToken", next)));
    Ok(Element::node("DescribeInstancesResponse", result))
}

/// An instance as the listing shows it.
enum Shown<'a> {
    InGroup(&'a String, &'a Group, &'a Instance),
    Lone(&'a str, &'a LoneInstance),
}

fn lone_instance(id: &str, lone: &LoneInstance) -> Element {
    let state = vec![Element::leaf("name", &*lone.state)];
    let instance = vec![
        Element::leaf("instanceId", id),
        Element::leaf("imageId", &*lone.image),
        Element::node("instanceState", state),
    ];
    let instances = vec![Element::node("item", instance)];
    Element::node(
        "item",
        vec![
            Element::leaf(
                "reservationId",
                format!("r-{}", id.trim_start_matches("i-")),
            ),
            Element::node("instancesSet", instances),
        ],
    )
}

pub(super) fn instance_types(cloud: &Cloud, form: &Form) -> Result<Element> {
    let names = form.list("InstanceType");
    for name in &names {
        let is_known = cloud.instance_types.contains_key(*name);
        ensure!(
            is_known,
            "InvalidInstanceType: The following supplied instance types do not exist: [{name}]"
        );
    }
    let found: Vec<_> = cloud
        .instance_types
        .iter()
        .filter(|(name, _)| wants(&names, name))
        .collect();
    let page = page(&found, form, "MaxResults", 100, |(name, architectures)| {
        let list = architectures
            .iter()
            .map(|one| Element::leaf("item", &**one))
            .collect();
        let processor = Element::node(
            "processorInfo",
            vec![Element::node("supportedArchitectures", list)],
        );
        Element::node(
            "item",
            vec![Element::leaf("instanceType", &***name), processor],
        )
    })?;
    let mut result = vec![Element::node("instanceTypeSet", page.items)];
    result.extend(page.next.map(|next| Element::leaf("nextToken", next)));
    Ok(Element::node("DescribeInstanceTypesResponse", result))
}

pub(super) fn templates(cloud: &Cloud, form: &Form) -> Result<Element> {
    let found = found_templates(cloud, form)?;
    let page = page(&found, form, "MaxResults", 200, |(id, template)| {
        let mut element = Element::new("item");
        element.set("launchTemplateId", &***id);
        element.set("launchTemplateName", &*template.name);
        element.set("createTime", template.created.to_string());
        let more = cloud.estate.versions.get(*id).map_or(&[][..], |all| all);
        let default = more.iter().find(|version| version.default);
        let default = default.map_or(1, |version| version.number);
        let latest = more.iter().map(|version| version.number).max();
        element.set("defaultVersionNumber", default.to_string());
        element.set("latestVersionNumber", latest.unwrap_or(1).to_string());
        element.children.push(tag_set(&template.tags));
        element
    })?;
    let mut result = vec![Element::node("launchTemplates", page.items)];
    result.extend(page.next.map(|next| Element::leaf("nextToken", next)));
    Ok(Element::node("DescribeLaunchTemplatesResponse", result))
}

pub(super) fn template_versions(cloud: &Cloud, form: &Form) -> Result<Element> {
    let asked = form.list("LaunchTemplateVersion");
    let found = found_templates(cloud, form)?;
    let mut all = Vec::new();
    for (id, template) in found {
        let more = cloud.estate.versions.get(id).map_or(&[][..], |all| all);
        let first = TemplateVersion {
            number: 1,
            image: template.image.clone(),
            created: template.created,
            default: more.iter().all(|version| !version.default),
        };
        let latest = more.iter().map(|version| version.number).max().unwrap_or(1);
        // AWS lists the newest first.
        let mut versions: Vec<TemplateVersion> = more.to_vec();
        versions.push(first);
        versions.sort_by_key(|version| std::cmp::Reverse(version.number));
        versions.retain(|version| {
            asked.is_empty()
                || asked.iter().any(|asked| match *asked {
                    "$Default" => version.default,
                    "$Latest" => version.number == latest,
                    number => version.number.to_string() == number,
                })
        });
        all.extend(versions.into_iter().map(|version| (id, template, version)));
    }
    let page = page(&all, form, "MaxResults", 200, |(id, template, version)| {
        let mut element = Element::new("item");
        element.set("launchTemplateId", &***id);
        element.set("launchTemplateName", &*template.name);
        element.set("versionNumber", version.number.to_string());
        element.set("defaultVersion", version.default.to_string());
        element.set("createTime", version.created.to_string());
        let data = vec![
            Element::leaf("imageId", &*version.image),
            Element::leaf("instanceType", &*template.instance_type),
        ];
        element
            .children
            .push(Element::node("launchTemplateData", data));
        element
    })?;
    let mut result = vec![Element::node("launchTemplateVersionSet", page.items)];
    result.extend(page.next.map(|next| Element::leaf("nextToken", next)));
    Ok(Element::node(
        "DescribeLaunchTemplateVersionsResponse",
        result,
    ))
}

pub(super) fn delete_template(cloud: &mut Cloud, form: &Form) -> Result<Element> {
    let id = named_templates(cloud, form)?
        .first()
        .map(|(id, _)| (*id).clone());
    let id = id.context("MissingParameter: LaunchTemplateId or LaunchTemplateName is missing")?;
    let template = cloud.templates.remove(&id);
    let mut element = Element::new("launchTemplate");
    element.set("launchTemplateId", id);
    element.set(
        "launchTemplateName",
        template.map(|template| template.name).unwrap_or_default(),
    );
    Ok(Element::node("DeleteLaunchTemplateResponse", vec![element]))
}

/// The templates that a request names and filters; all where it names none.
fn found_templates<'a>(cloud: &'a Cloud, form: &Form) -> Result<Vec<(&'a String, &'a Template)>> {
    let named = named_templates(cloud, form)?;
    let all = if named.is_empty() {
        cloud.templates.iter().collect()
    } else {
        named
    };
    let filters = Filters::read(form);
    let mut found = Vec::new();
    for (id, template) in all {
        if filters.fit(&template.tags, &[("launch-template-name", &template.name)])? {
            found.push((id, template));
        }
    }
    Ok(found)
}

fn named_templates<'a>(cloud: &'a Cloud, form: &Form) -> Result<Vec<(&'a String, &'a Template)>> {
    let mut found = Vec::new();
    for id in form
        .list("LaunchTemplateId")
        .into_iter()
        .chain(form.get("LaunchTemplateId"))
    {
        let one = cloud.templates.get_key_value(id).with_context(|| {
            format!("InvalidLaunchTemplateId.NotFound: The specified launch template, with template ID {id}, does not exist.")
        })?;
        found.push(one);
    }
    for name in form
        .list("LaunchTemplateName")
        .into_iter()
        .chain(form.get("LaunchTemplateName"))
    {
        let one = cloud.templates.iter().find(|(_, template)| template.name == name).with_context(|| {
            format!(
                "InvalidLaunchTemplateName.NotFoundException: The specified launch template, with template name {name}, does not exist."
            )
        })?;
        found.push(one);
    }
    Ok(found)
}

/// `DescribeTags`: of images, of snapshots, and of groups' instances.
pub(super) fn tags(cloud: &Cloud, form: &Form) -> Result<Element> {
    let images = cloud
        .images
        .iter()
        .map(|(id, image)| (id, "image", &image.details.tags));
    let snapshots = cloud.estate.snapshots.iter();
    let snapshots = snapshots.map(|(id, snapshot)| (id, "snapshot", &snapshot.tags));
    let groups = cloud.groups.values();
    let instances = groups.flat_map(|group| {
        let ids = group.instances.iter().map(|instance| &instance.id);
        ids.map(|id| (id, "instance", &group.tags))
    });
    let filters = Filters::read(form);
    let mut found = Vec::new();
    for (id, kind, tags) in images.chain(snapshots).chain(instances) {
        for (key, value) in tags {
            let fields = [
                ("resource-id", &**id),
                ("resource-type", kind),
                ("key", &**key),
                ("value", &**value),
            ];
            if filters.fit(&BTreeMap::new(), &fields)? {
                found.push(fields);
            }
        }
    }
    let page = page(&found, form, "MaxResults", 1_000, |fields| {
        let names = ["resourceId", "resourceType", "key", "value"];
        let leaves = names.iter().zip(fields);
        let leaves = leaves.map(|(name, (_, text))| Element::leaf(name, *text));
        Element::node("item", leaves.collect())
    })?;
    let mut result = vec![Element::node("tagSet", page.items)];
    result.extend(page.next.map(|next| Element::leaf("nextToken", next)));
    Ok(Element::node("DescribeTagsResponse", result))
}
