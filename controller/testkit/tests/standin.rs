//! The stand-in through the Rust SDK, in memory and from the stub's file.

#![allow(
    clippy::disallowed_methods,
    reason = "a tool for tests: it starts programs and reads clocks and the environment"
)]

mod support;

use std::{collections::BTreeMap, time::Duration};

use amid_testkit::{
    cloud::{Cloud, NewGroup, Template},
    standin::{Source, Standin},
    stub_terragrunt::StubWorld,
};
use aws_sdk_autoscaling::types::Filter;
use aws_sdk_ec2::types::ArchitectureValues;
use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;
use jiff::Timestamp;
use support::Clients;

const TARGET_GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/1";

/// A cloud of this many groups of two instances, each of an app of its own.
fn fleet(count: usize) -> Cloud {
    let mut cloud = Cloud::new();
    cloud.add_image("ami-1", "x86_64", true);
    for number in 0..count {
        let name = format!("app-{number:04}");
        let tags: BTreeMap<String, String> = [
            ("amid:app".to_owned(), name.clone()),
            ("amid:release".to_owned(), "aaa".to_owned()),
        ]
        .into();
        let template = Template {
            name: name.clone(),
            image: "ami-1".to_owned(),
            instance_type: "m5.large".to_owned(),
            tags: tags.clone(),
            created: Timestamp::UNIX_EPOCH,
        };
        let template = cloud.create_template(template).unwrap();
        let target_groups = vec![TARGET_GROUP.to_owned()];
        let new = NewGroup {
            name,
            template,
            min: 2,
            max: 4,
            desired: 2,
            target_groups,
            tags,
        };
        cloud.create_group(new, Timestamp::UNIX_EPOCH).unwrap();
    }
    cloud
}

fn standin(count: usize) -> (Standin, Clients) {
    let standin = Standin::start(Source::Memory(fleet(count))).unwrap();
    let aws = Clients::of(&standin.endpoint());
    (standin, aws)
}

#[tokio::test]
async fn a_fleet_is_listed_in_pages_and_by_tag() {
    let (standin, aws) = standin(250);
    let by_tag = |key: &str, value: &str| Filter::builder().name(key).values(value).build();
    let all: Vec<_> = aws
        .autoscaling
        .describe_auto_scaling_groups()
        .filters(by_tag("tag-key", "amid:app"))
        .max_records(100)
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .unwrap();
    let names: Vec<_> = all
        .iter()
        .filter_map(|group| group.auto_scaling_group_name())
        .collect();
    assert_eq!(
        (names.len(), names[0], names[249]),
        (250, "app-0000", "app-0249")
    );
    assert_eq!(standin.counts()["DescribeAutoScalingGroups"], 3);
    let group = &all[7];
    assert_eq!(
        (group.min_size(), group.max_size(), group.desired_capacity()),
        (Some(2), Some(4), Some(2))
    );
    assert_eq!(group.instances().len(), 2);
    assert_eq!(
        group.instances()[0].lifecycle_state().unwrap().as_str(),
        "InService"
    );
    assert_eq!(group.target_group_arns(), [TARGET_GROUP]);
    assert_eq!(group.launch_template().unwrap().version(), Some("1"));

    standin.reset_counts();
    let one = aws
        .autoscaling
        .describe_auto_scaling_groups()
        .filters(by_tag("tag:amid:app", "app-0031"));
    let one = one.send().await.unwrap();
    assert_eq!(one.auto_scaling_groups().len(), 1);
    let tags = one.auto_scaling_groups()[0].tags();
    assert!(
        tags.iter()
            .any(|tag| (tag.key(), tag.value()) == (Some("amid:release"), Some("aaa")))
    );
    assert_eq!(
        standin.counts(),
        BTreeMap::from([("DescribeAutoScalingGroups".to_owned(), 1)])
    );
}

