//! Images, snapshots, volumes and instances.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;

use amid_core::model::AmiId;
use amid_core::retention::{
    Evidence, Image, ImageState, Listing, Permission, Reference, Referrer, Snapshot, SnapshotId,
    Target,
};
use aws_sdk_ec2::types as ec2;

use super::super::Aws;
use super::super::pages::Page;
use super::{time, time_of};

impl Aws {
    /// Every own image, disabled and deprecated ones too. Who may launch it is
    /// not part of it ([`Aws::permissions`]).
    pub async fn own_images(&self) -> Listing<Image> {
        let ask = |token| {
            self.ec2
                .describe_images()
                .owners("self")
                .include_disabled(true)
                .include_deprecated(true)
                .max_results(1000)
                .set_next_token(token)
                .send()
        };
        self.listing("ec2", "DescribeImages", ask, |answer| {
            let mut page = Page::of(Vec::new(), answer.next_token);
            for image in answer.images.unwrap_or_default() {
                match read_image(&image) {
                    Ok(image) => page.items.push(image),
                    Err(why) => page.strange = Some(why),
                }
            }
            page
        })
        .await
    }

    /// The images with these ids, whoever owns them; those that do not exist
    /// are left out.
    pub async fn images_by_id(&self, ids: &[AmiId]) -> Listing<Image> {
        let mut all = Listing::complete(Vec::new());
        for some in ids.chunks(100) {
            // A filter, because an id that does not exist is an error.
            let filter = ec2::Filter::builder()
                .name("image-id")
                .set_values(Some(some.iter().map(ToString::to_string).collect()))
                .build();
            let ask = |token| {
                self.ec2
                    .describe_images()
                    .filters(filter.clone())
                    .include_disabled(true)
                    .include_deprecated(true)
                    .max_results(1000)
                    .set_next_token(token)
                    .send()
            };
            let list = self
                .listing("ec2", "DescribeImages", ask, |answer| {
                    Page::of(answer.images.unwrap_or_default(), answer.next_token)
                })
                .await;
            all.incomplete = all.incomplete.or(list.incomplete);
            for image in list.items {
                match read_image(&image) {
                    Ok(image) => all.items.push(image),
                    Err(why) => all.incomplete = Some(why),
                }
            }
        }
        all
    }

    /// Every own snapshot. Whom it is shared with is not part of it
    /// ([`Aws::snapshot_sharing`]).
    pub async fn own_snapshots(&self) -> Listing<Snapshot> {
        let ask = |token| {
            self.ec2
                .describe_snapshots()
                .owner_ids("self")
                .max_results(1000)
                .set_next_token(token)
                .send()
        };
        self.listing("ec2", "DescribeSnapshots", ask, |answer| {
            let mut page = Page::of(Vec::new(), answer.next_token);
            for snapshot in answer.snapshots.unwrap_or_default() {
                match read_snapshot(snapshot) {
                    Some(snapshot) => page.items.push(snapshot),
                    None => page.strange = Some("EC2 lists a snapshot without an id".to_owned()),
                }
            }
            page
        })
        .await
    }

    /// Who may launch an image besides its owner.
    ///
    /// # Errors
    ///
    /// When EC2 cannot be asked, or names somebody in a form that is not known.
    pub async fn permissions(&self, ami: &AmiId) -> anyhow::Result<BTreeSet<Permission>> {
        let send = || {
            self.ec2
                .describe_image_attribute()
                .image_id(ami.as_str())
                .attribute(ec2::ImageAttributeName::LaunchPermission)
                .send()
        };
        let answer = self
            .patiently("ec2", "DescribeImageAttribute", send)
            .await?;
        answer
            .launch_permissions
            .unwrap_or_default()
            .iter()
            .map(permission)
            .collect()
    }

