//! The proxy's rules in front of a real moto_server, seen through the Rust SDK.
//!
//! They run where `AMID_MOTO_PYTHON` names the Python of a virtual environment that has moto, which
//! `make test` sees to, and say so where it does not. Tests that run at the same time share one moto, each
//! with a proxy and names of its own.

#![allow(
    clippy::disallowed_methods,
    reason = "a tool for tests: it starts programs and reads clocks and the environment"
)]

mod support;

use std::{
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use amid_testkit::{
    moto::Moto,
    proxy::{Fault, FaultKind, ImageHealth, Proxy, RefuseLaunches},
};
use aws_sdk_autoscaling::types::{
    AutoScalingGroup, LaunchTemplateSpecification, ScalingActivityStatusCode,
};
use aws_sdk_ec2::types::{ImageState, RequestLaunchTemplateData};
use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetHealthStateEnum};
use support::Clients;
use tokio::sync::Mutex;

/// moto, the proxy, and a network with one target group and one template for each of two images.
struct World {
    proxy: Proxy,
    _moto: Arc<Moto>,
    aws: Clients,
    images: [String; 2],
    templates: [String; 2],
    subnet: String,
    target_group: String,
    /// What all names of this world start with.
    prefix: String,
}

/// The moto of the tests that run now; the last of them ends it.
static SHARED: Mutex<Weak<Moto>> = Mutex::const_new(Weak::new());
static WORLDS: AtomicU32 = AtomicU32::new(0);

fn python() -> Option<PathBuf> {
    let python = std::env::var_os("AMID_MOTO_PYTHON").map(PathBuf::from);
    if python.is_none() {
        println!("Skipped: `AMID_MOTO_PYTHON` is not set");
    }
    python
}

async fn world() -> Option<World> {
    let python = python()?;
    let moto = {
        let mut shared = SHARED.lock().await;
        match shared.upgrade() {
            Some(moto) => moto,
            None => {
                let moto = Arc::new(Moto::start(&python).await.unwrap());
                *shared = Arc::downgrade(&moto);
                moto
            }
        }
    };
    let prefix = format!("w{}", WORLDS.fetch_add(1, Ordering::Relaxed));
    let proxy = Proxy::start(moto.addr()).unwrap();
    let aws = Clients::of(&proxy.endpoint());
    let images = [
        moto.register_image("web-1", "x86_64").await.unwrap(),
        moto.register_image("web-2", "x86_64").await.unwrap(),
    ];
    let vpc = aws
        .ec2
        .create_vpc()
        .cidr_block("10.0.0.0/16")
        .send()
        .await
        .unwrap();
    let vpc = vpc.vpc().unwrap().vpc_id().unwrap().to_owned();
    let subnet = aws
        .ec2
        .create_subnet()
        .vpc_id(&vpc)
        .cidr_block("10.0.0.0/24")
        .send()
        .await
        .unwrap();
    let mut templates = Vec::new();
    for (at, image) in images.iter().enumerate() {
        let data = RequestLaunchTemplateData::builder()
            .image_id(image)
            .instance_type("m5.large".into())
            .build();
        let made = aws
            .ec2
            .create_launch_template()
            .launch_template_name(format!("{prefix}-{at}"))
            .launch_template_data(data)
            .send()
            .await
            .unwrap();
        templates.push(
            made.launch_template()
                .unwrap()
                .launch_template_id()
                .unwrap()
                .to_owned(),
        );
    }
    let group = aws
        .elb
        .create_target_group()
        .name(&prefix)
        .protocol(ProtocolEnum::Http)
        .port(8080)
        .vpc_id(&vpc)
        .send()
        .await
        .unwrap();
    Some(World {
        subnet: subnet.subnet().unwrap().subnet_id().unwrap().to_owned(),
        target_group: group.target_groups()[0]
            .target_group_arn()
            .unwrap()
            .to_owned(),
        templates: templates.try_into().unwrap(),
        images,
        aws,
        proxy,
        _moto: moto,
        prefix,
    })
}

impl World {
    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    async fn create_group(&self, name: &str, template: usize, [min, max, desired]: [i32; 3]) {
        let template = LaunchTemplateSpecification::builder()
            .launch_template_id(&self.templates[template])
            .version("1")
            .build();
        self.aws
            .autoscaling
            .create_auto_scaling_group()
            .auto_scaling_group_name(self.name(name))
            .launch_template(template)
            .min_size(min)
            .max_size(max)
            .desired_capacity(desired)
            .vpc_zone_identifier(&self.subnet)
            .target_group_arns(&self.target_group)
            .send()
            .await
            .unwrap();
    }