#[tokio::test]
async fn images_types_templates_and_instances_are_told_as_aws_tells_them() {
    let (standin, aws) = standin(1);
    let images = aws
        .ec2
        .describe_images()
        .image_ids("ami-1")
        .send()
        .await
        .unwrap();
    assert_eq!(
        images.images()[0].architecture(),
        Some(&ArchitectureValues::X8664)
    );
    assert_eq!(images.images()[0].state().unwrap().as_str(), "available");
    let unknown = aws
        .ec2
        .describe_images()
        .image_ids("ami-2")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert_eq!(unknown.meta().code(), Some("InvalidAMIID.NotFound"));

    let types = aws
        .ec2
        .describe_instance_types()
        .instance_types("m7g.large".into())
        .send()
        .await
        .unwrap();
    let processor = types.instance_types()[0].processor_info().unwrap();
    assert_eq!(processor.supported_architectures()[0].as_str(), "arm64");

    let templates = aws.ec2.describe_launch_templates().send().await.unwrap();
    let id = templates.launch_templates()[0]
        .launch_template_id()
        .unwrap();
    let versions = aws
        .ec2
        .describe_launch_template_versions()
        .launch_template_id(id)
        .versions("1");
    let versions = versions.send().await.unwrap();
    let data = versions.launch_template_versions()[0]
        .launch_template_data()
        .unwrap();
    assert_eq!(data.image_id(), Some("ami-1"));

    let instances = aws.ec2.describe_instances().send().await.unwrap();
    let instance = &instances.reservations()[0].instances()[0];
    assert_eq!(instance.image_id(), Some("ami-1"));
    assert!(
        instance
            .tags()
            .iter()
            .any(|tag| tag.key() == Some("aws:autoscaling:groupName"))
    );

    let other = aws
        .ec2
        .describe_vpcs()
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert_eq!(other.meta().code(), Some("InvalidAction"));
    assert_eq!(standin.counts()["DescribeVpcs"], 1);
}