    /// The accounts that may use a snapshot, `all` for everybody.
    ///
    /// # Errors
    ///
    /// When EC2 cannot be asked.
    pub async fn snapshot_sharing(&self, id: &SnapshotId) -> anyhow::Result<BTreeSet<String>> {
        let send = || {
            self.ec2
                .describe_snapshot_attribute()
                .snapshot_id(&id.0)
                .attribute(ec2::SnapshotAttributeName::CreateVolumePermission)
                .send()
        };
        let answer = self
            .patiently("ec2", "DescribeSnapshotAttribute", send)
            .await?;
        let list = answer.create_volume_permissions.unwrap_or_default();
        Ok(list
            .into_iter()
            .map(|one| match (one.user_id, one.group) {
                (Some(account), _) => account,
                (None, Some(group)) => group.as_str().to_owned(),
                (None, None) => "somebody that AWS does not name".to_owned(),
            })
            .collect())
    }

    /// What `DescribeImageReferences` says of these images, ten a request:
    /// every resource type, every version of launch templates, instances in
    /// every state but terminated.
    ///
    /// # Errors
    ///
    /// When any page of any answer cannot be read.
    pub async fn second_opinion(
        &self,
        images: &[AmiId],
    ) -> anyhow::Result<BTreeMap<AmiId, Vec<Referrer>>> {
        let mut found: BTreeMap<AmiId, Vec<Referrer>> = BTreeMap::new();
        for ten in images.chunks(10) {
            let ids: Vec<String> = ten.iter().map(ToString::to_string).collect();
            let types = kinds();
            let ask = |token| {
                self.ec2
                    .describe_image_references()
                    .set_image_ids(Some(ids.clone()))
                    .set_resource_types(Some(types.clone()))
                    .max_results(1000)
                    .set_next_token(token)
                    .send()
            };
            let list = self
                .listing("ec2", "DescribeImageReferences", ask, |answer| {
                    Page::of(
                        answer.image_references.unwrap_or_default(),
                        answer.next_token,
                    )
                })
                .await;
            if let Some(why) = list.incomplete {
                anyhow::bail!("The second opinion is not complete: {why}");
            }
            for ami in ten {
                found.entry(ami.clone()).or_default();
            }
            for reference in list.items {
                let id = reference.image_id.unwrap_or_default();
                if let Some(list) = AmiId::parse(&id).ok().and_then(|ami| found.get_mut(&ami)) {
                    list.push(Referrer {
                        resource_type: reference
                            .resource_type
                            .map(|kind| kind.as_str().to_owned())
                            .unwrap_or_default(),
                        arn: reference.arn.unwrap_or_default(),
                    });
                }
            }
        }
        Ok(found)
    }

    /// The images of instances in every state but terminated.
    pub(super) async fn instance_references(&self) -> Listing<Reference> {
        let ask = |token| {
            self.ec2
                .describe_instances()
                .max_results(1000)
                .set_next_token(token)
                .send()
        };
        self.listing("ec2", "DescribeInstances", ask, |answer| {
            let reservations = answer.reservations.unwrap_or_default();
            let instances = reservations
                .into_iter()
                .flat_map(|reservation| reservation.instances.unwrap_or_default());
            let references = instances.filter_map(|instance| {
                let state = instance.state.and_then(|state| state.name);
                let state = state.as_ref().map_or("unknown", |name| name.as_str());
                (state != "terminated").then(|| Reference {
                    target: Target::of_image_id(instance.image_id.as_deref().unwrap_or_default()),
                    evidence: Evidence::Instance {
                        id: instance.instance_id.clone().unwrap_or_default(),
                        state: state.to_owned(),
                    },
                })
            });
            Page::of(references.collect(), answer.next_token)
        })
        .await
    }

    /// The snapshots that volumes were made from.
    pub(super) async fn volume_references(&self) -> Listing<Reference> {
        let ask = |token| {
            self.ec2
                .describe_volumes()
                .max_results(500)
                .set_next_token(token)
                .send()
        };
        self.listing("ec2", "DescribeVolumes", ask, |answer| {
            let volumes = answer.volumes.unwrap_or_default();
            let references = volumes.into_iter().filter_map(|volume| {
                let created = time(volume.create_time.as_ref());
                let snapshot = volume.snapshot_id.filter(|id| !id.is_empty())?;
                Some(Reference {
                    target: Target::Snapshot(SnapshotId(snapshot)),
                    evidence: Evidence::Volume {
                        id: volume.volume_id.unwrap_or_default(),
                        created,
                    },
                })
            });
            Page::of(references.collect(), answer.next_token)
        })
        .await
    }
}

