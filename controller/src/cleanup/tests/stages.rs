use amid_core::retention::{ActionKind, Stage};
use amid_testkit::proxy::{Fault, FaultKind};

use super::*;
use crate::aws::SnapshotResult;
use crate::cleanup::heal::{Healer, online};

fn healer(controller: &str) -> Healer {
    Healer::new(controller.to_owned(), Arc::new(Pace::per_second(1e6)))
}

/// The tags of an image that are clean-up's.
fn marks(cloud: &Cloud, ami: &str) -> Vec<String> {
    let tags = cloud.images[ami].details.tags.keys();
    tags.filter(|key| key.starts_with("amid:"))
        .cloned()
        .collect()
}

fn id(ami: &str) -> AmiId {
    AmiId::parse(ami).unwrap()
}

#[tokio::test]
async fn what_nothing_needs_goes_stage_by_stage_and_nothing_else_does() {
    let world = World::new(|_| {});
    let before = world.cloud().images[USED].clone();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (cleaning, performed) = world.run().await;
        assert_eq!(cleaning.blockers, []);
        seen.push(verdict(&cleaning, OLD).action.unwrap());
        assert!(performed.stopped.is_none());
        // The next stage is not taken before its time.
        let (again, performed) = world.run().await;
        assert!(performed.done.is_empty(), "too early: {:?}", performed.done);
        let cloud = world.cloud();
        if let Some(image) = cloud.images.get(OLD) {
            assert_eq!(verdict(&again, OLD).action, None);
            match verdict(&again, OLD).stage {
                Stage::Kept | Stage::Stale => assert!(image.details.deprecated.is_none()),
                Stage::Deprecated => assert!(image.details.deprecated.is_some()),
                Stage::Disabled => assert_eq!(
                    (image.state.as_str(), image.details.shared.len()),
                    ("disabled", 0)
                ),
            }
        }
        world.wait(1);
    }
    assert_eq!(
        seen,
        [
            ActionKind::Mark,
            ActionKind::Deprecate,
            ActionKind::Disable,
            ActionKind::Deregister
        ]
    );
    let cloud = world.cloud();
    assert_eq!(cloud.images.keys().collect::<Vec<_>>(), [USED]);
    assert_eq!(cloud.images[USED], before, "nobody touched what is needed");
    assert_eq!(cloud.estate.snapshots.len(), 1, "its snapshot went with it");
}

#[tokio::test]
async fn an_image_that_is_needed_again_comes_back_from_every_stage() {
    for days in 1..=3 {
        let mut world = World::new(|_| {});
        let before = world.cloud().images[OLD].clone();
        world.settle_down(days).await;
        let marked = world.cloud();
        assert!(!marks(&marked, OLD).is_empty());
        world.need(OLD);
        let (cleaning, _) = world.run().await;
        assert_eq!(verdict(&cleaning, OLD).action, Some(ActionKind::Heal));
        assert_eq!(world.cloud().images[OLD], before, "after {days} days");
        let (cleaning, performed) = world.run().await;
        assert_eq!(labels(&cleaning, OLD), ["branches"]);
        assert!(performed.done.is_empty());
    }
}

#[tokio::test]
async fn a_roll_brings_its_image_back_before_it_begins() {
    for days in 1..=3 {
        let world = World::new(|_| {});
        let before = world.cloud().images[OLD].clone();
        world.settle_down(days).await;
        let asked = online(&world.aws, &[id(OLD), id(USED), id("ami-0000000f")])
            .await
            .unwrap();
        assert!(asked[0].launchable.needs_healing(), "{:?}", asked[0]);
        assert!(!asked[1].launchable.needs_healing());
        assert!(asked[2].launchable.is_refusal());
        let now = (world.clock())();
        let healer = healer("amid");
        let said = healer.heal(&world.aws, &id(OLD), now).await.unwrap();
        assert!(said.unwrap().contains("brought back"));
        assert_eq!(world.cloud().images[OLD], before);
        let again = healer.heal(&world.aws, &id(OLD), now).await.unwrap();
        assert_eq!(again, None, "nothing is left to be undone");
    }
}