#[tokio::test]
async fn health_and_activities_follow_the_image() {
    let (standin, aws) = standin(1);
    let health = || async {
        let answer = aws
            .elb
            .describe_target_health()
            .target_group_arn(TARGET_GROUP)
            .send()
            .await
            .unwrap();
        let states = answer.target_health_descriptions().iter();
        states
            .map(|item| item.target_health().unwrap().state().unwrap().clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        health().await,
        [
            TargetHealthStateEnum::Healthy,
            TargetHealthStateEnum::Healthy
        ]
    );
    let refuse = |cloud: &mut Cloud| {
        let image = cloud.images.get_mut("ami-1").unwrap();
        image.is_healthy = false;
        image.refused = Some("InsufficientInstanceCapacity - We have none.".to_owned());
        Ok(())
    };
    standin.change(refuse).unwrap();
    assert_eq!(
        health().await,
        [
            TargetHealthStateEnum::Unhealthy,
            TargetHealthStateEnum::Unhealthy
        ]
    );
    let set = aws
        .autoscaling
        .set_desired_capacity()
        .auto_scaling_group_name("app-0000")
        .desired_capacity(3);
    set.send().await.unwrap();
    let activities = aws
        .autoscaling
        .describe_scaling_activities()
        .auto_scaling_group_name("app-0000");
    let activities = activities.send().await.unwrap();
    let statuses: Vec<_> = activities
        .activities()
        .iter()
        .map(|activity| activity.status_code().unwrap().as_str())
        .collect();
    assert_eq!(statuses, ["Failed", "Successful", "Successful"]);
    let message = activities.activities()[0].status_message().unwrap();
    assert!(
        message.contains("InsufficientInstanceCapacity"),
        "{message}"
    );
}

#[tokio::test]
async fn groups_and_templates_can_be_changed_and_deleted() {
    let (standin, aws) = standin(1);
    let name = "app-0000";
    let delete = || {
        aws.autoscaling
            .delete_auto_scaling_group()
            .auto_scaling_group_name(name)
            .send()
    };
    assert!(
        delete()
            .await
            .unwrap_err()
            .into_service_error()
            .is_resource_in_use_fault()
    );
    let update = aws
        .autoscaling
        .update_auto_scaling_group()
        .auto_scaling_group_name(name);
    update.min_size(0).max_size(0).send().await.unwrap();
    assert!(standin.cloud().unwrap().groups[name].instances.is_empty());
    delete().await.unwrap();
    let delete = aws.ec2.delete_launch_template().launch_template_name(name);
    delete.send().await.unwrap();
    assert!(standin.cloud().unwrap().templates.is_empty());
    let update = aws
        .autoscaling
        .update_auto_scaling_group()
        .auto_scaling_group_name(name);
    let error = update
        .min_size(1)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert_eq!(error.meta().code(), Some("ValidationError"));
}

#[tokio::test]
async fn what_the_stub_makes_is_seen_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let stub = StubWorld::create(dir.path()).unwrap();
    let standin = Standin::start(Source::StubDir(stub.dir().to_owned())).unwrap();
    let aws = Clients::of(&standin.endpoint());
    let count = || async {
        let answer = aws
            .autoscaling
            .describe_auto_scaling_groups()
            .send()
            .await
            .unwrap();
        answer.auto_scaling_groups().len()
    };
    assert_eq!(count().await, 0);
    let fill = |cloud: &mut Cloud| {
        *cloud = fleet(3);
        cloud.initial_seconds = u32::try_from(Duration::from_secs(60).as_secs()).unwrap();
        Ok(())
    };
    stub.cloud_file().change(fill).unwrap();
    assert_eq!(count().await, 3);
    let update = aws
        .autoscaling
        .update_auto_scaling_group()
        .auto_scaling_group_name("app-0001");
    update.min_size(3).send().await.unwrap();
    assert_eq!(stub.cloud().unwrap().groups["app-0001"].instances.len(), 3);
}

#[tokio::test]
async fn tags_are_listed_by_resource() {
    let (_standin, aws) = standin(2);
    let of = |kind: &str| {
        let kind = aws_sdk_ec2::types::Filter::builder()
            .name("resource-type")
            .values(kind)
            .build();
        let key = aws_sdk_ec2::types::Filter::builder()
            .name("key")
            .values("amid:app")
            .build();
        aws.ec2.describe_tags().filters(kind).filters(key).send()
    };
    let answer = of("instance").await.unwrap();
    let values: Vec<&str> = answer.tags().iter().filter_map(|tag| tag.value()).collect();
    assert_eq!(values, ["app-0000", "app-0000", "app-0001", "app-0001"]);
    assert!(of("image").await.unwrap().tags().is_empty());
}

#[tokio::test]
async fn a_group_of_a_launch_configuration_names_it_and_no_template() {
    let mut cloud = fleet(1);
    for name in ["old", "next"] {
        let configurations = &mut cloud.estate.configurations;
        configurations.insert(name.to_owned(), format!("ami-{name}"));
    }
    let of_groups = &mut cloud.estate.group_configurations;
    of_groups.insert("app-0000".to_owned(), "next".to_owned());
    let standin = Standin::start(Source::Memory(cloud)).unwrap();
    let aws = Clients::of(&standin.endpoint()).autoscaling;
    let groups = aws.describe_auto_scaling_groups().send().await.unwrap();
    let group = &groups.auto_scaling_groups()[0];
    assert_eq!(group.launch_configuration_name(), Some("next"));
    assert!(group.launch_template().is_none());
    let named = aws
        .describe_launch_configurations()
        .launch_configuration_names("next");
    let found = named.send().await.unwrap();
    let images = found.launch_configurations().iter();
    let images: Vec<_> = images.map(|one| one.image_id()).collect();
    assert_eq!(images, [Some("ami-next")]);
}
