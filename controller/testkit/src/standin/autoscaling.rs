//! Groups, their activities and their targets.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;

use super::estate::template as specification;
use super::{
    page::{Filters, page, wants},
    parts::ZONE,
};
use crate::{
    cloud::{ACCOUNT, Cloud, Group, Instance, Sizes, estate::Mixed},
    wire::{Element, Form},
};

pub(super) fn groups(cloud: &Cloud, form: &Form) -> Result<Element> {
    let names = form.list("AutoScalingGroupNames.member");
    let filters = Filters::read(form);
    let mut found = Vec::new();
    for (name, group) in &cloud.groups {
        if wants(&names, name) && filters.fit(&group.tags, &[])? {
            found.push((name.as_str(), group));
        }
    }
    // AWS gives 50 where nothing is asked for, and never more than 100.
    let page = page(&found, form, "MaxRecords", 50, |(name, group)| {
        group_element(cloud, name, group)
    })?;
    let mut result = vec![Element::node("AutoScalingGroups", page.items)];
    result.extend(page.next.map(|next| Element::leaf("NextToken", next)));
    Ok(respond("DescribeAutoScalingGroups", result))
}

fn group_element(cloud: &Cloud, name: &str, group: &Group) -> Element {
    let configuration = cloud.estate.group_configurations.get(name);
    let template = |wanted: &str| {
        let mut element = Element::new("LaunchTemplate");
        element.set("LaunchTemplateId", &*group.template);
        element.set(
            "LaunchTemplateName",
            cloud
                .templates
                .get(&group.template)
                .map_or("", |it| &*it.name),
        );
        element.set("Version", wanted);
        element
    };
    let instance = |instance: &Instance| {
        let mut element = Element::new("member");
        element.set("InstanceId", &*instance.id);
        element.set("InstanceType", &*instance.instance_type);
        element.set("AvailabilityZone", ZONE);
        element.set("LifecycleState", "InService");
        element.set("HealthStatus", "Healthy");
        if configuration.is_none() {
            element.children.push(template("1"));
        }
        element.set("ProtectedFromScaleIn", "false");
        element
    };
    let member = |text: &str| Element::leaf("member", text);
    let mut element = Element::new("member");
    element.set("AutoScalingGroupName", name);
    element.set("AutoScalingGroupARN", arn(name));
    match (configuration, cloud.estate.mixed.get(name)) {
        (Some(configuration), _) => element.set("LaunchConfigurationName", &**configuration),
        (None, Some(mixed)) => element.children.push(mixed_policy(mixed)),
        (None, None) => element.children.push(template(&group.version)),
    }
    if cloud.estate.warm_pools.contains_key(name) {
        let pool = vec![Element::leaf("PoolState", "Stopped")];
        element
            .children
            .push(Element::node("WarmPoolConfiguration", pool));
    }
    element.set("MinSize", group.min.to_string());
    element.set("MaxSize", group.max.to_string());
    element.set("DesiredCapacity", group.desired.to_string());
    element.set("DefaultCooldown", "300");
    element
        .children
        .push(Element::node("AvailabilityZones", vec![member(ZONE)]));
    let arns = group.target_groups.iter().map(|arn| member(arn)).collect();
    element
        .children
        .push(Element::node("TargetGroupARNs", arns));
    element.set("HealthCheckType", "ELB");
    element.set("HealthCheckGracePeriod", "300");
    element.children.push(Element::node(
        "Instances",
        group.instances.iter().map(instance).collect(),
    ));
    element.set("CreatedTime", group.created.to_string());
    element.set("NewInstancesProtectedFromScaleIn", "false");
    element
        .children
        .push(Element::node("Tags", tags(name, &group.tags)));
    element
}

fn mixed_policy(mixed: &Mixed) -> Element {
    let of_template = |one: &(String, String)| {
        let specification = specification("LaunchTemplateSpecification", one, true);
        Element::node("member", vec![specification])
    };
    let of_image =
        |image: &String| Element::node("member", vec![Element::leaf("ImageId", &**image)]);
    let templates = mixed.templates.iter().map(of_template);
    let overrides = templates.chain(mixed.images.iter().map(of_image)).collect();
    let launch = vec![
        specification("LaunchTemplateSpecification", &mixed.template, true),
        Element::node("Overrides", overrides),
    ];
    Element::node(
        "MixedInstancesPolicy",
        vec![Element::node("LaunchTemplate", launch)],
    )
}

fn tags(name: &str, tags: &BTreeMap<String, String>) -> Vec<Element> {
    tags.iter()
        .map(|(key, value)| {
            let fields = [
                ("ResourceId", name),
                ("ResourceType", "auto-scaling-group"),
                ("Key", key),
                ("Value", value),
                ("PropagateAtLaunch", "true"),
            ];
            Element::node(
                "member",
                fields.map(|(name, text)| Element::leaf(name, text)).into(),
            )
        })
        .collect()
}

