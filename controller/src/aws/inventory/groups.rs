//! Auto Scaling groups with all that they launch, launch configurations,
//! instance refreshes and warm pools.

use std::collections::BTreeMap;

use amid_core::retention::{Evidence, Listing, Reference, SnapshotId, Target};
use aws_sdk_autoscaling::types as asg;

use super::super::Aws;
use super::super::pages::Page;
use super::template;

/// The groups, and what further questions about them need.
pub(super) struct Groups {
    /// What the groups name.
    pub references: Listing<Reference>,
    /// By group: what it launches now.
    launches: BTreeMap<String, Vec<Target>>,
    /// Groups with a warm pool.
    warm: Vec<String>,
}

impl Aws {
    /// What every group launches, ours or not.
    pub(super) async fn group_references(&self) -> Groups {
        let ask = |token| {
            self.autoscaling
                .describe_auto_scaling_groups()
                .max_records(100)
                .set_next_token(token)
                .send()
        };
        let groups = self
            .listing("autoscaling", "DescribeAutoScalingGroups", ask, |answer| {
                Page::of(
                    answer.auto_scaling_groups.unwrap_or_default(),
                    answer.next_token,
                )
            })
            .await;
        let mut all = Groups {
            references: Listing {
                items: Vec::new(),
                incomplete: groups.incomplete,
            },
            launches: BTreeMap::new(),
            warm: Vec::new(),
        };
        for group in groups.items {
            let name = group.auto_scaling_group_name.clone().unwrap_or_default();
            let parts = launched(&group);
            for (part, target) in &parts {
                all.references.items.push(Reference {
                    target: target.clone(),
                    evidence: Evidence::Group {
                        name: name.clone(),
                        part: part.clone(),
                    },
                });
            }
            if group.warm_pool_configuration.is_some() {
                all.warm.push(name.clone());
            }
            let targets = parts.into_iter().map(|(_, target)| target).collect();
            all.launches.insert(name, targets);
        }
        all
    }

    /// Instance refreshes that are under way: what they go to, and what they
    /// would go back to, which is what the group launches meanwhile.
    pub(super) async fn refresh_references(&self, groups: &Groups) -> Listing<Reference> {
        let mut all = Listing {
            items: Vec::new(),
            incomplete: groups.references.incomplete.clone(),
        };
        for (group, launches) in &groups.launches {
            let ask = |token| {
                self.autoscaling
                    .describe_instance_refreshes()
                    .auto_scaling_group_name(group)
                    .max_records(100)
                    .set_next_token(token)
                    .send()
            };
            let list = self
                .listing("autoscaling", "DescribeInstanceRefreshes", ask, |answer| {
                    Page::of(
                        answer.instance_refreshes.unwrap_or_default(),
                        answer.next_token,
                    )
                })
                .await;
            let incomplete = list.incomplete.filter(|why| !is_gone(why));
            all.incomplete = all.incomplete.or(incomplete);
            for refresh in list.items.into_iter().filter(under_way) {
                let id = refresh.instance_refresh_id.unwrap_or_default();
                let reference = |target: Target, rollback| Reference {
                    target,
                    evidence: Evidence::InstanceRefresh {
                        group: group.clone(),
                        id: id.clone(),
                        rollback,
                    },
                };
                let desired = refresh.desired_configuration.as_ref();
                let to = parts(
                    desired.and_then(|desired| desired.launch_template.as_ref()),
                    desired.and_then(|desired| desired.mixed_instances_policy.as_ref()),
                );
                all.items
                    .extend(to.into_iter().map(|(_, target)| reference(target, false)));
                all.items.extend(
                    launches
                        .iter()
                        .map(|target| reference(target.clone(), true)),
                );
            }
        }
        all
    }

