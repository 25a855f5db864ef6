//! moto's data as a cloud of the stand-in: as much of it as the answer to one request needs.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    cloud::{
        ACCOUNT, Cloud, Group, Template,
        estate::{LoneInstance, Snapshot, TemplateVersion},
    },
    proxy::{Inner, groups, upstream::Service},
    wire::{Call, Element},
};

/// More than moto ever holds.
const EVERYTHING: (&str, &str) = ("MaxResults", "100000");

/// A copy of what the answer to this request needs.
pub(super) async fn copy(proxy: &Inner, call: &Call) -> Result<Cloud> {
    let mut cloud = Cloud::default();
    match call.action.as_str() {
        "DescribeInstanceRefreshes" => group(proxy, call, &mut cloud).await?,
        "DescribeImageReferences" => {
            instances(proxy, &mut cloud).await?;
            templates(proxy, &mut cloud).await?;
            parameters(proxy, &mut cloud).await?;
        }
        _ if call.service == "ec2" => {
            snapshots(proxy, &mut cloud).await?;
            images(proxy, &mut cloud).await?;
            let named = call.form.get("ImageId").unwrap_or_default();
            if let Some(image) = cloud.images.get_mut(named) {
                image.details.shared = permissions(proxy, named).await?;
            }
        }
        _ => {}
    }
    Ok(cloud)
}

async fn images(proxy: &Inner, cloud: &mut Cloud) -> Result<()> {
    let answer = ask(proxy, "DescribeImages", &[("Owner.1", "self")]).await?;
    for item in answer.items(&["imagesSet"]) {
        let id = item.text_at(&["imageId"]);
        cloud.add_image(id, item.text_at(&["architecture"]), true);
        let Some(image) = cloud.images.get_mut(id) else {
            continue;
        };
        let life = proxy.lives.of(id);
        let state = match life.disabled {
            true => "disabled",
            false => item.text_at(&["imageState"]),
        };
        state.clone_into(&mut image.state);
        item.text_at(&["name"]).clone_into(&mut image.name);
        image.details.created = item.text_at(&["creationDate"]).parse().ok();
        image.details.deprecated = life.deprecated;
        image.details.tags = tags(item);
        image.details.snapshots = item
            .items(&["blockDeviceMapping"])
            .iter()
            .map(|device| device.text_at(&["ebs", "snapshotId"]).to_owned())
            .filter(|snapshot| !snapshot.is_empty())
            .collect();
    }
    Ok(())
}

/// Who may launch an image.
async fn permissions(proxy: &Inner, image: &str) -> Result<Vec<String>> {
    let fields = [("ImageId", image), ("Attribute", "launchPermission")];
    let answer = ask(proxy, "DescribeImageAttribute", &fields).await?;
    let who = answer
        .items(&["launchPermission"])
        .iter()
        .filter_map(|one| {
            let names = ["userId", "group", "organizationArn"];
            let mut texts = names.iter().map(|name| one.text_at(&[name]));
            texts.find(|text| !text.is_empty()).map(str::to_owned)
        });
    Ok(who.collect())
}

async fn snapshots(proxy: &Inner, cloud: &mut Cloud) -> Result<()> {
    let answer = ask(proxy, "DescribeSnapshots", &[]).await?;
    let items = answer.items(&["snapshotSet"]).iter();
    for item in items.filter(|item| item.text_at(&["ownerId"]) == ACCOUNT) {
        let gibibytes: u64 = item.text_at(&["volumeSize"]).parse().unwrap_or_default();
        let snapshot = Snapshot {
            bytes: gibibytes << 30,
            created: time(item, "startTime")?,
            tags: tags(item),
            description: item.text_at(&["description"]).to_owned(),
            shared: Vec::new(),
            refused: None,
        };
        let id = item.text_at(&["snapshotId"]).to_owned();
        cloud.estate.snapshots.insert(id, snapshot);
    }
    Ok(())
}

