//! What the scenes ask of AWS, and what a person or autoscaling would change there.
//!
//! One app is looked at as a whole: its groups (found by tag), their instances, and what the load balancer
//! says of each. Everything goes through the proxy, as `amid`'s own calls do, and nothing here knows what
//! `amid` thinks. Only answers leave this file, no SDK types.

pub mod machines;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use anyhow::{Context, Result};
use aws_sdk_autoscaling as autoscaling;
use aws_sdk_ec2 as ec2;
use aws_sdk_elasticloadbalancingv2 as elb;

/// The region of the whole world.
pub const REGION: &str = "us-east-1";

/// Clients for one endpoint.
#[derive(Debug, Clone)]
pub struct Aws {
    autoscaling: autoscaling::Client,
    ec2: ec2::Client,
    elb: elb::Client,
}

/// Everything of one app at one moment.
#[derive(Debug, Clone)]
pub struct Observation {
    /// When the answers were complete.
    pub at: Instant,
    /// Its groups, by name.
    pub groups: Vec<Group>,
}

/// One Auto Scaling group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its tag `amid:release`.
    pub release: String,
    /// The image of its launch template's version.
    pub ami: String,
    /// The launch template's id.
    pub template: String,
    /// The launch template's version as the group names it.
    pub version: String,
    /// Its least size.
    pub min: i32,
    /// Its greatest size.
    pub max: i32,
    /// Its desired capacity.
    pub desired: i32,
    /// Its instances, by id.
    pub instances: Vec<Instance>,
}

/// One instance of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// `Pending`, `InService`, `Terminating:Wait`, …
    pub lifecycle: String,
    /// What the group thinks of it.
    pub group_says_healthy: bool,
    /// What the load balancer says: `initial`, `healthy`, `unhealthy`, `draining`; empty for nothing.
    pub target: String,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `available`, `disabled`, …
    pub state: String,
    /// The keys of its tags.
    pub tags: BTreeSet<String>,
}

impl Image {
    /// Whether clean-up has left a mark on it.
    pub fn is_marked(&self) -> bool {
        self.tags.iter().any(|key| key.starts_with("amid:"))
    }
}

impl Observation {
    /// How many instances serve: in service in their group and healthy in the load balancer.
    pub fn serving(&self) -> usize {
        self.groups.iter().map(Group::serving).sum()
    }

    /// The app's only group, if there is exactly one.
    pub fn only(&self) -> Option<&Group> {
        match self.groups.as_slice() {
            [group] => Some(group),
            _ => None,
        }
    }

    /// The group with this image.
    pub fn with_image(&self, ami: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.ami == ami)
    }

    /// The group with this name.
    pub fn named(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Whether all there is is one group of this image that serves with exactly this many.
    pub fn settled(&self, ami: &str, count: usize) -> bool {
        self.only().is_some_and(|group| {
            group.ami == ami && group.serving() == count && group.instances.len() == count
        })
    }

    /// In words, for a wait that ended badly.
    pub fn in_words(&self) -> String {
        if self.groups.is_empty() {
            return "no group at all".to_owned();
        }
        let groups: Vec<String> = self.groups.iter().map(Group::in_words).collect();
        groups.join("; ")
    }
}

impl Group {
    /// How many of its instances serve.
    pub fn serving(&self) -> usize {
        self.instances.iter().filter(|one| one.serves()).count()
    }

    /// The ids of its instances.
    pub fn ids(&self) -> BTreeSet<String> {
        self.instances.iter().map(|one| one.id.clone()).collect()
    }

    fn in_words(&self) -> String {
        let instances: Vec<String> = self
            .instances
            .iter()
            .map(|one| format!("{} {}", one.lifecycle, one.target))
            .collect();
        format!(
            "{} of {} with min {} desired {} max {} and [{}]",
            self.name,
            self.ami,
            self.min,
            self.desired,
            self.max,
            instances.join(", ")
        )
    }
}

impl Instance {
    /// In service, and healthy for group and load balancer.
    pub fn serves(&self) -> bool {
        self.lifecycle == "InService" && self.group_says_healthy && self.target == "healthy"
    }
}

impl Aws {
    /// Clients for this endpoint, with credentials that mean nothing.
    pub fn new(endpoint: &str) -> Aws {
        let credentials =
            || autoscaling::config::Credentials::new("demo", "demo", None, None, "demo");
        macro_rules! client {
            ($service:ident) => {
                $service::Client::from_conf(
                    $service::Config::builder()
                        .behavior_version($service::config::BehaviorVersion::latest())
                        .region($service::config::Region::new(REGION))
                        .credentials_provider(credentials())
                        .endpoint_url(endpoint)
                        .build(),
                )
            };
        }
        Aws {
            autoscaling: client!(autoscaling),
            ec2: client!(ec2),
            elb: client!(elb),
        }
    }

