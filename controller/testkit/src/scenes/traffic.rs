//! 20: real traffic. Every instance is a process of the sample app, run from what its image holds, behind a
//! balancer that obeys target health and deregistration. Clients use it through a roll, an image that never
//! gets ready, and `amid`'s revert of it; not one of their requests may fail.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::json;

use super::check_ended;
use crate::{
    fleet::{self, Fleet, Image, Load, Tally},
    world::stage::{ROLL, SOON, Stage},
};

/// What somebody forgot in the unit of the bad image: an address at which nothing answers. The app starts,
/// is alive, and is never ready.
pub const FORGOTTEN: &str = "--database-url mongodb://127.0.0.1:9/";

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let fleet = Fleet::start(stage).await?;
    for (name, version, options) in [
        ("v1", "1.0.0", ""),
        ("v2", "2.0.0", ""),
        ("bad", "3.0.0", FORGOTTEN),
    ] {
        let root = assemble(stage, name, version, options)?;
        let ami = stage.image(name).await?;
        fleet.add_image(&ami, Image::of_files(&root)?);
    }
    let live = stage.deployed().await?;
    let load = start_load(stage, &fleet).await?;
    let good = stage.image("v2").await?;
    let bad = stage.image("bad").await?;
    let ended = changes(stage, &good, &bad).await;
    // Also where the roll went wrong: then what it was for the clients is worth the most.
    let judged = judge(stage, fleet, load, [&live, &good], &bad).await;
    ended.and(judged)
}

/// The roll, and the one that fails.
async fn changes(stage: &mut Stage<'_>, good: &str, bad: &str) -> Result<()> {
    stage.push_image(good)?;
    stage.until_settled(good, 2).await?;
    bad_image(stage, bad, good).await
}

/// An image's content: the program that was built last, and the unit that the image's build would install.
fn assemble(stage: &Stage<'_>, name: &str, version: &str, options: &str) -> Result<PathBuf> {
    let program = stage.world.tools.amid.with_file_name("todo");
    ensure!(
        program.exists(),
        "There is no todo at {}; run `make build` first",
        program.display()
    );
    let root = stage.folder().join("images").join(name);
    let unit = fleet::unit(&stage.world.tools.checkout, options)?;
    fleet::assemble(&root, &unit, &program, version)?;
    Ok(root)
}

/// Lets clients loose and waits until they are served.
pub async fn start_load(stage: &mut Stage<'_>, fleet: &Fleet) -> Result<Load> {
    let load = Load::start(fleet.addr());
    stage
        .until_asked("the first requests are answered", SOON, async |_| {
            Ok((load.tally().requests >= 10).then_some(()))
        })
        .await?;
    stage
        .scribe
        .note(&format!("clients use http://{} all the time", fleet.addr()));
    Ok(load)
}

/// An image that never gets ready: git names the good one again by a commit of `amid`'s, and the bad group goes.
pub async fn bad_image(stage: &mut Stage<'_>, bad: &str, good: &str) -> Result<()> {
    let commit = stage.push_image(bad)?;
    let revert = stage
        .until_asked("a revert commit is on the branch", ROLL, async |stage| {
            let newest = stage.bare.log()?.into_iter().next();
            Ok(newest.filter(|newest| newest.id != commit))
        })
        .await?;
    let subject = revert.subject();
    stage.scribe.note(&format!("amid pushed \"{subject}\""));
    stage
        .until("the bad group is gone", ROLL, |look| look.settled(good, 2))
        .await?;
    stage.until_idle().await?;
    stage.scribe.check(
        "git names the good image again",
        stage.manifest()?["ami"] == json!(good),
    );
    check_ended(
        stage,
        "the history says that the bad image was reverted",
        commit,
        "failed_reverted",
    )
    .await
}

/// Ends the load and says what came of it.
pub async fn judge(
    stage: &mut Stage<'_>,
    fleet: Fleet,
    load: Load,
    served: [&str; 2],
    bad: &str,
) -> Result<()> {
    // Old machines are still draining when their group is gone.
    let until = Instant::now() + Duration::from_secs(30);
    let count = stage
        .until_asked(
            "the machines of removed groups have left",
            SOON,
            async |_| {
                let count = fleet.count();
                Ok((count.running == 2 || Instant::now() > until).then_some(count))
            },
        )
        .await?;
    let tally = load.stop().await;
    let scribe = stage.scribe.clone();
    scribe.note(&words(&tally));
    scribe.check_or(
        &format!("of {} requests {} failed", tally.requests, tally.failed),
        tally.failed == 0 && tally.requests > 100,
        || tally.in_words(),
    );
    let [old, new] = served.map(|ami| tally.of_image(ami));
    scribe.check_or(
        "old and new image both have served",
        old > 0 && new > 0,
        || format!("{:?}", tally.by_release),
    );
    scribe.check_or(
        "no request ever reached the bad image",
        tally.of_image(bad) == 0,
        || format!("{:?}", tally.by_release),
    );
    let detail = format!("{count:?}");
    scribe.check_or(
        "every machine that was taken away drained and left by itself",
        count.problems.is_empty() && count.running == 2 && count.left_well + 2 == count.started,
        || detail,
    );
    scribe.check_or(
        "all machines were real processes, those of the bad image, too",
        count.started >= 6,
        || format!("{} were started", count.started),
    );
    drop(fleet);
    Ok(())
}

fn words(tally: &Tally) -> String {
    let by: Vec<String> = tally
        .by_release
        .iter()
        .map(|(release, count)| format!("{count} by {release}"))
        .collect();
    let slowest = tally.slowest.as_millis();
    format!("answers: {}; the slowest took {slowest} ms", by.join(", "))
}
