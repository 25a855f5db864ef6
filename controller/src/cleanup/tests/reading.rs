use amid_testkit::cloud::NewGroup;
use amid_testkit::cloud::estate::{
    Fleet, LoneInstance, Mixed, Refresh, SpotRequest, TemplateVersion,
};

use super::*;

fn group(cloud: &mut Cloud, name: &str, template: &str, size: u32) {
    let new = NewGroup {
        name: name.to_owned(),
        template: template.to_owned(),
        min: size,
        max: 1,
        desired: size,
        target_groups: Vec::new(),
        tags: BTreeMap::new(),
    };
    cloud.create_group(new, Timestamp::now()).unwrap();
}

/// Adds versions to a template: the first is older, the given one is the last.
fn versions(cloud: &mut Cloud, template: &str, images: &[&str]) {
    let versions = images
        .iter()
        .enumerate()
        .map(|(at, image)| TemplateVersion {
            number: u32::try_from(at).unwrap() + 2,
            image: (*image).to_owned(),
            created: Timestamp::now(),
            default: false,
        });
    cloud
        .estate
        .versions
        .insert(template.to_owned(), versions.collect());
}

/// What it is called, how it is planted, and the label that keeps the image.
type Plant = (&'static str, fn(&mut Cloud), &'static str);

const PLANTS: &[Plant] = &[
    (
        "a stopped instance",
        |cloud| {
            let instance = LoneInstance {
                image: OLD.to_owned(),
                state: "stopped".to_owned(),
            };
            cloud.estate.instances.insert("i-9".to_owned(), instance);
        },
        "instances",
    ),
    (
        "the first version of a launch template",
        |cloud| {
            let id = template(cloud, "t", OLD);
            versions(cloud, &id, &[USED, USED, USED]);
        },
        "launch_templates",
    ),
    (
        "a version in the middle",
        |cloud| {
            let id = template(cloud, "t", USED);
            versions(cloud, &id, &[USED, OLD, USED]);
        },
        "launch_templates",
    ),
    (
        "the latest version",
        |cloud| {
            let id = template(cloud, "t", USED);
            versions(cloud, &id, &[OLD]);
        },
        "launch_templates",
    ),
    (
        "a version that asks an SSM parameter",
        |cloud| {
            template(cloud, "t", "resolve:ssm:/golden:1");
            cloud
                .estate
                .parameters
                .insert("/golden".to_owned(), OLD.to_owned());
        },
        "launch_templates",
    ),
    (
        "a launch configuration",
        |cloud| {
            cloud
                .estate
                .configurations
                .insert("lc".to_owned(), OLD.to_owned());
        },
        "launch_configurations",
    ),
    (
        "an override of a mixed instances policy with a template",
        |cloud| {
            let base = template(cloud, "base", USED);
            let other = template(cloud, "other", OLD);
            group(cloud, "g", &base, 0);
            let mixed = Mixed {
                template: (base, "1".to_owned()),
                templates: vec![(other, "$Latest".to_owned())],
                images: Vec::new(),
            };
            cloud.estate.mixed.insert("g".to_owned(), mixed);
        },
        "groups",
    ),
    (
        "an override of a mixed instances policy with an image",
        |cloud| {
            let base = template(cloud, "base", USED);
            group(cloud, "g", &base, 0);
            let mixed = Mixed {
                template: (base, "1".to_owned()),
                templates: Vec::new(),
                images: vec![OLD.to_owned()],
            };
            cloud.estate.mixed.insert("g".to_owned(), mixed);
        },
        "groups",
    ),
    (
        "an instance refresh that is under way",
        |cloud| {
            let base = template(cloud, "base", USED);
            let next = template(cloud, "next", OLD);
            group(cloud, "g", &base, 0);
            let refresh = Refresh {
                status: "InProgress".to_owned(),
                desired: (next, "1".to_owned()),
            };
            cloud.estate.refreshes.insert("g".to_owned(), vec![refresh]);
        },
        "instance_refreshes",
    ),
    (
        "a warm pool",
        |cloud| {
            let base = template(cloud, "base", OLD);
            group(cloud, "g", &base, 0);
            cloud
                .estate
                .warm_pools
                .insert("g".to_owned(), vec!["i-8".to_owned()]);
        },
        "warm_pools",
    ),
    (
        "a spot fleet",
        |cloud| {
            let fleet = Fleet {
                state: "active".to_owned(),
                templates: Vec::new(),
                images: vec![OLD.to_owned()],
            };
            cloud.estate.spot_fleets.insert("sfr-1".to_owned(), fleet);
        },
        "spot_fleets",
    ),
    (
        "a spot request that waits for an instance",
        |cloud| {
            let request = SpotRequest {
                state: "open".to_owned(),
                image: OLD.to_owned(),
            };
            let requests = &mut cloud.estate.spot_requests;
            requests.insert("sir-1".to_owned(), request);
        },
        "spot_fleets",
    ),
    (
        "a fleet with a template",
        |cloud| {
            let id = template(cloud, "t", OLD);
            let fleet = Fleet {
                state: "active".to_owned(),
                templates: vec![(id, "1".to_owned())],
                images: Vec::new(),
            };
            cloud.estate.fleets.insert("fleet-1".to_owned(), fleet);
        },
        "fleets",
    ),
    (
        "a fleet with an image of its own",
        |cloud| {
            let fleet = Fleet {
                state: "active".to_owned(),
                templates: Vec::new(),
                images: vec![OLD.to_owned()],
            };
            cloud.estate.fleets.insert("fleet-1".to_owned(), fleet);
        },
        "fleets",
    ),
    (
        "an SSM parameter among others",
        |cloud| {
            for at in 0..60 {
                let name = format!("/a/{at:02}");
                cloud.estate.parameters.insert(name, "nothing".to_owned());
            }
            cloud
                .estate
                .parameters
                .insert("/z".to_owned(), format!("current={OLD}"));
        },
        "parameters",
    ),
    (
        "a base of a kept image",
        |cloud| {
            let image = cloud.images.get_mut(USED).unwrap();
            let tags = &mut image.details.tags;
            tags.insert("amid:base".to_owned(), OLD.to_owned());
        },
        "base",
    ),
    (
        "a tag",
        |cloud| {
            let image = cloud.images.get_mut(OLD).unwrap();
            let tags = &mut image.details.tags;
            tags.insert("amid:keep".to_owned(), "for the audit".to_owned());
        },
        "protected",
    ),
    (
        "deregistration protection",
        |cloud| cloud.images.get_mut(OLD).unwrap().details.protected = true,
        "deregistration_protection",
    ),
    (
        "an account that is not read",
        |cloud| {
            let image = cloud.images.get_mut(OLD).unwrap();
            image.details.shared = vec!["999999999999".to_owned()];
        },
        "shared_outside",
    ),
    (
        "everybody",
        |cloud| {
            let image = cloud.images.get_mut(OLD).unwrap();
            image.details.shared = vec!["all".to_owned()];
        },
        "shared_outside",
    ),
    (
        "a claim that does not fit",
        |cloud| cloud.images.get_mut(OLD).unwrap().name = "base-7".to_owned(),
        "unclaimed",
    ),
];

