//! Reads what the cleaner has to know of an account and region: its images and
//! snapshots, and everything that names an image.
//!
//! Nothing here fails as a whole. Each list says whether it was read to its
//! end, and what cannot be understood makes its list incomplete: the decision
//! then only reports. Nothing here changes anything; that is [`super::retire`].

mod fleets;
mod groups;
mod images;
mod parameters;
mod templates;

pub use parameters::ParameterCache;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::primitives::DateTime;
use jiff::Timestamp;

use amid_core::retention::{Listing, Reference, References, Source, Target};

use super::Aws;

impl Aws {
    /// Everything that names images, one list after the other: this shares the
    /// account's limits with people and with terraform.
    pub async fn references(&self, cache: &ParameterCache) -> References {
        let mut lists: BTreeMap<Source, Listing<Reference>> = BTreeMap::new();
        lists.insert(Source::Instances, self.instance_references().await);
        lists.insert(Source::LaunchTemplates, self.template_references().await);
        lists.insert(
            Source::LaunchConfigurations,
            self.configuration_references().await,
        );
        let groups = self.group_references().await;
        lists.insert(
            Source::InstanceRefreshes,
            self.refresh_references(&groups).await,
        );
        lists.insert(Source::WarmPools, self.warm_pool_references(&groups).await);
        lists.insert(Source::Groups, groups.references);
        lists.insert(Source::SpotFleets, self.spot_references().await);
        lists.insert(Source::Fleets, self.fleet_references().await);
        lists.insert(Source::Parameters, self.parameter_references(cache).await);
        lists.insert(Source::Volumes, self.volume_references().await);
        let wanted: BTreeSet<&str> = lists
            .values()
            .flat_map(|list| &list.items)
            .filter_map(|reference| match &reference.target {
                Target::Parameter(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let parameters = self.resolve(&wanted).await;
        References { lists, parameters }
    }
}

/// A time of the SDK; `None` for one that is no time.
fn time(at: Option<&DateTime>) -> Option<Timestamp> {
    at.and_then(|at| Timestamp::from_second(at.secs()).ok())
}

/// A time as EC2 writes it into text fields.
fn time_of(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|text| text.parse().ok())
}

/// A launch template in a request or a group: its id, else its name.
fn template(id: Option<&str>, name: Option<&str>, version: Option<&str>) -> Target {
    match id.or(name).filter(|text| !text.is_empty()) {
        Some(template) => Target::Template {
            template: template.to_owned(),
            version: version.filter(|v| !v.is_empty()).map(ToOwned::to_owned),
        },
        None => Target::Unreadable("a launch template without id and name".to_owned()),
    }
}