    async fn group(&self, name: &str) -> Option<AutoScalingGroup> {
        let answer = self.aws.autoscaling.describe_auto_scaling_groups();
        let answer = answer
            .auto_scaling_group_names(self.name(name))
            .send()
            .await
            .unwrap();
        answer.auto_scaling_groups().first().cloned()
    }

    /// `[min, max, desired, instances]`
    async fn sizes(&self, name: &str) -> [i32; 4] {
        let group = self.group(name).await.unwrap();
        let instances = i32::try_from(group.instances().len()).unwrap();
        [
            group.min_size().unwrap(),
            group.max_size().unwrap(),
            group.desired_capacity().unwrap(),
            instances,
        ]
    }

    async fn health(&self) -> Vec<(String, TargetHealthStateEnum, String)> {
        let answer = self.aws.elb.describe_target_health();
        let answer = answer
            .target_group_arn(&self.target_group)
            .send()
            .await
            .unwrap();
        answer
            .target_health_descriptions()
            .iter()
            .map(|item| {
                let health = item.target_health().unwrap();
                (
                    item.target().unwrap().id().unwrap().to_owned(),
                    health.state().unwrap().clone(),
                    health
                        .reason()
                        .map(|reason| reason.as_str().to_owned())
                        .unwrap_or_default(),
                )
            })
            .collect()
    }

    async fn states(&self) -> Vec<TargetHealthStateEnum> {
        self.health()
            .await
            .into_iter()
            .map(|(_, state, _)| state)
            .collect()
    }
}

#[tokio::test]
async fn target_health_follows_the_images_and_ages_rules() {
    let Some(world) = world().await else { return };
    let rules = world.proxy.rules();
    world.create_group("a", 0, [2, 4, 2]).await;
    assert_eq!(
        world.states().await,
        [
            TargetHealthStateEnum::Healthy,
            TargetHealthStateEnum::Healthy
        ]
    );

    rules.target_initial(Duration::from_secs(3_600));
    let health = world.health().await;
    assert!(health.iter().all(|(_, state, reason)| {
        *state == TargetHealthStateEnum::Initial && reason == "Elb.RegistrationInProgress"
    }));
    rules.target_initial(Duration::ZERO);

    rules.image_health(&world.images[1], ImageHealth::Unhealthy);
    world.create_group("b", 1, [1, 1, 1]).await;
    let bad = world.group("b").await.unwrap().instances()[0]
        .instance_id()
        .unwrap()
        .to_owned();
    for (id, state, reason) in world.health().await {
        let expected = if id == bad {
            (
                TargetHealthStateEnum::Unhealthy,
                "Target.FailedHealthChecks",
            )
        } else {
            (TargetHealthStateEnum::Healthy, "")
        };
        assert_eq!((state, &*reason), expected, "{id}");
    }
    rules.instance_health(&bad, ImageHealth::Healthy);
    assert_eq!(
        world.states().await,
        vec![TargetHealthStateEnum::Healthy; 3]
    );
}

#[tokio::test]
async fn a_refused_launch_shows_the_wished_sizes_without_instances_until_it_is_allowed() {
    let Some(world) = world().await else { return };
    let rules = world.proxy.rules();
    let sentence = "We currently do not have sufficient m5.large capacity in the Availability Zone you requested \
                    (us-east-1a).";
    rules.refuse_launches(RefuseLaunches {
        ami: Some(world.images[1].clone()),
        code: "InsufficientInstanceCapacity".to_owned(),
        message: sentence.to_owned(),
    });
    world.create_group("good", 0, [1, 2, 1]).await;
    world.create_group("bad", 1, [2, 6, 3]).await;
    assert_eq!(world.sizes("good").await, [1, 2, 1, 1]);
    assert_eq!(world.sizes("bad").await, [2, 6, 3, 0]);

    let activities = world.aws.autoscaling.describe_scaling_activities();
    let activities = activities
        .auto_scaling_group_name(world.name("bad"))
        .send()
        .await
        .unwrap();
    let first = &activities.activities()[0];
    assert_eq!(
        first.status_code(),
        Some(&ScalingActivityStatusCode::Failed)
    );
    assert_eq!(
        first.status_message(),
        Some(&*format!(
            "Could not launch On-Demand Instances. InsufficientInstanceCapacity - {sentence} Launching EC2 instance failed."
        ))
    );

    let update = world.aws.autoscaling.update_auto_scaling_group();
    update
        .auto_scaling_group_name(world.name("bad"))
        .min_size(4)
        .send()
        .await
        .unwrap();
    assert_eq!(world.sizes("bad").await, [4, 6, 4, 0]);
    let set = world.aws.autoscaling.set_desired_capacity();
    set.auto_scaling_group_name(world.name("bad"))
        .desired_capacity(5)
        .send()
        .await
        .unwrap();
    assert_eq!(world.sizes("bad").await, [4, 6, 5, 0]);

    rules.allow_launches();
    // The sizes are sent in the background; each look is a round trip.
    for _ in 0..1_000 {
        if world.sizes("bad").await == [4, 6, 5, 5] {
            break;
        }
    }
    assert_eq!(world.sizes("bad").await, [4, 6, 5, 5]);
    let activities = world.aws.autoscaling.describe_scaling_activities();
    let activities = activities
        .auto_scaling_group_name(world.name("bad"))
        .send()
        .await
        .unwrap();
    let successful = activities
        .activities()
        .iter()
        .filter(|activity| activity.status_code() == Some(&ScalingActivityStatusCode::Successful));
    assert_eq!(successful.count(), 5);
}

