//! One roll with real terragrunt, terraform and provider, against moto, that is killed six times.
//!
//! Each `amid` dies at its own point and the next one goes on from what is there, so that a whole new world a
//! point is not needed. It takes some minutes and 2 GB, and must not run beside the other crash tests: while a
//! person's terraform runs on the machine, as that of this world does at first, `amid` breaks no lock.

use std::path::Path;

use amid_testkit::timeline::Timeline;
use amid_testkit::world::World;
use amid_testkit::world::stage::{ROLL, Stage, Times};

/// Counted from the start of each `amid`.
const KILLS: &[(&str, &str)] = &[
    ("planned:1", "when the new group is planned"),
    ("applied:1", "when the new group is made"),
    ("looked-again:1", "right before the drain"),
    ("applied:1", "when the old group is drained"),
    ("before-apply:1", "right before the removal"),
    ("finished:1", "when the removal is written down"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs terragrunt, terraform and moto; scripts/test-crash.sh runs it"]
async fn a_real_roll_survives_a_kill_at_six_points() {
    let timeline = Timeline::start();
    let app = "demo/kill".to_owned();
    let world = World::bring_up(&timeline, std::slice::from_ref(&app))
        .await
        .expect("the world");
    let mut stage =
        Stage::open(&world, timeline.scribe(), &app, Times::default()).expect("a stage");
    if let Err(error) = play(&mut stage).await {
        panic!("{error:#}\n--- amid's log ---\n{}", stage.log_end());
    }
    drop(stage);
    assert_eq!(timeline.failed(), 0, "some checks failed, see above");
}

async fn play(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.deployed().await?;
    stage.stop().await?;
    let image = stage.image("v2").await?;
    let commit = stage.push_image(&image)?.to_string();
    for (point, when) in KILLS {
        start(stage, &format!("crash:{point}")).await?;
        let amid = stage.amid()?.process().clone();
        stage
            .until_asked(&format!("amid dies {when}"), ROLL, async |_| {
                Ok((!amid.alive()).then_some(()))
            })
            .await?;
        drop(stage.take_amid()?);
        stage.scribe.note(&format!("amid died {when}"));
        nothing_is_locked(stage).await?;
    }
    start(stage, "").await?;
    let look = stage.until_settled(&image, 2).await?;
    let group = look.only().map(|group| group.name.clone());
    let templates = stage.aws.templates_of(&stage.app).await?;
    stage.scribe.check(
        "no launch template is orphaned",
        templates.first() == group.as_ref() && templates.len() == 1,
    );
    nothing_is_locked(stage).await?;
    let ends = stage
        .until_asked(
            "the history says how the commit ended",
            ROLL,
            async |stage| {
                let events = stage.events().await?;
                let ends: Vec<_> = events
                    .into_iter()
                    .filter(|event| event["event"] == "ended" && event["commit"] == *commit)
                    .collect();
                Ok((!ends.is_empty()).then_some(ends))
            },
        )
        .await?;
    stage.scribe.check(
        "the commit ended once, as applied",
        ends.len() == 1 && ends[0]["outcome"] == "applied",
    );
    stage.scribe.check_or(
        "never two applies at once",
        stage.runs.overlap().is_none(),
        || format!("{:?}", stage.runs.overlap()),
    );
    let short = stage.sampler.violations();
    stage
        .scribe
        .check_or("never too few healthy instances", short == 0, || {
            stage.sampler.in_words()
        });
    stage.stop().await
}

/// Starts an `amid` with this fault, or with none.
async fn start(stage: &mut Stage<'_>, fault: &str) -> anyhow::Result<()> {
    stage.use_binary(Path::new(env!("CARGO_BIN_EXE_amid")), "AMID_FAULT", fault);
    stage.start().await
}

async fn nothing_is_locked(stage: &Stage<'_>) -> anyhow::Result<()> {
    let folder = format!("{}/", stage.app);
    let objects = stage.world.state_objects().await?;
    let locks: Vec<_> = objects
        .iter()
        .filter(|key| key.contains(&folder) && key.ends_with(".tflock"))
        .collect();
    stage
        .scribe
        .check_or("no state lock is left", locks.is_empty(), || {
            format!("{locks:?}")
        });
    Ok(())
}