/// Git moved while a request of a run was under way; what the roll sees of the
/// image must be what comes of that request.
#[tokio::test]
async fn a_roll_that_needs_an_image_waits_for_the_request_that_disables_it() {
    let world = World::new(|_| {});
    let before = world.cloud().images[OLD].clone();
    world.settle_down(2).await;
    let cleaning = world.decide().await;
    assert_eq!(verdict(&cleaning, OLD).action, Some(ActionKind::Disable));
    world.standin.rules().fault(Fault {
        service: "ec2".to_owned(),
        action: "DisableImage".to_owned(),
        naming: None,
        times: Some(1),
        kind: FaultKind::Delay(std::time::Duration::from_millis(500)),
    });
    world.standin.reset_counts();
    let moved = std::sync::atomic::AtomicBool::new(false);
    let halt = || {
        moved
            .load(Ordering::SeqCst)
            .then(|| ("git_moved", "git moved on".to_owned()))
    };
    let (healer, clock) = (healer("amid"), world.clock());
    let pace = healer.pace();
    let run = perform(&world.aws, &cleaning.actions, &pace, &clock, &halt);
    let roll = async {
        while !world.standin.counts().contains_key("DisableImage") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        moved.store(true, Ordering::SeqCst);
        healer.heal(&world.aws, &id(OLD), clock()).await
    };
    let (performed, healed) = tokio::join!(run, roll);
    assert_eq!(performed.stopped.unwrap().0, "git_moved");
    assert!(healed.unwrap().is_some());
    assert_eq!(world.cloud().images[OLD], before);
}

#[tokio::test]
async fn what_a_person_wants_back_while_a_run_looks_is_not_deregistered() {
    let changes: [fn(&mut amid_testkit::cloud::Image); 3] = [
        |image| image.state = "available".to_owned(),
        |image| {
            let tags = &mut image.details.tags;
            tags.insert("amid:keep".to_owned(), "the audit".to_owned());
        },
        |image| image.details.protected = true,
    ];
    for change in changes {
        let world = World::new(|_| {});
        world.settle_down(3).await;
        let cleaning = world.decide().await;
        assert_eq!(verdict(&cleaning, OLD).action, Some(ActionKind::Deregister));
        let by_hand = |cloud: &mut Cloud| {
            change(cloud.images.get_mut(OLD).unwrap());
            Ok(())
        };
        world.standin.change(by_hand).unwrap();
        let (pace, clock) = (Pace::per_second(1e6), world.clock());
        let performed = perform(&world.aws, &cleaning.actions, &pace, &clock, &|| None).await;
        let error = performed.done[0].error.clone().unwrap();
        assert!(error.contains("is not deregistered"), "{error}");
        let cloud = world.cloud();
        assert!(cloud.images.contains_key(OLD));
        assert_eq!(cloud.estate.snapshots.len(), 2);
    }
}

#[tokio::test]
async fn the_marks_of_another_controller_are_left_to_it() {
    let world = World::new(|_| {});
    world.settle_down(3).await;
    let now = (world.clock())();
    let said = healer("other").heal(&world.aws, &id(OLD), now).await;
    let said = said.unwrap();
    assert_eq!(said, None);
    assert_eq!(world.cloud().images[OLD].state, "disabled");
    let mut world = world;
    world.policy.controller = "other".to_owned();
    let (cleaning, performed) = world.run().await;
    assert_eq!(labels(&cleaning, OLD), ["other_controller"]);
    assert!(performed.done.is_empty());
}

#[tokio::test]
async fn a_permission_that_is_granted_meanwhile_is_not_lost() {
    let world = World::new(|_| {});
    world.settle_down(2).await;
    // The run has looked, and is about to send its first request.
    let grant = || {
        let share = |cloud: &mut Cloud| {
            if let Some(image) = cloud.images.get_mut(OLD) {
                image.details.shared.push("all".to_owned());
            }
            Ok(())
        };
        world.standin.change(share).unwrap();
        None
    };
    let (cleaning, performed) = world.run_until(&grant).await;
    assert_eq!(
        verdict(&cleaning, OLD).action,
        Some(ActionKind::Disable),
        "else this shows nothing"
    );
    let error = performed.done[0].error.clone().unwrap();
    assert!(error.contains("was granted while"), "{error}");
    let image = world.cloud().images[OLD].clone();
    assert_eq!(image.state, "available");
    assert!(image.details.shared.iter().any(|who| who == "all"));
}

/// Ends the run before its `n`th request, or loses the `n`th answer, and lets
/// later runs go on. Says whether there was an `n`th request.
async fn killed_at(world: &World, n: u32, lose_answer: bool, runs: usize) -> bool {
    let mut left = Some(n);
    for _ in 0..runs {
        let killed = left.is_some();
        let count = match left {
            Some(left) if lose_answer => {
                let cleaning = world.decide().await;
                let requests: usize = cleaning.actions.iter().map(|one| one.calls.len()).sum();
                let requests = u32::try_from(requests).unwrap();
                if left < requests {
                    lose_nth(world, &cleaning, left).await;
                } else {
                    world.run().await;
                }
                requests
            }
            Some(left) => {
                let (_, performed) = world.run_until(&after(left)).await;
                match performed.stopped {
                    Some(_) => left + 1,
                    None => requests_of(&performed),
                }
            }
            None => {
                world.run().await;
                0
            }
        };
        if killed && let Some(before) = left {
            left = before.checked_sub(count);
            if left.is_none() {
                // The daemon starts again and looks at once.
                world.run().await;
            }
        }
        world.wait(1);
    }
    left.is_none()
}