pub(super) fn activities(cloud: &Cloud, form: &Form, now: Timestamp) -> Result<Element> {
    let Some((name, group)) = form
        .get("AutoScalingGroupName")
        .and_then(|name| cloud.groups.get_key_value(name))
    else {
        return Ok(respond(
            "DescribeScalingActivities",
            vec![Element::new("Activities")],
        ));
    };
    let activity = |id: String, description: String, start: Timestamp, status: &str| {
        let mut element = Element::new("member");
        element.set("ActivityId", id);
        element.set("AutoScalingGroupName", &**name);
        element.set("Description", description);
        element.set("Cause", "An instance was started in response to a difference between desired and actual capacity.");
        element.set("StartTime", start.to_string());
        element.set("EndTime", start.to_string());
        element.set("StatusCode", status);
        element.set("Progress", "100");
        element
    };
    let mut all: Vec<Element> = group
        .instances
        .iter()
        .rev()
        .map(|instance| {
            let description = format!("Launching a new EC2 instance: {}", instance.id);
            activity(
                format!("launch-{}", instance.id),
                description,
                instance.launched,
                "Successful",
            )
        })
        .collect();
    let image = cloud
        .templates
        .get(&group.template)
        .and_then(|template| cloud.images.get(&template.image));
    let refused = image.and_then(|image| image.refused.as_deref());
    let is_short = group.instances.len() < usize::try_from(group.desired).unwrap_or(usize::MAX);
    if let Some(refused) = refused.filter(|_| is_short) {
        let message = format!(
            "Could not launch On-Demand Instances. {refused} Launching EC2 instance failed."
        );
        let description = format!("Launching a new EC2 instance.  Status Reason: {message}");
        let mut failed = activity(format!("refused-{name}"), description, now, "Failed");
        failed.set("StatusMessage", message);
        all.insert(0, failed);
    }
    let page = page(&all, form, "MaxRecords", 100, Element::clone)?;
    let mut result = vec![Element::node("Activities", page.items)];
    result.extend(page.next.map(|next| Element::leaf("NextToken", next)));
    Ok(respond("DescribeScalingActivities", result))
}

pub(super) fn target_health(cloud: &Cloud, form: &Form, now: Timestamp) -> Result<Element> {
    let arn = form
        .get("TargetGroupArn")
        .context("ValidationError: TargetGroupArn is missing")?;
    let asked: Vec<&str> = (1..=1_000)
        .map_while(|at| form.get(&format!("Targets.member.{at}.Id")))
        .collect();
    let registered = cloud
        .groups
        .values()
        .filter(|group| group.target_groups.iter().any(|one| one == arn))
        .flat_map(|group| &group.instances);
    let descriptions = registered
        .filter(|instance| wants(&asked, &instance.id))
        .map(|instance| {
            let state = cloud.target_health(instance, now);
            let mut health = Element::node("TargetHealth", vec![Element::leaf("State", state)]);
            match state {
                "initial" => health.set("Reason", "Elb.RegistrationInProgress"),
                "unhealthy" => health.set("Reason", "Target.FailedHealthChecks"),
                _ => {}
            }
            let target = vec![
                Element::leaf("Id", &*instance.id),
                Element::leaf("Port", "8080"),
            ];
            Element::node("member", vec![Element::node("Target", target), health])
        })
        .collect();
    let result = vec![Element::node("TargetHealthDescriptions", descriptions)];
    Ok(respond("DescribeTargetHealth", result))
}

pub(super) fn update(cloud: &mut Cloud, form: &Form, now: Timestamp) -> Result<()> {
    let name = group_name(form)?;
    let sizes = Sizes {
        min: form.number("MinSize"),
        max: form.number("MaxSize"),
        desired: form.number("DesiredCapacity"),
    };
    cloud.set_sizes(name, sizes, now)?;
    if let (Some(version), Some(group)) = (
        form.get("LaunchTemplate.Version"),
        cloud.groups.get_mut(name),
    ) {
        version.clone_into(&mut group.version);
    }
    Ok(())
}

pub(super) fn delete(cloud: &mut Cloud, form: &Form) -> Result<()> {
    let name = group_name(form)?;
    let group = cloud
        .groups
        .get(name)
        .with_context(|| format!("ValidationError: AutoScalingGroup name not found - {name}"))?;
    if !group.instances.is_empty() && form.get("ForceDelete") != Some("true") {
        bail!(
            "ResourceInUse: You cannot delete an AutoScalingGroup while there are instances still in the group."
        );
    }
    cloud.groups.remove(name);
    Ok(())
}

fn group_name(form: &Form) -> Result<&str> {
    form.get("AutoScalingGroupName")
        .context("ValidationError: AutoScalingGroupName is missing")
}

fn arn(name: &str) -> String {
    format!(
        "arn:aws:autoscaling:us-east-1:{ACCOUNT}:autoScalingGroup:00000000-0000-0000-0000-000000000000:autoScalingGroupName/{name}"
    )
}

fn respond(action: &str, result: Vec<Element>) -> Element {
    Element::node(
        &format!("{action}Response"),
        vec![Element::node(&format!("{action}Result"), result)],
    )
}