    /// Looks at an app: its groups, their instances, the instances' target health.
    ///
    /// `images` keeps the image of each launch template version, which never changes.
    pub async fn observe(
        &self,
        app: &str,
        images: &mut BTreeMap<(String, String), String>,
    ) -> Result<Observation> {
        let found = self.groups_of(app).await?;
        let mut groups = Vec::new();
        let mut targets: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for group in found {
            let mut says: BTreeMap<String, String> = BTreeMap::new();
            for arn in group.target_group_arns() {
                if !targets.contains_key(arn) {
                    let health = self.target_health(arn).await?;
                    targets.insert(arn.clone(), health);
                }
                for (id, state) in &targets[arn] {
                    worse(&mut says, id, state);
                }
            }
            groups.push(self.group(&group, &says, images).await?);
        }
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Observation {
            at: Instant::now(),
            groups,
        })
    }

    async fn groups_of(&self, app: &str) -> Result<Vec<autoscaling::types::AutoScalingGroup>> {
        let filter = autoscaling::types::Filter::builder()
            .name("tag:amid:app")
            .values(app)
            .build();
        let mut pages = self
            .autoscaling
            .describe_auto_scaling_groups()
            .filters(filter)
            .into_paginator()
            .items()
            .send();
        let mut groups = Vec::new();
        while let Some(group) = pages.next().await {
            groups.push(group.context("Failed to list the groups of an app")?);
        }
        Ok(groups)
    }

    async fn group(
        &self,
        group: &autoscaling::types::AutoScalingGroup,
        says: &BTreeMap<String, String>,
        images: &mut BTreeMap<(String, String), String>,
    ) -> Result<Group> {
        let template = group.launch_template().or_else(|| {
            let policy = group.mixed_instances_policy()?;
            policy.launch_template()?.launch_template_specification()
        });
        let id = template
            .and_then(|one| one.launch_template_id())
            .unwrap_or_default();
        let version = template.and_then(|one| one.version()).unwrap_or_default();
        let key = (id.to_owned(), version.to_owned());
        if !images.contains_key(&key) && !id.is_empty() {
            let image = self.image_of(id, version).await?;
            images.insert(key.clone(), image);
        }
        let mut instances: Vec<Instance> = group
            .instances()
            .iter()
            .map(|one| instance(one, says))
            .collect();
        instances.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Group {
            name: group
                .auto_scaling_group_name()
                .unwrap_or_default()
                .to_owned(),
            release: tag(group, "amid:release"),
            ami: images.get(&key).cloned().unwrap_or_default(),
            template: key.0,
            version: key.1,
            min: group.min_size().unwrap_or_default(),
            max: group.max_size().unwrap_or_default(),
            desired: group.desired_capacity().unwrap_or_default(),
            instances,
        })
    }

    async fn target_health(&self, arn: &str) -> Result<BTreeMap<String, String>> {
        let answer = self
            .elb
            .describe_target_health()
            .target_group_arn(arn)
            .send()
            .await
            .context("Failed to ask for target health")?;
        let states = answer
            .target_health_descriptions()
            .iter()
            .filter_map(|one| {
                let id = one.target()?.id()?.to_owned();
                let state = one.target_health()?.state()?.as_str().to_owned();
                Some((id, state))
            });
        Ok(states.collect())
    }

    async fn image_of(&self, template: &str, version: &str) -> Result<String> {
        let answer = self
            .ec2
            .describe_launch_template_versions()
            .launch_template_id(template)
            .versions(version)
            .send()
            .await
            .context("Failed to look at a launch template")?;
        let image = answer
            .launch_template_versions()
            .first()
            .and_then(|one| one.launch_template_data()?.image_id());
        Ok(image.unwrap_or_default().to_owned())
    }

    /// The names of the launch templates of an app, told by tag.
    pub async fn templates_of(&self, app: &str) -> Result<Vec<String>> {
        let filter = ec2::types::Filter::builder()
            .name("tag:amid:app")
            .values(app)
            .build();
        let answer = self
            .ec2
            .describe_launch_templates()
            .filters(filter)
            .send()
            .await
            .context("Failed to list the launch templates of an app")?;
        let names = answer
            .launch_templates()
            .iter()
            .filter_map(|one| Some(one.launch_template_name()?.to_owned()));
        Ok(names.collect())
    }

    /// The tags and the image of an instance.
    pub async fn instance(&self, id: &str) -> Result<(String, BTreeMap<String, String>)> {
        let answer = self
            .ec2
            .describe_instances()
            .instance_ids(id)
            .send()
            .await
            .context("Failed to look at an instance")?;
        let instance = answer
            .reservations()
            .iter()
            .flat_map(|one| one.instances())
            .next()
            .with_context(|| format!("There is no instance {id}"))?;
        let tags = instance.tags().iter().filter_map(|tag| {
            Some((
                tag.key()?.to_owned(),
                tag.value().unwrap_or_default().to_owned(),
            ))
        });
        let image = instance.image_id().unwrap_or_default().to_owned();
        Ok((image, tags.collect()))
    }

    /// What autoscaling does when the load grows: a new desired capacity.
    pub async fn set_desired(&self, group: &str, desired: i32) -> Result<()> {
        self.autoscaling
            .set_desired_capacity()
            .auto_scaling_group_name(group)
            .desired_capacity(desired)
            .send()
            .await
            .context("Failed to set the desired capacity")?;
        Ok(())
    }

    /// What someone does by hand: other sizes.
    pub async fn set_sizes(&self, group: &str, min: i32, max: i32) -> Result<()> {
        self.autoscaling
            .update_auto_scaling_group()
            .auto_scaling_group_name(group)
            .min_size(min)
            .max_size(max)
            .send()
            .await
            .context("Failed to change a group's sizes")?;
        Ok(())
    }

    /// What someone does by hand: a second version of the launch template with another image, and the group
    /// pointed at it.
    pub async fn point_at_new_version(&self, group: &Group, ami: &str) -> Result<()> {
        let data = ec2::types::RequestLaunchTemplateData::builder()
            .image_id(ami)
            .instance_type(ec2::types::InstanceType::T3Micro)
            .build();
        self.ec2
            .create_launch_template_version()
            .launch_template_id(&group.template)
            .launch_template_data(data)
            .send()
            .await
            .context("Failed to add a launch template version")?;
        let template = autoscaling::types::LaunchTemplateSpecification::builder()
            .launch_template_id(&group.template)
            .version("2")
            .build();
        self.autoscaling
            .update_auto_scaling_group()
            .auto_scaling_group_name(&group.name)
            .launch_template(template)
            .send()
            .await
            .context("Failed to point a group at another template version")?;
        Ok(())
    }

    /// What someone does by hand: starts an instance of some image and puts it into the group.
    pub async fn attach_stranger(
        &self,
        group: &Group,
        ami: &str,
        tags: &[(&str, &str)],
    ) -> Result<String> {
        let tags = tags
            .iter()
            .map(|(key, value)| ec2::types::Tag::builder().key(*key).value(*value).build());
        let specification = ec2::types::TagSpecification::builder()
            .resource_type(ec2::types::ResourceType::Instance)
            .set_tags(Some(tags.collect()))
            .build();
        let answer = self
            .ec2
            .run_instances()
            .image_id(ami)
            .instance_type(ec2::types::InstanceType::T3Micro)
            .min_count(1)
            .max_count(1)
            .tag_specifications(specification)
            .send()
            .await
            .context("Failed to start an instance by hand")?;
        let id = answer
            .instances()
            .first()
            .and_then(|one| one.instance_id())
            .context("AWS started an instance without an id")?
            .to_owned();
        self.autoscaling
            .attach_instances()
            .auto_scaling_group_name(&group.name)
            .instance_ids(&id)
            .send()
            .await
            .context("Failed to put an instance into a group")?;
        Ok(id)
    }

    /// An image, also one that is disabled; none where there is no such image.
    pub async fn image(&self, ami: &str) -> Result<Option<Image>> {
        let filter = ec2::types::Filter::builder()
            .name("image-id")
            .values(ami)
            .build();
        let answer = self
            .ec2
            .describe_images()
            .filters(filter)
            .include_disabled(true)
            .send()
            .await
            .context("Failed to look at an image")?;
        let image = answer.images().first().map(|one| Image {
            state: one
                .state()
                .map(|state| state.as_str().to_owned())
                .unwrap_or_default(),
            tags: one
                .tags()
                .iter()
                .filter_map(|tag| tag.key().map(str::to_owned))
                .collect(),
        });
        Ok(image)
    }
}

fn instance(one: &autoscaling::types::Instance, says: &BTreeMap<String, String>) -> Instance {
    let id = one.instance_id().unwrap_or_default().to_owned();
    Instance {
        lifecycle: one
            .lifecycle_state()
            .map(|state| state.as_str().to_owned())
            .unwrap_or_default(),
        group_says_healthy: one.health_status() == Some("Healthy"),
        target: says.get(&id).cloned().unwrap_or_default(),
        id,
    }
}

fn tag(group: &autoscaling::types::AutoScalingGroup, key: &str) -> String {
    let tag = group.tags().iter().find(|tag| tag.key() == Some(key));
    tag.and_then(|tag| tag.value())
        .unwrap_or_default()
        .to_owned()
}

/// Of several target groups the worst word counts.
fn worse(says: &mut BTreeMap<String, String>, id: &str, state: &str) {
    let known = says
        .entry(id.to_owned())
        .or_insert_with(|| state.to_owned());
    if known == "healthy" {
        state.clone_into(known);
    }
}
