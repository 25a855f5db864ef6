//! What refers to images, and what hangs on them: snapshots, volumes, fleets, launch configurations,
//! refreshes, warm pools, and AWS's own list of references.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

use super::{
    page::{Filters, page, wants},
    parts::tag_set,
};
use crate::{
    cloud::{ACCOUNT, Cloud, estate::Fleet},
    wire::{Element, Form},
};

pub(super) fn snapshots(cloud: &Cloud, form: &Form) -> Result<Element> {
    let ids = form.list("SnapshotId");
    let filters = Filters::read(form);
    let mut found = Vec::new();
    for (id, snapshot) in &cloud.estate.snapshots {
        if wants(&ids, id) && filters.fit(&snapshot.tags, &[("snapshot-id", id)])? {
            found.push((id, snapshot));
        }
    }
    let page = page(&found, form, "MaxResults", 1_000, |(id, snapshot)| {
        let mut element = Element::new("item");
        element.set("snapshotId", &***id);
        element.set("ownerId", ACCOUNT);
        element.set("status", "completed");
        element.set("startTime", snapshot.created.to_string());
        element.set("volumeSize", (snapshot.bytes >> 30).to_string());
        element.set("fullSnapshotSizeInBytes", snapshot.bytes.to_string());
        element.set("description", &*snapshot.description);
        element.children.push(tag_set(&snapshot.tags));
        element
    })?;
    Ok(listing("DescribeSnapshots", "snapshotSet", page))
}

pub(super) fn snapshot_attribute(cloud: &Cloud, form: &Form) -> Result<Element> {
    let id = form
        .get("SnapshotId")
        .context("MissingParameter: SnapshotId is missing")?;
    let snapshot = cloud.estate.snapshots.get(id).with_context(|| {
        format!("InvalidSnapshot.NotFound: The snapshot '{id}' does not exist.")
    })?;
    let list = snapshot.shared.iter().map(|who| {
        let leaf = match who.as_str() {
            "all" => Element::leaf("group", "all"),
            who => Element::leaf("userId", who),
        };
        Element::node("item", vec![leaf])
    });
    Ok(Element::node(
        "DescribeSnapshotAttributeResponse",
        vec![
            Element::leaf("snapshotId", id),
            Element::node("createVolumePermission", list.collect()),
        ],
    ))
}

pub(super) fn delete_snapshot(cloud: &mut Cloud, form: &Form) -> Result<()> {
    let id = form
        .get("SnapshotId")
        .context("MissingParameter: SnapshotId is missing")?;
    let used = cloud.uses(id).map(str::to_owned);
    let snapshot = cloud.estate.snapshots.get(id).with_context(|| {
        format!("InvalidSnapshot.NotFound: The snapshot '{id}' does not exist.")
    })?;
    if let Some(ami) = used {
        bail!("InvalidSnapshot.InUse: The snapshot {id} is currently in use by {ami}");
    }
    if let Some(code) = &snapshot.refused {
        bail!("OperationNotPermitted: The snapshot {id} cannot be deleted: {code}");
    }
    cloud.estate.snapshots.remove(id);
    Ok(())
}

pub(super) fn volumes(cloud: &Cloud, form: &Form) -> Result<Element> {
    let all: Vec<_> = cloud.estate.volumes.iter().collect();
    let page = page(&all, form, "MaxResults", 1_000, |(id, snapshot)| {
        let mut element = Element::new("item");
        element.set("volumeId", &***id);
        element.set("snapshotId", &***snapshot);
        element.set("status", "in-use");
        element
    })?;
    Ok(listing("DescribeVolumes", "volumeSet", page))
}

pub(super) fn launch_configurations(cloud: &Cloud, form: &Form) -> Result<Element> {
    let names = form.list("LaunchConfigurationNames.member");
    let all = cloud.estate.configurations.iter();
    let all: Vec<_> = all.filter(|(name, _)| wants(&names, name)).collect();
    let page = page(&all, form, "MaxRecords", 50, |(name, image)| {
        let mut element = Element::new("member");
        element.set("LaunchConfigurationName", &***name);
        element.set(
            "LaunchConfigurationARN",
            format!("arn:aws:autoscaling:us-east-1:{ACCOUNT}:launchConfiguration:0:launchConfigurationName/{name}"),
        );
        element.set("ImageId", &***image);
        element.set("InstanceType", "m5.large");
        element.set("CreatedTime", "2026-01-01T00:00:00Z");
        element
    })?;
    let mut result = vec![Element::node("LaunchConfigurations", page.items)];
    result.extend(page.next.map(|next| Element::leaf("NextToken", next)));
    Ok(autoscaling("DescribeLaunchConfigurations", result))
}

