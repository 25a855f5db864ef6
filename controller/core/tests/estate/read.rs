//! Reads the truth as the adapters do: lists, each of which can fail.

use std::collections::BTreeMap;

use amid_core::model::{AppName, CommitId};
use amid_core::retention::{
    Circumstances, CopiedImage, Elsewhere, Evidence, Image, ImageState, Inventory, Listing, Place,
    Reference, References, Referrer, Snapshot, SnapshotId, Source, Target,
};
use jiff::Timestamp;

use super::truth::{ACCOUNTS, HERE, Point, State, THERE, Thing, Truth, ami, copy, disk_id};

pub fn place(place: usize) -> Place {
    Place {
        account: ACCOUNTS[place].to_owned(),
        region: "eu-central-1".to_owned(),
    }
}

pub fn commit(n: usize) -> CommitId {
    CommitId::parse(&format!("{n:040x}")).unwrap()
}

/// Everything, read well.
pub fn read(truth: &Truth, now: Timestamp) -> Inventory {
    Inventory {
        place: place(HERE),
        taken_at: now,
        images: Listing::complete(images(truth)),
        snapshots: Listing::complete(snapshots(truth)),
        references: references(truth, HERE, Source::ALL),
        elsewhere: vec![Elsewhere {
            place: place(THERE),
            copies: Listing::complete(copies(truth)),
            references: references(truth, THERE, Source::ELSEWHERE),
        }],
        second_opinion: BTreeMap::new(),
        circumstances: Circumstances::default(),
    }
}

pub fn images(truth: &Truth) -> Vec<Image> {
    let images = truth.images.iter().enumerate();
    images
        .filter(|(_, image)| !image.gone)
        .map(|(n, image)| Image {
            ami: ami(n),
            name: image.name.clone(),
            state: match image.state {
                State::Pending => ImageState::Pending,
                State::Available => ImageState::Available,
                State::Disabled => ImageState::Disabled,
                State::Failed => ImageState::Failed,
            },
            created: Some(image.created),
            last_launched: image.launched,
            deprecated: image.deprecated,
            protection: image.protected.then(|| "enabled".to_owned()),
            permissions: image.permissions.clone(),
            source: image.base.filter(|_| image.base_by_aws).map(ami),
            snapshots: image
                .disks
                .iter()
                .map(|n| SnapshotId(disk_id(*n)))
                .collect(),
            tags: image.tags.clone(),
        })
        .collect()
}

pub fn snapshots(truth: &Truth) -> Vec<Snapshot> {
    let disks = truth.disks.iter().enumerate();
    disks
        .filter(|(_, disk)| !disk.gone)
        .map(|(n, disk)| Snapshot {
            id: SnapshotId(disk_id(n)),
            created: Some(disk.created),
            bytes: 1 << 30,
            tags: disk.tags.clone(),
            shared_with: disk
                .shared
                .then(|| "444444444444".to_owned())
                .into_iter()
                .collect(),
            backup: disk.backup,
            locked: disk.locked.then(|| "compliance".to_owned()),
        })
        .collect()
}

pub fn copies(truth: &Truth) -> Vec<CopiedImage> {
    let copied = |n: &usize| CopiedImage {
        ami: copy(*n),
        of: ami(*n),
    };
    truth.copies.iter().map(copied).collect()
}

pub fn references(truth: &Truth, place: usize, sources: &[Source]) -> References {
    References {
        lists: sources
            .iter()
            .map(|source| (*source, Listing::complete(list(truth, place, *source))))
            .collect(),
        parameters: parameters(truth, place),
    }
}

fn parameters(truth: &Truth, place: usize) -> BTreeMap<String, Option<amid_core::model::AmiId>> {
    truth
        .parameters
        .iter()
        .filter(|(_, (at, _))| *at == place)
        .map(|(name, (_, point))| {
            let ami = match target(point) {
                Target::Image(ami) => Some(ami),
                _ => None,
            };
            (name.clone(), ami)
        })
        .collect()
}

pub fn list(truth: &Truth, place: usize, source: Source) -> Vec<Reference> {
    match source {
        Source::LaunchTemplates => templates(truth, place),
        Source::Parameters => truth
            .parameters
            .iter()
            .filter(|(_, (at, _))| *at == place)
            .map(|(name, (_, point))| Reference {
                target: target(point),
                evidence: Evidence::Parameter {
                    name: name.clone(),
                    version: None,
                },
            })
            .collect(),
        Source::Branches => branches(truth),
        Source::History => history(truth),
        Source::GitTags => truth
            .git_tags
            .iter()
            .map(|(tag, image)| Reference {
                target: Target::Image(ami(*image)),
                evidence: Evidence::GitTag {
                    tag: tag.clone(),
                    commit: commit(*image),
                    path: "desired/app.json".to_owned(),
                },
            })
            .collect(),
        _ => truth
            .things
            .iter()
            .filter(|thing| thing.source == source && thing.place == place)
            .map(|thing| Reference {
                target: target(&thing.point),
                evidence: evidence(thing),
            })
            .collect(),
    }
}