#[tokio::test]
async fn a_refused_group_keeps_what_it_has_and_can_be_emptied_and_deleted() {
    let Some(world) = world().await else { return };
    world.create_group("a", 0, [1, 4, 1]).await;
    world.proxy.rules().refuse_launches(RefuseLaunches {
        ami: None,
        code: "InsufficientInstanceCapacity".to_owned(),
        message: "No.".to_owned(),
    });
    let update = world.aws.autoscaling.update_auto_scaling_group();
    update
        .auto_scaling_group_name(world.name("a"))
        .min_size(3)
        .send()
        .await
        .unwrap();
    assert_eq!(world.sizes("a").await, [3, 4, 3, 1]);
    let update = world.aws.autoscaling.update_auto_scaling_group();
    update
        .auto_scaling_group_name(world.name("a"))
        .min_size(0)
        .max_size(0)
        .desired_capacity(0)
        .send()
        .await
        .unwrap();
    assert_eq!(world.sizes("a").await, [0, 0, 0, 0]);
    let delete = world.aws.autoscaling.delete_auto_scaling_group();
    delete
        .auto_scaling_group_name(world.name("a"))
        .send()
        .await
        .unwrap();
    assert!(world.group("a").await.is_none());
}

#[tokio::test]
async fn instances_linger_while_they_drain_and_the_group_cannot_go_before() {
    let Some(world) = world().await else { return };
    let rules = world.proxy.rules();
    world.create_group("a", 0, [2, 2, 2]).await;
    rules.linger(Duration::from_secs(3_600));
    let update = world.aws.autoscaling.update_auto_scaling_group();
    update
        .auto_scaling_group_name(world.name("a"))
        .min_size(0)
        .max_size(0)
        .desired_capacity(0)
        .send()
        .await
        .unwrap();

    let group = world.group("a").await.unwrap();
    let states: Vec<_> = group
        .instances()
        .iter()
        .map(|member| member.lifecycle_state().unwrap().as_str().to_owned())
        .collect();
    assert_eq!(states, ["Terminating:Wait", "Terminating:Wait"]);
    assert_eq!(
        world.states().await,
        [
            TargetHealthStateEnum::Draining,
            TargetHealthStateEnum::Draining
        ]
    );
    let ids: Vec<_> = group
        .instances()
        .iter()
        .filter_map(|member| member.instance_id())
        .collect();
    let instances = world
        .aws
        .ec2
        .describe_instances()
        .instance_ids(ids[0])
        .send()
        .await
        .unwrap();
    let state = instances.reservations()[0].instances()[0]
        .state()
        .unwrap()
        .name()
        .unwrap()
        .clone();
    assert_eq!(state.as_str(), "running");

    let delete = || {
        world
            .aws
            .autoscaling
            .delete_auto_scaling_group()
            .auto_scaling_group_name(world.name("a"))
    };
    let refused = delete().send().await.unwrap_err().into_service_error();
    assert!(refused.is_resource_in_use_fault(), "{refused:?}");
    delete().force_delete(true).send().await.unwrap();
    assert!(world.group("a").await.is_none());
}

