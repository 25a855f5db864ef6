//! The requests that take an image out of use, bring it back, or delete it.
//!
//! One request each, as [`Call`] names it; what to do and in which order was
//! decided elsewhere. A request that finds its work done already counts as
//! done: the run before may have been killed after it.

use std::collections::BTreeSet;

use amid_core::model::AmiId;
use amid_core::retention::{Call, Permission, Resource, SnapshotId};
use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types as ec2;

use super::{Aws, Outcome, code, outcome};

/// How the deletion of one snapshot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SnapshotResult {
    /// It is deleted.
    Deleted,
    /// Another image has it.
    Skipped,
    /// We may not delete it.
    MissingPermissions,
    /// AWS had a problem of its own.
    InternalError,
    /// AWS refuses: it is locked, or somebody else looks after it.
    ClientError,
    /// AWS said nothing of it.
    Unknown,
}

impl SnapshotResult {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Deleted,
        Self::Skipped,
        Self::MissingPermissions,
        Self::InternalError,
        Self::ClientError,
        Self::Unknown,
    ];

    /// For metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Skipped => "skipped",
            Self::MissingPermissions => "missing_permissions",
            Self::InternalError => "internal_error",
            Self::ClientError => "client_error",
            Self::Unknown => "unknown",
        }
    }

    fn of(code: Option<&ec2::SnapshotReturnCodes>) -> Self {
        use ec2::SnapshotReturnCodes as Code;
        match code {
            Some(Code::Success) => Self::Deleted,
            Some(Code::WarnSkipped) => Self::Skipped,
            Some(Code::ErrorMissingPermissions) => Self::MissingPermissions,
            Some(Code::ErrorCodeInternalError) => Self::InternalError,
            Some(Code::ErrorCodeClientError) => Self::ClientError,
            _ => Self::Unknown,
        }
    }
}

/// What one request came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Performed {
    /// Snapshots whose deletion was asked for, and how that ended.
    pub snapshots: Vec<(SnapshotId, SnapshotResult)>,
}

impl Aws {
    /// Sends one request.
    ///
    /// # Errors
    ///
    /// When AWS refuses or cannot be reached. [`is_throttled`] tells whether it
    /// only wants fewer requests.
    pub async fn perform(&self, call: &Call) -> anyhow::Result<Performed> {
        match call {
            Call::CreateTags { resources, tags } => {
                let tags = tags
                    .iter()
                    .map(|(key, value)| ec2::Tag::builder().key(key).value(value).build())
                    .collect();
                let answer = self
                    .ec2
                    .create_tags()
                    .set_resources(Some(ids(resources)))
                    .set_tags(Some(tags))
                    .send()
                    .await;
                self.counted("ec2", "CreateTags", answer)?;
            }
            Call::DeleteTags { resources, keys } => {
                // Without a value the tag goes whatever its value is.
                let tags = keys
                    .iter()
                    .map(|key| ec2::Tag::builder().key(key).build())
                    .collect();
                let answer = self
                    .ec2
                    .delete_tags()
                    .set_resources(Some(ids(resources)))
                    .set_tags(Some(tags))
                    .send()
                    .await;
                self.counted("ec2", "DeleteTags", answer)?;
            }
            Call::EnableDeprecation { ami, at } => {
                let answer = self
                    .ec2
                    .enable_image_deprecation()
                    .image_id(ami.as_str())
                    .deprecate_at(DateTime::from_secs(at.as_second()))
                    .send()
                    .await;
                self.counted("ec2", "EnableImageDeprecation", answer)?;
            }
            Call::DisableDeprecation { ami } => {
                let answer = self
                    .ec2
                    .disable_image_deprecation()
                    .image_id(ami.as_str())
                    .send()
                    .await;
                self.counted("ec2", "DisableImageDeprecation", answer)?;
            }
            Call::DisableImage { ami } => {
                let answer = self.ec2.disable_image().image_id(ami.as_str()).send().await;
                self.counted("ec2", "DisableImage", answer)?;
            }
            Call::EnableImage { ami } => {
                let answer = self.ec2.enable_image().image_id(ami.as_str()).send().await;
                self.counted("ec2", "EnableImage", answer)?;
            }
            Call::AddPermissions { ami, permissions } => {
                self.add_permissions(ami, permissions).await?;
            }
            Call::Deregister { ami, snapshots } => return self.deregister(ami, snapshots).await,
            Call::DeleteSnapshot { snapshot } => return self.delete_snapshot(snapshot).await,
        }
        Ok(Performed::default())
    }