/// Every resource type that AWS can look for references in. It has no word for
/// "all, and every version of launch templates": naming them is that.
fn kinds() -> Vec<ec2::ResourceTypeRequest> {
    use ec2::{ImageReferenceOptionName as Name, ImageReferenceResourceType as Kind};
    let option = |name: Name, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        ec2::ResourceTypeOption::builder()
            .option_name(name)
            .set_option_values(Some(values))
            .build()
    };
    let living = ["pending", "running", "shutting-down", "stopping", "stopped"];
    [
        (Kind::Ec2Instance, Some(option(Name::StateName, &living))),
        (
            Kind::Ec2LaunchTemplate,
            Some(option(Name::VersionDepth, &["10000"])),
        ),
        (Kind::SsmParameter, None),
        (Kind::ImageBuilderImageRecipe, None),
        (Kind::ImageBuilderContainerRecipe, None),
    ]
    .into_iter()
    .map(|(kind, option)| {
        ec2::ResourceTypeRequest::builder()
            .resource_type(kind)
            .set_resource_type_options(option.map(|option| vec![option]))
            .build()
    })
    .collect()
}

fn read_image(image: &ec2::Image) -> Result<Image, String> {
    let id = image.image_id.as_deref().unwrap_or_default();
    let ami =
        AmiId::parse(id).map_err(|why| format!("EC2 lists an image whose id is strange: {why}"))?;
    let state = image
        .state
        .as_ref()
        .map_or("", |state| state.as_str())
        .to_owned();
    let devices = image.block_device_mappings.iter().flatten();
    let snapshots = devices
        .filter_map(|device| device.ebs.as_ref()?.snapshot_id.clone())
        .map(SnapshotId)
        .collect();
    let mut permissions = BTreeSet::new();
    if image.public == Some(true) {
        permissions.insert(Permission::Everybody);
    }
    Ok(Image {
        name: image.name.clone().unwrap_or_default(),
        state: ImageState::of(&state),
        created: time_of(image.creation_date.as_deref()),
        last_launched: time_of(image.last_launched_time.as_deref()),
        deprecated: time_of(image.deprecation_time.as_deref()),
        protection: image
            .deregistration_protection
            .clone()
            .filter(|word| !word.is_empty() && word != "disabled"),
        permissions,
        source: image
            .source_image_id
            .as_deref()
            .and_then(|id| AmiId::parse(id).ok()),
        snapshots,
        tags: tags(image.tags.as_deref()),
        ami,
    })
}

fn read_snapshot(snapshot: ec2::Snapshot) -> Option<Snapshot> {
    let tags = tags(snapshot.tags.as_deref());
    let whole = u64::try_from(snapshot.volume_size.unwrap_or(0)).unwrap_or(0) << 30;
    let description = snapshot.description.unwrap_or_default();
    // AWS Backup tags what it makes; EC2 refuses to delete such a snapshot.
    let backup = tags.keys().any(|key| key.starts_with("aws:backup:"))
        || description.starts_with("This snapshot is created by the AWS Backup service");
    Some(Snapshot {
        id: SnapshotId(snapshot.snapshot_id.filter(|id| !id.is_empty())?),
        created: time(snapshot.start_time.as_ref()),
        bytes: snapshot
            .full_snapshot_size_in_bytes
            .and_then(|bytes| u64::try_from(bytes).ok())
            .filter(|bytes| *bytes > 0)
            .unwrap_or(whole),
        tags,
        shared_with: BTreeSet::new(),
        backup,
        locked: None,
    })
}

fn permission(one: &ec2::LaunchPermission) -> anyhow::Result<Permission> {
    let text = one
        .user_id
        .as_deref()
        .or(one.group.as_ref().map(|group| group.as_str()))
        .or(one.organization_arn.as_deref())
        .or(one.organizational_unit_arn.as_deref())
        .unwrap_or_default();
    Permission::parse(text).with_context(|| {
        format!("EC2 names a launch permission of a kind that is not known here: `{text}`")
    })
}

fn tags(tags: Option<&[ec2::Tag]>) -> BTreeMap<String, String> {
    tags.unwrap_or_default()
        .iter()
        .filter_map(|tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default())))
        .collect()
}
