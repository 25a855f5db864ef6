use amid_core::retention::{ActionKind, Wait};
use amid_testkit::proxy::{Fault, FaultKind};

use super::*;

/// Every list that a run reads, by service and action.
const LISTS: &[(&str, &str)] = &[
    ("ec2", "DescribeImages"),
    ("ec2", "DescribeSnapshots"),
    ("ec2", "DescribeInstances"),
    ("ec2", "DescribeVolumes"),
    ("ec2", "DescribeLaunchTemplates"),
    ("ec2", "DescribeLaunchTemplateVersions"),
    ("autoscaling", "DescribeLaunchConfigurations"),
    ("autoscaling", "DescribeAutoScalingGroups"),
    ("autoscaling", "DescribeInstanceRefreshes"),
    ("autoscaling", "DescribeWarmPool"),
    ("ec2", "DescribeFleets"),
    ("ec2", "DescribeSpotFleetRequests"),
    ("ec2", "DescribeSpotInstanceRequests"),
    ("ec2", "DescribeImageReferences"),
    ("ec2", "DescribeImageAttribute"),
    ("ssm", "DescribeParameters"),
    ("ssm", "GetParameters"),
];

fn world() -> World {
    World::new(|cloud| {
        let id = template(cloud, "group", USED);
        let new = amid_testkit::cloud::NewGroup {
            name: "group".to_owned(),
            template: id,
            min: 1,
            max: 1,
            desired: 1,
            target_groups: Vec::new(),
            tags: BTreeMap::new(),
        };
        cloud.create_group(new, Timestamp::now()).unwrap();
        cloud
            .estate
            .warm_pools
            .insert("group".to_owned(), vec!["i-1".to_owned()]);
        cloud
            .estate
            .parameters
            .insert("/ami".to_owned(), USED.to_owned());
    })
}

fn fault(service: &str, action: &str, kind: FaultKind, times: Option<u32>) -> Fault {
    Fault {
        service: service.to_owned(),
        action: action.to_owned(),
        naming: None,
        times,
        kind,
    }
}

#[tokio::test]
async fn nothing_goes_when_any_list_breaks_off_in_its_middle() {
    for (service, action) in LISTS {
        for kind in [
            FaultKind::CutBody,
            FaultKind::Status(500),
            FaultKind::Status(403),
        ] {
            let world = world();
            let before = world.cloud();
            world
                .standin
                .rules()
                .fault(fault(service, action, kind, None));
            let (cleaning, performed) = world.run().await;
            let labels: Vec<_> = cleaning.blockers.iter().map(|one| one.label()).collect();
            assert!(
                labels.contains(&"incomplete"),
                "{action} {kind:?}: {labels:?}"
            );
            assert!(performed.done.is_empty());
            assert_eq!(world.cloud(), before, "{action} {kind:?}");
            // And with the fault gone it goes on.
            world.standin.rules().clear_faults();
            let (cleaning, _) = world.run().await;
            assert_eq!(
                verdict(&cleaning, OLD).action,
                Some(ActionKind::Mark),
                "{action}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_goes_when_a_page_comes_again_and_again() {
    // Those that have one request for one thing have no pages.
    let no_pages = [
        "DescribeImageAttribute",
        "DescribeParameters",
        "GetParameters",
    ];
    for (service, action) in LISTS
        .iter()
        .filter(|(_, action)| !no_pages.contains(action))
    {
        let world = world();
        let before = world.cloud();
        world
            .standin
            .rules()
            .fault(fault(service, action, FaultKind::RepeatPage, None));
        let (cleaning, _) = world.run().await;
        let blocker = cleaning.blockers.first().map(ToString::to_string);
        let blocker = blocker.unwrap_or_default();
        assert!(blocker.contains("repeats a page"), "{action}: {blocker}");
        assert_eq!(world.cloud(), before, "{action}");
    }
}

#[tokio::test]
async fn a_little_throttling_is_waited_out_and_a_lot_of_it_is_not() {
    let world = world();
    for (service, action) in LISTS {
        world
            .standin
            .rules()
            .fault(fault(service, action, FaultKind::Throttle, Some(2)));
    }
    let mutating = |times| fault("ec2", "CreateTags", FaultKind::Throttle, times);
    world.standin.rules().fault(mutating(Some(2)));
    let (cleaning, performed) = world.run().await;
    assert_eq!(cleaning.blockers, []);
    assert_eq!(performed.done.len(), 1, "it went through in the end");
    assert_eq!(performed.done[0].error, None);

    let world = self::world();
    world.standin.rules().fault(mutating(None));
    let (_, performed) = world.run().await;
    assert_eq!(performed.stopped.unwrap().0, "throttled");
    world.standin.rules().clear_faults();
    let lists = fault("ec2", "DescribeVolumes", FaultKind::Throttle, None);
    world.standin.rules().fault(lists);
    let (cleaning, performed) = world.run().await;
    assert_eq!(cleaning.blockers[0].label(), "incomplete");
    assert!(performed.done.is_empty());
}

#[tokio::test]
async fn an_image_that_aws_knows_a_user_of_is_left_and_three_of_them_end_the_run() {
    let disagree = |cloud: &mut Cloud, ami: &str| {
        let user = (
            "imagebuilder:ImageRecipe".to_owned(),
            format!("arn:aws:imagebuilder:us-east-1:{ACCOUNT}:image-recipe/web"),
        );
        cloud
            .estate
            .other_references
            .insert(ami.to_owned(), vec![user]);
    };
    let others = ["ami-00000000000000003", "ami-00000000000000004"];
    let world = World::new(|cloud| {
        let long_ago = Timestamp::now() - SignedDuration::from_hours(24 * 100);
        for (at, ami) in others.iter().enumerate() {
            cloud.add_image_with_snapshot(ami, &format!("app-{}", at + 3), long_ago, &[("a", "b")]);
        }
        disagree(cloud, OLD);
    });
    let (cleaning, performed) = world.run().await;
    let wait = verdict(&cleaning, OLD).wait.clone().unwrap();
    assert!(matches!(&wait, Wait::Disagreement { .. }));
    assert!(wait.to_string().contains("image-recipe/web"), "{wait}");
    assert_eq!(performed.done.len(), 2, "the others go on");
    world
        .standin
        .change(|cloud| {
            for ami in others {
                disagree(cloud, ami);
            }
            Ok(())
        })
        .unwrap();
    world.wait(1);
    let before = world.cloud();
    let (cleaning, performed) = world.run().await;
    assert_eq!(cleaning.blockers[0].label(), "disagreements");
    assert!(performed.done.is_empty());
    assert_eq!(world.cloud(), before);
}

#[tokio::test]
async fn a_request_that_fails_ends_its_action_and_three_in_a_row_end_the_run() {
    let world = World::new(|cloud| {
        let long_ago = Timestamp::now() - SignedDuration::from_hours(24 * 100);
        for at in 3..8 {
            let ami = format!("ami-0000000000000000{at}");
            cloud.add_image_with_snapshot(&ami, &format!("app-{at}"), long_ago, &[("a", "b")]);
        }
    });
    let refused = fault("ec2", "CreateTags", FaultKind::Status(403), None);
    world.standin.rules().fault(refused);
    let (cleaning, performed) = world.run().await;
    assert_eq!(cleaning.actions.len(), 6);
    assert_eq!(performed.done.len(), 3);
    assert!(performed.done.iter().all(|done| done.error.is_some()));
    assert_eq!(performed.stopped.unwrap().0, "failed");
}