async fn instances(proxy: &Inner, cloud: &mut Cloud) -> Result<()> {
    let answer = ask(proxy, "DescribeInstances", &[]).await?;
    let reservations = answer.items(&["reservationSet"]).iter();
    for item in reservations.flat_map(|one| one.items(&["instancesSet"])) {
        let instance = LoneInstance {
            image: item.text_at(&["imageId"]).to_owned(),
            state: item.text_at(&["instanceState", "name"]).to_owned(),
        };
        let id = item.text_at(&["instanceId"]).to_owned();
        cloud.estate.instances.insert(id, instance);
    }
    Ok(())
}

async fn templates(proxy: &Inner, cloud: &mut Cloud) -> Result<()> {
    let answer = ask(proxy, "DescribeLaunchTemplates", &[EVERYTHING]).await?;
    for template in answer.items(&["launchTemplates"]) {
        let id = template.text_at(&["launchTemplateId"]);
        let fields = [("LaunchTemplateId", id), EVERYTHING];
        let answer = ask(proxy, "DescribeLaunchTemplateVersions", &fields).await?;
        for item in answer.items(&["launchTemplateVersionSet"]) {
            let image = item.text_at(&["launchTemplateData", "imageId"]).to_owned();
            let number = item.text_at(&["versionNumber"]).parse().unwrap_or_default();
            let created = time(item, "createTime")?;
            if number == 1 {
                let first = Template {
                    name: template.text_at(&["launchTemplateName"]).to_owned(),
                    image,
                    instance_type: String::new(),
                    tags: BTreeMap::new(),
                    created,
                };
                cloud.templates.insert(id.to_owned(), first);
                continue;
            }
            let version = TemplateVersion {
                number,
                image,
                created,
                default: item.text_at(&["defaultVersion"]) == "true",
            };
            let all = cloud.estate.versions.entry(id.to_owned()).or_default();
            all.push(version);
        }
    }
    Ok(())
}

/// The group that a request is about; nothing but its being there is asked.
async fn group(proxy: &Inner, call: &Call, cloud: &mut Cloud) -> Result<()> {
    let name = call.form.get("AutoScalingGroupName").unwrap_or_default();
    if groups::group(proxy, name).await?.is_some() {
        let group = Group {
            min: 0,
            max: 0,
            desired: 0,
            template: String::new(),
            version: String::new(),
            target_groups: Vec::new(),
            tags: BTreeMap::new(),
            instances: Vec::new(),
            created: Timestamp::UNIX_EPOCH,
        };
        cloud.groups.insert(name.to_owned(), group);
    }
    Ok(())
}

async fn parameters(proxy: &Inner, cloud: &mut Cloud) -> Result<()> {
    let mut token = Value::Null;
    loop {
        let asked = match &token {
            Value::Null => json!({}),
            token => json!({ "NextToken": token }),
        };
        let page = proxy.upstream.ask_ssm("DescribeParameters", &asked).await?;
        let names: Vec<&Value> = page["Parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| &one["Name"])
            .collect();
        for ten in names.chunks(10) {
            let asked = json!({ "Names": ten });
            let values = proxy.upstream.ask_ssm("GetParameters", &asked).await?;
            for one in values["Parameters"].as_array().into_iter().flatten() {
                let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
                cloud.estate.parameters.insert(text("Name"), text("Value"));
            }
        }
        if page["NextToken"].is_null() {
            return Ok(());
        }
        token = page["NextToken"].clone();
    }
}

async fn ask(proxy: &Inner, action: &str, fields: &[(&str, &str)]) -> Result<Element> {
    proxy.upstream.ask(Service::Ec2, action, fields).await
}

fn tags(item: &Element) -> BTreeMap<String, String> {
    let tags = item.items(&["tagSet"]).iter();
    tags.map(|tag| {
        let text = |name: &str| tag.text_at(&[name]).to_owned();
        (text("key"), text("value"))
    })
    .collect()
}

fn time(item: &Element, name: &str) -> Result<Timestamp> {
    let text = item.text_at(&[name]);
    text.parse()
        .with_context(|| format!("Failed to understand moto's {name}: {text}"))
}