#[tokio::test]
async fn every_user_of_an_image_keeps_it() {
    for (what, plant, label) in PLANTS {
        let world = World::new(plant);
        let before = world.cloud();
        let cleaning = world.decide().await;
        assert_eq!(cleaning.blockers, [], "{what}");
        let found = labels(&cleaning, OLD);
        assert!(found.contains(label), "{what}: {found:?}");
        let (_, performed) = world.run().await;
        assert!(performed.done.is_empty(), "{what}: {:?}", performed.done);
        assert_eq!(world.cloud(), before, "{what}");
    }
    // And without any of them it goes.
    let world = World::new(|_| {});
    assert!(labels(&world.decide().await, OLD).is_empty());
}

#[tokio::test]
async fn a_fleet_that_is_over_and_a_terminated_instance_keep_nothing() {
    let world = World::new(|cloud| {
        let instance = LoneInstance {
            image: OLD.to_owned(),
            state: "terminated".to_owned(),
        };
        cloud.estate.instances.insert("i-9".to_owned(), instance);
        let over = |state: &str| Fleet {
            state: state.to_owned(),
            templates: Vec::new(),
            images: vec![OLD.to_owned()],
        };
        cloud
            .estate
            .fleets
            .insert("fleet-1".to_owned(), over("deleted"));
        cloud
            .estate
            .spot_fleets
            .insert("sfr-1".to_owned(), over("cancelled"));
        let request = SpotRequest {
            state: "closed".to_owned(),
            image: OLD.to_owned(),
        };
        let requests = &mut cloud.estate.spot_requests;
        requests.insert("sir-1".to_owned(), request);
    });
    assert!(labels(&world.decide().await, OLD).is_empty());
}

#[tokio::test]
async fn a_parameter_that_holds_no_image_lets_the_run_only_report() {
    let world = World::new(|cloud| {
        template(cloud, "t", "resolve:ssm:/golden");
        cloud
            .estate
            .parameters
            .insert("/golden".to_owned(), "soon".to_owned());
    });
    let (cleaning, performed) = world.run().await;
    let labels: Vec<_> = cleaning.blockers.iter().map(|one| one.label()).collect();
    assert_eq!(labels, ["unresolved"]);
    assert!(performed.done.is_empty());
}

/// As many requests as there are pages, and ten images in one second opinion.
#[tokio::test]
async fn requests_are_as_many_as_pages() {
    let world = World::new(|cloud| {
        let long_ago = Timestamp::now() - SignedDuration::from_hours(24 * 100);
        for at in 0..2_500 {
            let ami = format!("ami-1{at:016x}");
            cloud.add_image_with_snapshot(&ami, &format!("app-x{at}"), long_ago, &[("a", "b")]);
            if at % 5 == 0 {
                template(cloud, &format!("t{at}"), &ami);
            }
        }
    });
    world.standin.reset_counts();
    let cleaning = world.decide().await;
    let counts = world.standin.counts();
    let expect = |action: &str, requests: u64| {
        assert_eq!(counts.get(action), Some(&requests), "{action}: {counts:?}");
    };
    expect("DescribeImages", 3);
    expect("DescribeSnapshots", 3);
    expect("DescribeLaunchTemplates", 3);
    // Each template has one version, which is the default and the latest.
    expect("DescribeLaunchTemplateVersions", 3);
    expect("DescribeInstances", 1);
    expect("DescribeVolumes", 1);
    expect("DescribeAutoScalingGroups", 1);
    let about_to_go = u64::from(world.policy.breakers.max_images);
    assert_eq!(cleaning.actions.len() as u64, about_to_go);
    expect("DescribeImageReferences", about_to_go.div_ceil(10));
    expect("DescribeImageAttribute", about_to_go);
}