#[tokio::test]
async fn an_update_keeps_a_groups_mixed_instances_policy() {
    use aws_sdk_autoscaling::types::{
        LaunchTemplate, LaunchTemplateOverrides, MixedInstancesPolicy,
    };
    let Some(world) = world().await else { return };
    let source = LaunchTemplateSpecification::builder()
        .launch_template_id(&world.templates[0])
        .version("1")
        .build();
    let of_type = |name: &str| {
        LaunchTemplateOverrides::builder()
            .instance_type(name)
            .build()
    };
    let template = LaunchTemplate::builder()
        .launch_template_specification(source)
        .overrides(of_type("m5.large"))
        .overrides(of_type("m6i.large"))
        .build();
    let create = world.aws.autoscaling.create_auto_scaling_group();
    create
        .auto_scaling_group_name(world.name("mixed"))
        .mixed_instances_policy(
            MixedInstancesPolicy::builder()
                .launch_template(template)
                .build(),
        )
        .min_size(1)
        .max_size(2)
        .vpc_zone_identifier(&world.subnet)
        .send()
        .await
        .unwrap();
    let before = world
        .group("mixed")
        .await
        .unwrap()
        .mixed_instances_policy()
        .cloned()
        .unwrap();
    let update = world.aws.autoscaling.update_auto_scaling_group();
    update
        .auto_scaling_group_name(world.name("mixed"))
        .min_size(2)
        .send()
        .await
        .unwrap();
    assert_eq!(
        world.group("mixed").await.unwrap().mixed_instances_policy(),
        Some(&before)
    );
    assert_eq!(world.sizes("mixed").await, [2, 2, 2, 2]);
}

#[tokio::test]
async fn faults_look_to_the_sdk_like_awss_own() {
    let Some(world) = world().await else { return };
    let rules = world.proxy.rules();
    let once = |service: &str, kind| Fault {
        service: service.to_owned(),
        action: "Describe*".to_owned(),
        naming: None,
        times: Some(1),
        kind,
    };
    for (kind, code) in [
        (FaultKind::Throttle, "RequestLimitExceeded"),
        (FaultKind::Status(500), "InternalError"),
        (FaultKind::Status(403), "UnauthorizedOperation"),
    ] {
        rules.fault(once("ec2", kind));
        let error = world
            .aws
            .ec2
            .describe_images()
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        assert_eq!(error.meta().code(), Some(code));
    }
    rules.fault(once("autoscaling", FaultKind::Throttle));
    let describe = || {
        let describe = world.aws.autoscaling.describe_auto_scaling_groups();
        describe.auto_scaling_group_names(world.name("a"))
    };
    let error = describe().send().await.unwrap_err().into_service_error();
    assert_eq!(error.meta().code(), Some("Throttling"));
    for kind in [FaultKind::DropConnection, FaultKind::CutBody] {
        rules.fault(once("autoscaling", kind));
        assert!(
            describe()
                .send()
                .await
                .unwrap_err()
                .as_service_error()
                .is_none(),
            "{kind:?}"
        );
    }

    world.create_group("a", 0, [0, 1, 0]).await;
    rules.fault(once("autoscaling", FaultKind::RepeatPage));
    let pages: Vec<_> = describe()
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .unwrap();
    let names: Vec<_> = pages
        .iter()
        .filter_map(|group| group.auto_scaling_group_name())
        .collect();
    assert_eq!(names, [world.name("a"), world.name("a")]);
    let statuses: Vec<_> = world
        .proxy
        .requests()
        .into_iter()
        .map(|seen| seen.status)
        .collect();
    assert!(
        statuses.contains(&None) && statuses.contains(&Some(503)),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn a_registered_image_is_available_under_its_architecture() {
    let Some(python) = python() else { return };
    let moto = Moto::start(&python).await.unwrap();
    let id = moto.register_image("web", "arm64").await.unwrap();
    let aws = Clients::of(&format!("http://{}", moto.addr()));
    let images = aws
        .ec2
        .describe_images()
        .owners("self")
        .send()
        .await
        .unwrap();
    let image = &images.images()[0];
    assert_eq!(image.image_id(), Some(&*id));
    assert_eq!(image.state(), Some(&ImageState::Available));
    assert_eq!(
        image.architecture().map(|kind| kind.as_str()),
        Some("arm64")
    );
    moto.reset().await.unwrap();
    let images = aws
        .ec2
        .describe_images()
        .owners("self")
        .send()
        .await
        .unwrap();
    assert!(images.images().is_empty());
}
