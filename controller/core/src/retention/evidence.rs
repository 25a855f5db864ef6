//! How one can see that an image is named.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reference::Source;
use crate::model::{AppName, CommitId};

/// How one can see that an image is named. Every field is there so that a
/// person finds the thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// An instance.
    Instance {
        /// Its id or ARN.
        id: String,
        /// Its state, such as `stopped`.
        state: String,
    },
    /// A version of a launch template.
    TemplateVersion {
        /// The template's id.
        template: String,
        /// The template's name.
        name: String,
        /// The version's number.
        version: u64,
        /// It is the default version.
        default: bool,
        /// It is the latest version.
        latest: bool,
        /// When it was made. `None` counts as just now.
        created: Option<Timestamp>,
    },
    /// A launch configuration.
    LaunchConfiguration {
        /// Its name or ARN.
        name: String,
    },
    /// An Auto Scaling group.
    Group {
        /// Its name or ARN.
        name: String,
        /// Where in the group, such as `launch template`, `override m7g.large`.
        part: String,
    },
    /// An instance refresh.
    InstanceRefresh {
        /// The group's name.
        group: String,
        /// The refresh's id.
        id: String,
        /// It is what the refresh would roll back to.
        rollback: bool,
    },
    /// An instance in a warm pool.
    WarmPool {
        /// The group's name.
        group: String,
        /// The instance's id.
        instance: String,
    },
    /// A Spot Fleet request.
    SpotFleet {
        /// Its id.
        id: String,
    },
    /// A Spot Instance request.
    SpotRequest {
        /// Its id.
        id: String,
        /// Its state, such as `open`.
        state: String,
    },
    /// An EC2 Fleet.
    Fleet {
        /// Its id.
        id: String,
    },
    /// An SSM parameter.
    Parameter {
        /// Its name.
        name: String,
        /// Its version.
        version: Option<i64>,
    },
    /// A volume made from a snapshot.
    Volume {
        /// Its id.
        id: String,
        /// When it was made. `None` counts as just now.
        created: Option<Timestamp>,
    },
    /// An object in terraform's state.
    TerraformState {
        /// The unit.
        unit: String,
        /// The object's address.
        address: String,
        /// Its deposed key or that it is tainted, as terraform words it.
        status: Option<String>,
    },
    /// A manifest at the head of a branch.
    Branch {
        /// The branch.
        branch: String,
        /// It is the branch that is deployed. Never weak.
        accepted: bool,
        /// Its newest commit.
        commit: CommitId,
        /// When that commit was made. `None` counts as just now.
        committed: Option<Timestamp>,
        /// The manifest.
        path: String,
    },
    /// A manifest in the history of the accepted branch.
    History {
        /// The app.
        app: AppName,
        /// The newest commit at which the manifest named the image.
        commit: CommitId,
        /// The manifest.
        path: String,
        /// How many times the manifest changed since: 0 for what it says now.
        changes_since: u32,
        /// When the manifest stopped to name it; `None` while it does.
        until: Option<Timestamp>,
    },
    /// A manifest at a git tag.
    GitTag {
        /// The tag.
        tag: String,
        /// Its commit.
        commit: CommitId,
        /// The manifest.
        path: String,
    },
}

impl Evidence {
    /// The source that such evidence is read from.
    pub fn source(&self) -> Source {
        match self {
            Self::Instance { .. } => Source::Instances,
            Self::TemplateVersion { .. } => Source::LaunchTemplates,
            Self::LaunchConfiguration { .. } => Source::LaunchConfigurations,
            Self::Group { .. } => Source::Groups,
            Self::InstanceRefresh { .. } => Source::InstanceRefreshes,
            Self::WarmPool { .. } => Source::WarmPools,
            Self::SpotFleet { .. } | Self::SpotRequest { .. } => Source::SpotFleets,
            Self::Fleet { .. } => Source::Fleets,
            Self::Parameter { .. } => Source::Parameters,
            Self::Volume { .. } => Source::Volumes,
            Self::TerraformState { .. } => Source::TerraformState,
            Self::Branch { .. } => Source::Branches,
            Self::History { .. } => Source::History,
            Self::GitTag { .. } => Source::GitTags,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance { id, state } => write!(f, "instance {id}, {state}"),
            Self::TemplateVersion {
                template,
                name,
                version,
                default,
                latest,
                ..
            } => {
                write!(f, "launch template `{name}` ({template}) version {version}")?;
                match (default, latest) {
                    (true, true) => f.write_str(", its default and latest"),
                    (true, false) => f.write_str(", its default"),
                    (false, true) => f.write_str(", its latest"),
                    (false, false) => Ok(()),
                }
            }
            Self::LaunchConfiguration { name } => write!(f, "launch configuration `{name}`"),
            Self::Group { name, part } => write!(f, "group `{name}`, {part}"),
            Self::InstanceRefresh {
                group,
                id,
                rollback,
            } => {
                let side = if *rollback {
                    "rolls back to"
                } else {
                    "rolls to"
                };
                write!(f, "instance refresh {id} of group `{group}` {side} it")
            }
            Self::WarmPool { group, instance } => {
                write!(f, "instance {instance} in the warm pool of `{group}`")
            }
            Self::SpotFleet { id } => write!(f, "Spot Fleet request {id}"),
            Self::SpotRequest { id, state } => write!(f, "Spot Instance request {id}, {state}"),
            Self::Fleet { id } => write!(f, "EC2 Fleet {id}"),
            Self::Parameter { name, version } => match version {
                Some(version) => write!(f, "SSM parameter `{name}` version {version}"),
                None => write!(f, "SSM parameter `{name}`"),
            },
            Self::Volume { id, .. } => write!(f, "volume {id}, made from its snapshot"),
            Self::TerraformState {
                unit,
                address,
                status,
            } => {
                write!(f, "terraform state of `{unit}`: {address}")?;
                match status {
                    Some(status) => write!(f, ", {status}"),
                    None => Ok(()),
                }
            }
            Self::Branch {
                branch,
                commit,
                path,
                ..
            } => write!(f, "{path} on branch `{branch}` at {}", commit.short()),
            Self::History {
                commit,
                path,
                changes_since,
                until,
                ..
            } => match until {
                Some(until) => write!(
                    f,
                    "{path} until {until:.0}, last at {}, changes since: {changes_since}",
                    commit.short()
                ),
                None => write!(f, "{path} at {}", commit.short()),
            },
            Self::GitTag { tag, commit, path } => {
                write!(f, "{path} at git tag `{tag}`, {}", commit.short())
            }
        }
    }
}
