//! Who names an image: the sources, and what a reference names.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use super::evidence::Evidence;
use super::image::SnapshotId;
use crate::model::AmiId;

/// Where references are read from. Each one has to be read to its end before
/// anything is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Instances in every state but terminated.
    Instances,
    /// Every version of every launch template.
    LaunchTemplates,
    /// Every launch configuration.
    LaunchConfigurations,
    /// What Auto Scaling groups launch: template, mixed instances base and
    /// overrides, image ids in overrides.
    Groups,
    /// Instance refreshes under way, and what they would roll back to.
    InstanceRefreshes,
    /// Instances in warm pools.
    WarmPools,
    /// Spot Fleet requests, and Spot Instance requests by themselves.
    SpotFleets,
    /// EC2 Fleets.
    Fleets,
    /// SSM parameters whose value is an image.
    Parameters,
    /// Volumes made from an image's snapshot: builds under way.
    Volumes,
    /// Terraform's state of every unit, deposed and tainted objects too.
    TerraformState,
    /// Manifests at the head of every branch.
    Branches,
    /// Manifests in the revert window of the accepted branch.
    History,
    /// Manifests at git tags.
    GitTags,
}

impl Source {
    /// Every source, in the order in which people read about them.
    pub const ALL: &[Self] = &[
        Self::Instances,
        Self::LaunchTemplates,
        Self::LaunchConfigurations,
        Self::Groups,
        Self::InstanceRefreshes,
        Self::WarmPools,
        Self::SpotFleets,
        Self::Fleets,
        Self::Parameters,
        Self::Volumes,
        Self::TerraformState,
        Self::Branches,
        Self::History,
        Self::GitTags,
    ];

    /// What has to be read in another account or region.
    pub const ELSEWHERE: &[Self] = &[
        Self::Instances,
        Self::LaunchTemplates,
        Self::LaunchConfigurations,
        Self::Groups,
        Self::InstanceRefreshes,
        Self::WarmPools,
        Self::SpotFleets,
        Self::Fleets,
        Self::Parameters,
    ];

    /// For metrics and JSON.
    pub fn label(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::LaunchTemplates => "launch_templates",
            Self::LaunchConfigurations => "launch_configurations",
            Self::Groups => "groups",
            Self::InstanceRefreshes => "instance_refreshes",
            Self::WarmPools => "warm_pools",
            Self::SpotFleets => "spot_fleets",
            Self::Fleets => "fleets",
            Self::Parameters => "parameters",
            Self::Volumes => "volumes",
            Self::TerraformState => "terraform_state",
            Self::Branches => "branches",
            Self::History => "history",
            Self::GitTags => "git_tags",
        }
    }
}

impl Source {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::LaunchTemplates => "launch templates",
            Self::LaunchConfigurations => "launch configurations",
            Self::Groups => "Auto Scaling groups",
            Self::InstanceRefreshes => "instance refreshes",
            Self::WarmPools => "warm pools",
            Self::SpotFleets => "Spot requests and Spot Fleets",
            Self::Fleets => "EC2 Fleets",
            Self::Parameters => "SSM parameters",
            Self::Volumes => "volumes",
            Self::TerraformState => "terraform state",
            Self::Branches => "manifests on branches",
            Self::History => "manifests in the revert window",
            Self::GitTags => "manifests at git tags",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

/// Something names something: one line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// What is named.
    pub target: Target,
    /// By whom.
    pub evidence: Evidence,
}

/// What a reference names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// An image.
    Image(AmiId),
    /// An SSM parameter that holds an image: what follows `resolve:ssm:`,
    /// with its version or label if it has one.
    Parameter(String),
    /// A version of a launch template.
    Template {
        /// Its id or its name.
        template: String,
        /// A number, `$Latest` or `$Default`. `None` is the default version.
        version: Option<String>,
    },
    /// A snapshot: a block device of its own, or a volume made from it.
    Snapshot(SnapshotId),
    /// No image: a template version that leaves it to others.
    Nothing,
    /// A text that names an image in a form that is not known. The run only
    /// reports.
    Unreadable(String),
}

impl Target {
    /// Sorts the text of an `ImageId` field: an id, `resolve:ssm:…`, nothing.
    pub fn of_image_id(text: &str) -> Self {
        if text.is_empty() {
            return Self::Nothing;
        }
        if let Some(parameter) = text.strip_prefix("resolve:ssm:") {
            return Self::Parameter(parameter.to_owned());
        }
        AmiId::parse(text).map_or_else(|_| Self::Unreadable(text.to_owned()), Self::Image)
    }
}
