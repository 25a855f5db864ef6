//! Instances, images, instance types and launch templates.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::{
    autoscaling::ZONE,
    page::{Filters, page, wants},
};
use crate::{
    cloud::{ACCOUNT, Cloud, Template},
    proxy::{Element, Form},
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
        let is_known = found.iter().any(|(_, _, instance)| instance.id == id);
        ensure!(
            is_known,
            "InvalidInstanceID.NotFound: The instance ID '{id}' does not exist"
        );
    }
    let page = page(
        &found,
        form,
        "MaxResults",
        1_000,
        |(name, group, instance)| {
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
        },
    )?;
    let mut result = vec![Element::node("reservationSet", page.items)];
    result.extend(page.next.map(|next| Element::leaf("nextToken", next)));
    Ok(Element::node("DescribeInstancesResponse", result))
}

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
    let mut found = Vec::new();
    for (id, image) in &cloud.images {
        let fields = [
            ("image-id", &**id),
            ("name", &*image.name),
            ("state", &*image.state),
            ("architecture", &*image.architecture),
        ];
        if wants(&ids, id) && filters.fit(&BTreeMap::new(), &fields)? {
            found.push((id, image));
        }
    }
    let page = page(&found, form, "MaxResults", 1_000, |(id, image)| {
        let mut element = Element::new("item");
        element.set("imageId", &***id);
        element.set("imageState", &*image.state);
        element.set("imageOwnerId", ACCOUNT);
        element.set("name", &*image.name);
        element.set("architecture", &*image.architecture);
        element.set("creationDate", "2026-01-01T00:00:00.000Z");
        element
    })?;
    let mut result = vec![Element::node("imagesSet", page.items)];
    result.extend(page.next.map(|next| Element::leaf("nextToken", next)));
    Ok(Element::node("DescribeImagesResponse", result))
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
        element.set("defaultVersionNumber", "1");
        element.set("latestVersionNumber", "1");
        element.children.push(tag_set(&template.tags));
        element
    })?;
    let mut result = vec![Element::node("launchTemplates", page.items)];
    result.extend(page.next.map(|next| Element::leaf("nextToken", next)));
    Ok(Element::node("DescribeLaunchTemplatesResponse", result))
}

pub(super) fn template_versions(cloud: &Cloud, form: &Form) -> Result<Element> {
    let found = found_templates(cloud, form)?;
    let page = page(&found, form, "MaxResults", 200, |(id, template)| {
        let mut element = Element::new("item");
        element.set("launchTemplateId", &***id);
        element.set("launchTemplateName", &*template.name);
        element.set("versionNumber", "1");
        element.set("defaultVersion", "true");
        element.set("createTime", template.created.to_string());
        let data = vec![
            Element::leaf("imageId", &*template.image),
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

fn tag_set(tags: &BTreeMap<String, String>) -> Element {
    let item = |(key, value): (&String, &String)| {
        Element::node(
            "item",
            vec![
                Element::leaf("key", &**key),
                Element::leaf("value", &**value),
            ],
        )
    };
    Element::node("tagSet", tags.iter().map(item).collect())
}