    async fn add_permissions(
        &self,
        ami: &AmiId,
        permissions: &BTreeSet<Permission>,
    ) -> anyhow::Result<()> {
        let add = permissions.iter().map(|permission| {
            let one = ec2::LaunchPermission::builder();
            match permission {
                Permission::Account(id) => one.user_id(id),
                Permission::Everybody => one.group(ec2::PermissionGroup::All),
                Permission::Organization(arn) if arn.contains(":ou/") => {
                    one.organizational_unit_arn(arn)
                }
                Permission::Organization(arn) => one.organization_arn(arn),
            }
            .build()
        });
        let change = ec2::LaunchPermissionModifications::builder()
            .set_add(Some(add.collect()))
            .build();
        let answer = self
            .ec2
            .modify_image_attribute()
            .image_id(ami.as_str())
            .launch_permission(change)
            .send()
            .await;
        self.counted("ec2", "ModifyImageAttribute", answer)?;
        Ok(())
    }

    /// Deregisters an image and lets AWS delete its snapshots; each snapshot
    /// that AWS says nothing about is reported as unknown. AWS deletes all or
    /// none of them: where none is named, some have to stay.
    async fn deregister(&self, ami: &AmiId, snapshots: &[SnapshotId]) -> anyhow::Result<Performed> {
        let answer = self
            .ec2
            .deregister_image()
            .image_id(ami.as_str())
            .delete_associated_snapshots(!snapshots.is_empty())
            .send()
            .await;
        let results = match self.counted("ec2", "DeregisterImage", answer) {
            Ok(answer) => answer.delete_snapshot_results.unwrap_or_default(),
            // It is gone already; its snapshots are found as leftovers.
            Err(error) if is_missing(&error) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut told: Vec<(SnapshotId, SnapshotResult)> = results
            .into_iter()
            .filter_map(|one| {
                let result = SnapshotResult::of(one.return_code.as_ref());
                Some((SnapshotId(one.snapshot_id?), result))
            })
            .collect();
        for snapshot in snapshots {
            if !told.iter().any(|(id, _)| id == snapshot) {
                told.push((snapshot.clone(), SnapshotResult::Unknown));
            }
        }
        Ok(Performed { snapshots: told })
    }

    async fn delete_snapshot(&self, snapshot: &SnapshotId) -> anyhow::Result<Performed> {
        let answer = self
            .ec2
            .delete_snapshot()
            .snapshot_id(&snapshot.0)
            .send()
            .await;
        let result = match self.counted("ec2", "DeleteSnapshot", answer) {
            Ok(_) => SnapshotResult::Deleted,
            Err(error) => match code(&error).unwrap_or_default() {
                "InvalidSnapshot.NotFound" => SnapshotResult::Deleted,
                "InvalidSnapshot.InUse" => SnapshotResult::Skipped,
                "InternalError" | "InternalFailure" => SnapshotResult::InternalError,
                "" => return Err(error),
                other if outcome(other) == Outcome::Throttled => return Err(error),
                other if outcome(other) == Outcome::Denied => SnapshotResult::MissingPermissions,
                _ => {
                    tracing::warn!(%snapshot, "The snapshot {snapshot} cannot be deleted: {error:#}");
                    SnapshotResult::ClientError
                }
            },
        };
        Ok(Performed {
            snapshots: vec![(snapshot.clone(), result)],
        })
    }
}

/// Whether AWS only wants fewer requests.
pub fn is_throttled(error: &anyhow::Error) -> bool {
    outcome(code(error).unwrap_or_default()) == Outcome::Throttled
}

/// Whether AWS says that there is no such image any more.
pub fn is_missing(error: &anyhow::Error) -> bool {
    matches!(
        code(error),
        Some("InvalidAMIID.NotFound" | "InvalidAMIID.Unavailable")
    )
}

fn ids(resources: &[Resource]) -> Vec<String> {
    resources
        .iter()
        .map(|resource| match resource {
            Resource::Image(ami) => ami.to_string(),
            Resource::Snapshot(id) => id.0.clone(),
        })
        .collect()
}