pub(super) fn refreshes(cloud: &Cloud, form: &Form) -> Result<Element> {
    let group = group(cloud, form)?;
    let all = cloud.estate.refreshes.get(group).map_or(&[][..], |all| all);
    let numbered: Vec<_> = all.iter().enumerate().collect();
    let page = page(&numbered, form, "MaxRecords", 50, |(at, refresh)| {
        let mut element = Element::new("member");
        element.set("InstanceRefreshId", format!("refresh-{at}"));
        element.set("AutoScalingGroupName", group);
        element.set("Status", &*refresh.status);
        let desired = vec![template("LaunchTemplate", &refresh.desired, true)];
        element
            .children
            .push(Element::node("DesiredConfiguration", desired));
        element
    })?;
    let mut result = vec![Element::node("InstanceRefreshes", page.items)];
    result.extend(page.next.map(|next| Element::leaf("NextToken", next)));
    Ok(autoscaling("DescribeInstanceRefreshes", result))
}

pub(super) fn warm_pool(cloud: &Cloud, form: &Form) -> Result<Element> {
    let group = group(cloud, form)?;
    let pool = cloud.estate.warm_pools.get(group);
    let all: Vec<_> = pool.into_iter().flatten().collect();
    let image = cloud
        .groups
        .get(group)
        .and_then(|group| cloud.image_of_version(&group.template, &group.version))
        .unwrap_or_default();
    let page = page(&all, form, "MaxRecords", 50, |id| {
        let mut element = Element::new("member");
        element.set("InstanceId", &***id);
        element.set("AvailabilityZone", "us-east-1a");
        element.set("LifecycleState", "Warmed:Stopped");
        element.set("HealthStatus", "Healthy");
        element.set("ImageId", image);
        element.set("ProtectedFromScaleIn", "false");
        element
    })?;
    let mut result = vec![Element::node("Instances", page.items)];
    result.extend(page.next.map(|next| Element::leaf("NextToken", next)));
    Ok(autoscaling("DescribeWarmPool", result))
}

pub(super) fn fleets(cloud: &Cloud, form: &Form) -> Result<Element> {
    let all: Vec<_> = cloud.estate.fleets.iter().collect();
    let page = page(&all, form, "MaxResults", 100, |(id, fleet)| {
        let mut element = Element::new("item");
        element.set("fleetId", &***id);
        element.set("fleetState", &*fleet.state);
        element.set("type", "maintain");
        element.children.push(Element::node(
            "launchTemplateConfigs",
            template_configs(fleet),
        ));
        element
    })?;
    Ok(listing("DescribeFleets", "fleetSet", page))
}

pub(super) fn spot_requests(cloud: &Cloud, form: &Form) -> Result<Element> {
    let all: Vec<_> = cloud.estate.spot_requests.iter().collect();
    let page = page(&all, form, "MaxResults", 1_000, |(id, request)| {
        let launch = vec![Element::leaf("imageId", &*request.image)];
        Element::node(
            "item",
            vec![
                Element::leaf("spotInstanceRequestId", &***id),
                Element::leaf("state", &*request.state),
                Element::node("launchSpecification", launch),
            ],
        )
    })?;
    Ok(listing(
        "DescribeSpotInstanceRequests",
        "spotInstanceRequestSet",
        page,
    ))
}

pub(super) fn spot_fleets(cloud: &Cloud, form: &Form) -> Result<Element> {
    let all: Vec<_> = cloud.estate.spot_fleets.iter().collect();
    let page = page(&all, form, "MaxResults", 1_000, |(id, fleet)| {
        let specification =
            |image: &String| Element::node("item", vec![Element::leaf("imageId", &**image)]);
        let mut config = Element::new("spotFleetRequestConfig");
        config.children.push(Element::node(
            "launchSpecifications",
            fleet.images.iter().map(specification).collect(),
        ));
        let templates = Fleet {
            images: Vec::new(),
            ..(**fleet).clone()
        };
        config.children.push(Element::node(
            "launchTemplateConfigs",
            template_configs(&templates),
        ));
        let mut element = Element::new("item");
        element.set("spotFleetRequestId", &***id);
        element.set("spotFleetRequestState", &*fleet.state);
        element.children.push(config);
        element
    })?;
    Ok(listing(
        "DescribeSpotFleetRequests",
        "spotFleetRequestConfigSet",
        page,
    ))
}

