//! Spot Instance requests, Spot Fleet requests and EC2 Fleets.
//!
//! AWS shows no fleets of type `instant`: what such a fleet launched is seen as
//! instances, and it launches nothing again.

use amid_core::retention::{Evidence, Listing, Reference, SnapshotId, Target};
use aws_sdk_ec2::types as ec2;

use super::super::Aws;
use super::super::pages::Page;
use super::template;

impl Aws {
    /// What Spot requests of every sort name, as long as they may still launch
    /// something.
    pub(super) async fn spot_references(&self) -> Listing<Reference> {
        let mut fleets = self.spot_fleet_references().await;
        let requests = self.spot_request_references().await;
        fleets.items.extend(requests.items);
        fleets.incomplete = fleets.incomplete.or(requests.incomplete);
        fleets
    }

    /// A persistent request launches again when its instance was interrupted,
    /// also when no instance of it is there.
    async fn spot_request_references(&self) -> Listing<Reference> {
        let ask = |token| {
            self.ec2
                .describe_spot_instance_requests()
                .max_results(1000)
                .set_next_token(token)
                .send()
        };
        self.listing("ec2", "DescribeSpotInstanceRequests", ask, |answer| {
            let list = answer.spot_instance_requests.unwrap_or_default();
            let references = list.into_iter().flat_map(|request| {
                use ec2::SpotInstanceState as State;
                let ended = matches!(
                    request.state,
                    Some(State::Cancelled | State::Closed | State::Failed)
                );
                let evidence = Evidence::SpotRequest {
                    id: request.spot_instance_request_id.unwrap_or_default(),
                    state: request
                        .state
                        .as_ref()
                        .map_or("unknown", |state| state.as_str())
                        .to_owned(),
                };
                let launch = request.launch_specification.filter(|_| !ended);
                let targets = launch.map(|launch| {
                    let image = launch.image_id.as_deref().unwrap_or_default();
                    let devices = launch.block_device_mappings.iter().flatten();
                    let snapshots =
                        devices.filter_map(|device| device.ebs.as_ref()?.snapshot_id.clone());
                    let mut targets = vec![Target::of_image_id(image)];
                    targets.extend(snapshots.map(|id| Target::Snapshot(SnapshotId(id))));
                    targets
                });
                let targets = targets.unwrap_or_default().into_iter();
                targets.map(move |target| Reference {
                    target,
                    evidence: evidence.clone(),
                })
            });
            Page::of(references.collect(), answer.next_token)
        })
        .await
    }

    /// What Spot Fleet requests that may still launch something name.
    async fn spot_fleet_references(&self) -> Listing<Reference> {
        let ask = |token| {
            self.ec2
                .describe_spot_fleet_requests()
                .max_results(1000)
                .set_next_token(token)
                .send()
        };
        self.listing("ec2", "DescribeSpotFleetRequests", ask, |answer| {
            let list = answer.spot_fleet_request_configs.unwrap_or_default();
            let references = list.into_iter().flat_map(|fleet| {
                use ec2::BatchState as State;
                let ended = matches!(
                    fleet.spot_fleet_request_state,
                    Some(State::Cancelled | State::CancelledTerminatingInstances | State::Failed)
                );
                let evidence = Evidence::SpotFleet {
                    id: fleet.spot_fleet_request_id.unwrap_or_default(),
                };
                let config = fleet.spot_fleet_request_config.filter(|_| !ended);
                let targets = config
                    .map(|config| spot_targets(&config))
                    .unwrap_or_default();
                targets.into_iter().map(move |target| Reference {
                    target,
                    evidence: evidence.clone(),
                })
            });
            Page::of(references.collect(), answer.next_token)
        })
        .await
    }

    /// What EC2 Fleets that may still launch something name.
    pub(super) async fn fleet_references(&self) -> Listing<Reference> {
        let ask = |token| {
            self.ec2
                .describe_fleets()
                .max_results(100)
                .set_next_token(token)
                .send()
        };
        self.listing("ec2", "DescribeFleets", ask, |answer| {
            let references = answer
                .fleets
                .unwrap_or_default()
                .into_iter()
                .flat_map(|fleet| {
                    use ec2::FleetStateCode as State;
                    let ended = matches!(
                        fleet.fleet_state,
                        Some(State::Deleted | State::DeletedTerminatingInstances | State::Failed)
                    );
                    let evidence = Evidence::Fleet {
                        id: fleet.fleet_id.unwrap_or_default(),
                    };
                    let configs = fleet.launch_template_configs.unwrap_or_default();
                    let targets: Vec<Target> = match ended {
                        true => Vec::new(),
                        false => configs.iter().flat_map(fleet_targets).collect(),
                    };
                    targets.into_iter().map(move |target| Reference {
                        target,
                        evidence: evidence.clone(),
                    })
                });
            Page::of(references.collect(), answer.next_token)
        })
        .await
    }
}

fn fleet_targets(config: &ec2::FleetLaunchTemplateConfig) -> Vec<Target> {
    let mut targets = Vec::new();
    if let Some(one) = &config.launch_template_specification {
        targets.push(template(
            one.launch_template_id.as_deref(),
            one.launch_template_name.as_deref(),
            one.version.as_deref(),
        ));
    }
    for one in config.overrides.iter().flatten() {
        if let Some(image) = one.image_id.as_deref().filter(|id| !id.is_empty()) {
            targets.push(Target::of_image_id(image));
        }
        let devices = one.block_device_mappings.iter().flatten();
        let snapshots = devices.filter_map(|device| device.ebs.as_ref()?.snapshot_id.clone());
        targets.extend(snapshots.map(|id| Target::Snapshot(SnapshotId(id))));
    }
    targets
}

fn spot_targets(config: &ec2::SpotFleetRequestConfigData) -> Vec<Target> {
    let mut targets = Vec::new();
    for one in config.launch_specifications.iter().flatten() {
        targets.push(Target::of_image_id(
            one.image_id.as_deref().unwrap_or_default(),
        ));
        let devices = one.block_device_mappings.iter().flatten();
        let snapshots = devices.filter_map(|device| device.ebs.as_ref()?.snapshot_id.clone());
        targets.extend(snapshots.map(|id| Target::Snapshot(SnapshotId(id))));
    }
    for one in config.launch_template_configs.iter().flatten() {
        if let Some(one) = &one.launch_template_specification {
            targets.push(template(
                one.launch_template_id.as_deref(),
                one.launch_template_name.as_deref(),
                one.version.as_deref(),
            ));
        }
    }
    targets
}