    /// The images of instances that wait in warm pools.
    pub(super) async fn warm_pool_references(&self, groups: &Groups) -> Listing<Reference> {
        let mut all = Listing {
            items: Vec::new(),
            incomplete: groups.references.incomplete.clone(),
        };
        for group in &groups.warm {
            let ask = |token| {
                self.autoscaling
                    .describe_warm_pool()
                    .auto_scaling_group_name(group)
                    .max_records(50)
                    .set_next_token(token)
                    .send()
            };
            let list = self
                .listing("autoscaling", "DescribeWarmPool", ask, |answer| {
                    Page::of(answer.instances.unwrap_or_default(), answer.next_token)
                })
                .await;
            let incomplete = list.incomplete.filter(|why| !is_gone(why));
            all.incomplete = all.incomplete.or(incomplete);
            for instance in list.items {
                let evidence = Evidence::WarmPool {
                    group: group.clone(),
                    instance: instance.instance_id.unwrap_or_default(),
                };
                let image = instance.image_id.filter(|id| !id.is_empty());
                let launch = instance.launch_template.as_ref();
                let target = match (image, launch) {
                    (Some(image), _) => Target::of_image_id(&image),
                    (None, Some(launch)) => of_specification(launch),
                    // A launch configuration, whose list names the image.
                    (None, None) => Target::Nothing,
                };
                all.items.push(Reference { target, evidence });
            }
        }
        all
    }

    /// What every launch configuration names.
    pub(super) async fn configuration_references(&self) -> Listing<Reference> {
        let ask = |token| {
            self.autoscaling
                .describe_launch_configurations()
                .max_records(100)
                .set_next_token(token)
                .send()
        };
        self.listing(
            "autoscaling",
            "DescribeLaunchConfigurations",
            ask,
            |answer| {
                let list = answer.launch_configurations.unwrap_or_default();
                let references = list.into_iter().flat_map(|one| {
                    let evidence = Evidence::LaunchConfiguration {
                        name: one.launch_configuration_name.unwrap_or_default(),
                    };
                    let image = Target::of_image_id(one.image_id.as_deref().unwrap_or_default());
                    let devices = one.block_device_mappings.unwrap_or_default();
                    let snapshots = devices
                        .into_iter()
                        .filter_map(|device| device.ebs?.snapshot_id)
                        .map(|id| Target::Snapshot(SnapshotId(id)));
                    let targets: Vec<Target> = std::iter::once(image).chain(snapshots).collect();
                    targets.into_iter().map(move |target| Reference {
                        target,
                        evidence: evidence.clone(),
                    })
                });
                Page::of(references.collect(), answer.next_token)
            },
        )
        .await
    }
}

/// A group that was deleted since it was listed names nothing any more.
fn is_gone(why: &str) -> bool {
    why.contains("ValidationError") && why.contains("not found")
}

/// Everything that a refresh can be in before its end.
fn under_way(refresh: &asg::InstanceRefresh) -> bool {
    use asg::InstanceRefreshStatus as Status;
    // A word that is not known is taken for one that is under way.
    !matches!(
        refresh.status,
        Some(
            Status::Successful
                | Status::Failed
                | Status::Cancelled
                | Status::RollbackFailed
                | Status::RollbackSuccessful
        )
    )
}

/// What a group launches, with where in the group that stands.
fn launched(group: &asg::AutoScalingGroup) -> Vec<(String, Target)> {
    parts(
        group.launch_template.as_ref(),
        group.mixed_instances_policy.as_ref(),
    )
}

fn parts(
    plain: Option<&asg::LaunchTemplateSpecification>,
    mixed: Option<&asg::MixedInstancesPolicy>,
) -> Vec<(String, Target)> {
    let mut all = Vec::new();
    if let Some(plain) = plain {
        all.push(("launch template".to_owned(), of_specification(plain)));
    }
    let Some(policy) = mixed.and_then(|mixed| mixed.launch_template.as_ref()) else {
        return all;
    };
    if let Some(base) = &policy.launch_template_specification {
        all.push(("mixed instances policy".to_owned(), of_specification(base)));
    }
    for (at, one) in policy.overrides.iter().flatten().enumerate() {
        let part = match &one.instance_type {
            Some(name) => format!("override {name}"),
            None => format!("override {}", at + 1),
        };
        if let Some(specification) = &one.launch_template_specification {
            all.push((part.clone(), of_specification(specification)));
        }
        if let Some(image) = one.image_id.as_deref().filter(|id| !id.is_empty()) {
            all.push((part, Target::of_image_id(image)));
        }
    }
    all
}

fn of_specification(one: &asg::LaunchTemplateSpecification) -> Target {
    template(
        one.launch_template_id.as_deref(),
        one.launch_template_name.as_deref(),
        one.version.as_deref(),
    )
}