fn template_configs(fleet: &Fleet) -> Vec<Element> {
    let own = |image: &String| {
        let overrides = vec![Element::node(
            "item",
            vec![Element::leaf("imageId", &**image)],
        )];
        Element::node("item", vec![Element::node("overrides", overrides)])
    };
    let of_template = |one: &(String, String)| {
        let specification = template("launchTemplateSpecification", one, false);
        Element::node("item", vec![specification])
    };
    let templates = fleet.templates.iter().map(of_template);
    templates.chain(fleet.images.iter().map(own)).collect()
}

/// A launch template and its version, in either service's spelling.
pub(super) fn template(name: &str, (id, version): &(String, String), capital: bool) -> Element {
    let (id_name, version_name) = match capital {
        true => ("LaunchTemplateId", "Version"),
        false => ("launchTemplateId", "version"),
    };
    Element::node(
        name,
        vec![
            Element::leaf(id_name, &**id),
            Element::leaf(version_name, &**version),
        ],
    )
}

/// `DescribeImageReferences`: what AWS itself finds, which is less than there is.
pub(super) fn references(cloud: &Cloud, form: &Form) -> Result<Element> {
    let ids = form.list("ImageId");
    ensure!(
        !ids.is_empty() && ids.len() <= 10,
        "InvalidParameterValue: ImageIds takes 1 to 10 ids"
    );
    let depth = (1..=10)
        .flat_map(|kind| (1..=5).map(move |option| (kind, option)))
        .find_map(|(kind, option)| {
            let at = format!("ResourceType.{kind}.ResourceTypeOption.{option}");
            (form.get(&format!("{at}.OptionName")) == Some("version-depth"))
                .then(|| form.number(&format!("{at}.OptionValue.1")))
                .flatten()
        })
        .unwrap_or(10);
    let mut found: BTreeSet<(String, String, String)> = BTreeSet::new();
    let mut add = |image: &str, kind: &str, arn: String| {
        if ids.contains(&image) {
            found.insert((image.to_owned(), kind.to_owned(), arn));
        }
    };
    let arn = |kind: &str, id: &str| format!("arn:aws:ec2:us-east-1:{ACCOUNT}:{kind}/{id}");
    for instance in cloud.groups.values().flat_map(|group| &group.instances) {
        add(
            &instance.image,
            "ec2:Instance",
            arn("instance", &instance.id),
        );
    }
    for (id, instance) in &cloud.estate.instances {
        if instance.state != "terminated" {
            add(&instance.image, "ec2:Instance", arn("instance", id));
        }
    }
    for (id, first) in &cloud.templates {
        let more = cloud.estate.versions.get(id).map_or(&[][..], |all| all);
        let mut images: Vec<&str> = more.iter().rev().map(|one| &*one.image).collect();
        images.push(&first.image);
        for image in images.into_iter().take(depth as usize) {
            add(image, "ec2:LaunchTemplate", arn("launch-template", id));
        }
    }
    for (name, value) in &cloud.estate.parameters {
        let arn = format!("arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{name}");
        add(value, "ssm:Parameter", arn);
    }
    for (image, others) in &cloud.estate.other_references {
        for (kind, arn) in others {
            add(image, kind, arn.clone());
        }
    }
    let found: Vec<_> = found.into_iter().collect();
    let page = page(&found, form, "MaxResults", 1_000, |(image, kind, arn)| {
        Element::node(
            "item",
            vec![
                Element::leaf("imageId", &**image),
                Element::leaf("resourceType", &**kind),
                Element::leaf("arn", &**arn),
            ],
        )
    })?;
    Ok(listing(
        "DescribeImageReferences",
        "imageReferenceSet",
        page,
    ))
}

fn group<'a>(cloud: &Cloud, form: &'a Form) -> Result<&'a str> {
    let name = form
        .get("AutoScalingGroupName")
        .context("ValidationError: AutoScalingGroupName is missing")?;
    ensure!(
        cloud.groups.contains_key(name),
        "ValidationError: AutoScalingGroup name not found - {name}"
    );
    Ok(name)
}

fn listing(action: &str, list: &str, page: super::page::Page) -> Element {
    let mut result = vec![Element::node(list, page.items)];
    result.extend(page.next.map(|next| Element::leaf("nextToken", next)));
    Element::node(&format!("{action}Response"), result)
}

fn autoscaling(action: &str, result: Vec<Element>) -> Element {
    Element::node(
        &format!("{action}Response"),
        vec![Element::node(&format!("{action}Result"), result)],
    )
}