fn target(point: &Point) -> Target {
    match point {
        Point::Image(n) => Target::of_image_id(ami(*n).as_str()),
        Point::Copy(n) => Target::of_image_id(copy(*n).as_str()),
        Point::Parameter(name) => Target::of_image_id(&format!("resolve:ssm:{name}")),
        Point::Template(t, pin) => Target::Template {
            template: if t % 2 == 0 {
                format!("lt-{t:08x}")
            } else {
                format!("template-{t}")
            },
            version: match pin {
                super::truth::Pin::Default => None,
                super::truth::Pin::Latest => Some("$Latest".to_owned()),
                super::truth::Pin::Number(n) => Some(n.to_string()),
            },
        },
        Point::Disk(n) => Target::Snapshot(SnapshotId(disk_id(*n))),
        Point::Foreign => Target::of_image_id("ami-0f3a9c2b7d1e48a60"),
        Point::Nothing => Target::Nothing,
    }
}

fn evidence(thing: &Thing) -> Evidence {
    let id = format!("{}-{}", thing.source.label(), thing.id);
    match thing.source {
        Source::LaunchConfigurations => Evidence::LaunchConfiguration { name: id },
        Source::Groups => Evidence::Group {
            name: id,
            part: "override m7g.large".to_owned(),
        },
        Source::InstanceRefreshes => Evidence::InstanceRefresh {
            group: id.clone(),
            id,
            rollback: false,
        },
        Source::WarmPools => Evidence::WarmPool {
            group: id.clone(),
            instance: id,
        },
        Source::SpotFleets => Evidence::SpotFleet { id },
        Source::Fleets => Evidence::Fleet { id },
        Source::Volumes => Evidence::Volume {
            id,
            created: Some(thing.created),
        },
        Source::TerraformState => Evidence::TerraformState {
            unit: "live/app".to_owned(),
            address: id,
            status: Some("deposed 0a1b2c3d".to_owned()),
        },
        _ => Evidence::Instance {
            id,
            state: "stopped".to_owned(),
        },
    }
}

fn templates(truth: &Truth, place: usize) -> Vec<Reference> {
    let mut list = Vec::new();
    for (t, tpl) in truth.templates.iter().enumerate() {
        if tpl.place != place {
            continue;
        }
        for (version, point, created) in &tpl.versions {
            list.push(Reference {
                target: target(point),
                evidence: Evidence::TemplateVersion {
                    template: format!("lt-{t:08x}"),
                    name: format!("template-{t}"),
                    version: *version,
                    default: *version == tpl.default,
                    latest: *version == tpl.latest(),
                    created: Some(*created),
                },
            });
        }
    }
    list
}

fn branches(truth: &Truth) -> Vec<Reference> {
    let mut list = Vec::new();
    for branch in &truth.branches {
        for image in &branch.names {
            list.push(Reference {
                target: Target::Image(ami(*image)),
                evidence: Evidence::Branch {
                    branch: branch.name.clone(),
                    accepted: false,
                    commit: commit(*image),
                    committed: Some(branch.committed),
                    path: "desired/app.json".to_owned(),
                },
            });
        }
    }
    list
}

/// From the newest change to the oldest, as a walk through git finds them.
fn history(truth: &Truth) -> Vec<Reference> {
    let mut list = Vec::new();
    let mut later: BTreeMap<usize, (u32, Option<Timestamp>)> = BTreeMap::new();
    for (n, change) in truth.changes.iter().enumerate().rev() {
        let (changes_since, until) = later.get(&change.app).copied().unwrap_or((0, None));
        list.push(Reference {
            target: Target::Image(ami(change.image)),
            evidence: Evidence::History {
                app: AppName::parse(&format!("app-{}", change.app)).unwrap(),
                commit: commit(n),
                path: format!("desired/app-{}.json", change.app),
                changes_since,
                until,
            },
        });
        later.insert(change.app, (changes_since + 1, Some(change.at)));
    }
    list
}

/// What `DescribeImageReferences` says of one image: instances, templates and
/// parameters of this account, whatever their age.
pub fn second_opinion(truth: &Truth, n: usize) -> Vec<Referrer> {
    let direct = |point: &Point| match point {
        Point::Image(image) => *image == n,
        Point::Parameter(name) => {
            matches!(truth.parameters.get(name), Some((_, Point::Image(image))) if *image == n)
        }
        _ => false,
    };
    let mut referrers = Vec::new();
    let mut add = |kind: &str, arn: String| {
        referrers.push(Referrer {
            resource_type: kind.to_owned(),
            arn: format!("arn:aws:ec2:eu-central-1:{}:{arn}", ACCOUNTS[HERE]),
        });
    };
    for thing in &truth.things {
        if thing.source == Source::Instances && thing.place == HERE && direct(&thing.point) {
            add("ec2:Instance", format!("instance/{}", thing.id));
        }
    }
    for (t, tpl) in truth.templates.iter().enumerate() {
        let names = tpl.versions.iter().any(|(_, point, _)| direct(point));
        if tpl.place == HERE && names {
            add("ec2:LaunchTemplate", format!("launch-template/lt-{t:08x}"));
        }
    }
    for (name, (at, point)) in &truth.parameters {
        if *at == HERE && direct(point) {
            add("ssm:Parameter", format!("parameter{name}"));
        }
    }
    referrers
}