/// How many requests a run sent that was not ended.
fn requests_of(performed: &Performed) -> u32 {
    // Each kind has a fixed number of them with these images.
    let requests = performed.done.iter().map(|done| match done.kind {
        ActionKind::Mark => 1,
        ActionKind::Deprecate | ActionKind::Disable => 3,
        ActionKind::Deregister => 2,
        _ => 1,
    });
    requests.sum()
}

/// Performs the actions and loses the answer of the `n`th request: AWS has done
/// it, and nobody knows.
async fn lose_nth(world: &World, cleaning: &Cleaning, n: u32) {
    let calls: Vec<_> = cleaning
        .actions
        .iter()
        .flat_map(|action| &action.calls)
        .collect();
    for (at, call) in calls.iter().enumerate() {
        if at == n as usize {
            world.standin.rules().fault(Fault {
                service: "ec2".to_owned(),
                action: "*".to_owned(),
                naming: None,
                times: Some(1),
                kind: FaultKind::CutBody,
            });
        }
        let told = world.aws.perform(call).await;
        world.standin.rules().clear_faults();
        if at == n as usize {
            assert!(told.is_err(), "the answer was lost");
            return;
        }
        told.unwrap();
    }
}

#[tokio::test]
async fn killed_before_or_after_any_request_it_goes_on_where_it_stood() {
    for lose_answer in [false, true] {
        let mut killed = 0;
        for n in 0..12 {
            let world = World::new(|_| {});
            let needed = world.cloud().images[USED].clone();
            if killed_at(&world, n, lose_answer, 9).await {
                killed += 1;
            }
            let cloud = world.cloud();
            assert_eq!(
                cloud.images.keys().collect::<Vec<_>>(),
                [USED],
                "killed at request {n}, answer lost: {lose_answer}"
            );
            assert_eq!(cloud.images[USED], needed);
            assert_eq!(cloud.estate.snapshots.len(), 1, "killed at request {n}");
        }
        assert!(killed >= 9, "only {killed} of the requests were hit");
    }
}

#[tokio::test]
async fn killed_while_it_brings_an_image_back_it_brings_it_back_later() {
    for n in 0..6 {
        let mut world = World::new(|_| {});
        let before = world.cloud().images[OLD].clone();
        world.settle_down(3).await;
        world.need(OLD);
        world.run_until(&after(n)).await;
        world.run().await;
        assert_eq!(world.cloud().images[OLD], before, "killed at request {n}");
    }
}

#[tokio::test]
async fn each_snapshots_result_is_read_and_what_is_left_is_tried_again() {
    let world = World::new(|cloud| {
        let first = cloud.images[OLD].details.snapshots[0].clone();
        cloud.estate.snapshots.get_mut(&first).unwrap().refused = Some("internal-error".to_owned());
    });
    world.settle_down(3).await;
    let (_, performed) = world.run().await;
    assert_eq!(performed.deregistered, 1);
    assert_eq!(
        performed.snapshots,
        [(SnapshotResult::InternalError, 1)].into()
    );
    assert!(performed.deleted.is_empty());
    let left = |cloud: &Cloud| cloud.estate.snapshots.len();
    assert_eq!(left(&world.cloud()), 2);
    // It is refused again, and stays in the queue.
    let (cleaning, performed) = world.run().await;
    assert!(cleaning.snapshots[0].leftover);
    assert_eq!(
        performed.snapshots,
        [(SnapshotResult::ClientError, 1)].into()
    );
    world
        .standin
        .change(|cloud| {
            for snapshot in cloud.estate.snapshots.values_mut() {
                snapshot.refused = None;
            }
            Ok(())
        })
        .unwrap();
    let (_, performed) = world.run().await;
    assert_eq!(performed.snapshots, [(SnapshotResult::Deleted, 1)].into());
    assert_eq!(left(&world.cloud()), 1);
}

#[tokio::test]
async fn a_snapshot_that_is_shared_stays_when_its_image_goes() {
    let world = World::new(|cloud| {
        let first = cloud.images[OLD].details.snapshots[0].clone();
        let snapshot = cloud.estate.snapshots.get_mut(&first).unwrap();
        snapshot.shared = vec!["999999999999".to_owned()];
    });
    world.settle_down(4).await;
    let cloud = world.cloud();
    assert!(!cloud.images.contains_key(OLD));
    assert_eq!(cloud.estate.snapshots.len(), 2, "somebody else uses it");
}
