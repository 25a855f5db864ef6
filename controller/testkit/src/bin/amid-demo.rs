//! Plays the life of an app on this machine alone; see [`amid_testkit::scenes`].
//!
//! `amid-demo demo` plays four scenes on one app, `amid-demo e2e` all of them side by side, `amid-demo scene
//! bad-image` one, and `amid-demo up` leaves everything running to be tried. Whatever happens, also a Ctrl-C,
//! no process is left behind.

#![allow(
    clippy::disallowed_methods,
    reason = "a tool for tests: it starts programs and reads clocks and the environment"
)]

use std::{env, path::Path, process::ExitCode};

use amid_testkit::{
    pipeline,
    scenes::{self, Scene},
    timeline::Timeline,
    world::{
        Front, World,
        prometheus::Prometheus,
        stage::{Stage, Times},
    },
};
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// The life of an app under amid, with real git, terragrunt and terraform against an AWS API on loopback.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Play four scenes on one app, in about five minutes
    Demo,
    /// Bring everything up and leave it running until Ctrl-C
    Up,
    /// Play all scenes that are no long show, or those with these numbers or names, side by side
    E2e {
        /// Numbers or names
        scenes: Vec<String>,
    },
    /// Play one scene
    Scene {
        /// Its number or name
        scene: String,
    },
    /// Bring one change of the app's code into production; `make pipeline` calls it
    Pipeline,
    /// List the scenes
    List,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let timeline = Timeline::start();
    let outcome = tokio::select! {
        outcome = play(args.verb, &timeline) => outcome,
        name = interrupted() => {
            // What was playing is dropped by now, and its processes with it.
            timeline.scribe().note(&format!("stopped by {name}"));
            return ExitCode::from(130);
        }
    };
    match outcome {
        Ok(Ending::Counted) if timeline.finish() => ExitCode::SUCCESS,
        Ok(Ending::Counted) => ExitCode::FAILURE,
        Ok(Ending::Quiet) => ExitCode::SUCCESS,
        Err(error) => {
            let scribe = timeline.scribe();
            scribe.check_or("the world stands", false, || format!("{error:#}"));
            timeline.finish();
            ExitCode::FAILURE
        }
    }
}

/// Whether checks were made that are to be summed up.
enum Ending {
    Counted,
    Quiet,
}

async fn play(verb: Verb, timeline: &Timeline) -> Result<Ending> {
    match verb {
        Verb::Demo => demo(timeline).await?,
        Verb::Up => up(timeline).await?,
        Verb::E2e { scenes } => {
            let mut wanted = Vec::new();
            for word in &scenes {
                wanted.push(Scene::find(word)?);
            }
            let wanted = if wanted.is_empty() {
                let all = Scene::ALL.into_iter();
                all.filter(|scene| !scene.only_when_named()).collect()
            } else {
                wanted
            };
            some(timeline, &wanted).await?;
        }
        Verb::Scene { scene } => some(timeline, &[Scene::find(&scene)?]).await?,
        Verb::Pipeline => {
            let script = env::var_os("AMID_PIPELINE")
                .context("AMID_PIPELINE names no script; run `make pipeline`")?;
            pipeline::play(timeline, Path::new(&script)).await?;
        }
        Verb::List => {
            for scene in Scene::ALL {
                println!(
                    "{:>8}  {:<12} {}",
                    scene.number(),
                    scene.name(),
                    scene.title()
                );
            }
            return Ok(Ending::Quiet);
        }
    }
    Ok(Ending::Counted)
}

/// The world with these apps; its folder stays where `AMID_KEEP` is set.
async fn bring_up(front: Front, timeline: &Timeline, apps: &[String]) -> Result<World> {
    let mut world = World::bring_up_behind(front, timeline, apps).await?;
    if env::var_os("AMID_KEEP").is_some() {
        world.keep_folder();
        let folder = world.folder().display();
        timeline
            .scribe()
            .note(&format!("everything lies in {folder}"));
    }
    Ok(world)
}

async fn some(timeline: &Timeline, wanted: &[Scene]) -> Result<()> {
    let apps: Vec<String> = wanted.iter().flat_map(|scene| scene.apps()).collect();
    let own_balancer = wanted.iter().all(|scene| *scene == Scene::Traffic);
    let front = if own_balancer {
        Front::TargetGroups
    } else {
        Front::LoadBalancer
    };
    let world = bring_up(front, timeline, &apps).await?;
    scenes::play_all(&world, wanted).await;
    Ok(())
}

async fn demo(timeline: &Timeline) -> Result<()> {
    let app = "demo/todo".to_owned();
    let scribe = timeline.scribe();
    scribe.heading("A cloud, a repository and a load balancer, all on this machine");
    let world = bring_up(Front::LoadBalancer, timeline, std::slice::from_ref(&app)).await?;
    let times = Times {
        timeout: "20s",
        ..Times::default()
    };
    let mut stage = Stage::open(&world, scribe.clone(), &app, times)?;
    stage.brief = true;
    // Whoever asks for it gets a Prometheus that watches all of it.
    let mut watching = match env::var_os("AMID_PROMETHEUS") {
        Some(program) => {
            let checkout = &world.tools.checkout;
            Some(Prometheus::start(Path::new(&program), checkout, stage.http()).await?)
        }
        None => None,
    };
    for scene in Scene::DEMO {
        if !scenes::play_on(scene, &mut stage).await {
            // What follows would stand on sand.
            break;
        }
    }
    if let Some(prometheus) = &mut watching {
        scribe.heading("What Prometheus saw meanwhile");
        prometheus.check(&scribe).await?;
    }
    stage.stop().await
}

async fn up(timeline: &Timeline) -> Result<()> {
    let app = "demo/todo".to_owned();
    let scribe = timeline.scribe();
    let world = bring_up(Front::LoadBalancer, timeline, std::slice::from_ref(&app)).await?;
    let mut stage = Stage::open(&world, scribe.clone(), &app, Times::default())?;
    let live = stage.deployed().await?;
    let good = stage.image("v2").await?;
    let bad = stage.image("bad").await?;
    stage
        .rules()
        .image_health(&bad, amid_testkit::proxy::ImageHealth::Unhealthy);
    scribe.heading("Everything is up. Try this in another terminal:");
    scribe.block(&what_to_try(&world, &stage, [&live, &good, &bad])?);
    scribe.heading("Ctrl-C ends it and removes everything");
    std::future::pending::<()>().await;
    Ok(())
}

fn what_to_try(world: &World, stage: &Stage<'_>, images: [&str; 3]) -> Result<String> {
    let [live, good, bad] = images;
    let clone = stage.person.dir().display();
    let amid = world.tools.amid.display();
    let config = stage.config().display();
    let page = serde_json::from_slice::<serde_json::Value>(
        &std::fs::read(stage.config()).context("Failed to read amid.json")?,
    )
    .context("amid.json is no JSON")?;
    let listen = page["http"]["listen"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let endpoint = stage.endpoint();
    Ok(format!(
        "\n# the deployment is a commit\n\
         cd {clone}\n\
         sed -i 's/{live}/{good}/' desired/demo/todo.json && git commit -qam 'Bump to {good}' && git push -q\n\
         \n# and the rollback, too\n\
         git revert --no-edit HEAD && git push -q\n\
         \n# this image never becomes healthy\n\
         sed -i 's/ami-[0-9a-f]*/{bad}/' desired/demo/todo.json && git commit -qam 'Bump to {bad}' && git push -q\n\
         \n# what amid says\n\
         export AMID_CONFIG={config}\n\
         {amid} status\n\
         {amid} history demo/todo\n\
         {amid} reconcile demo/todo --watch\n\
         curl http://{listen}/metrics\n\
         \n# the same as a page, in a browser\n\
         http://{listen}/\n\
         \n# what AWS says\n\
         export AWS_ENDPOINT_URL={endpoint} AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo AWS_REGION=us-east-1\n\
         aws autoscaling describe-auto-scaling-groups\n"
    ))
}

/// Ends when somebody wants this program to end, and says by which signal.
async fn interrupted() -> &'static str {
    let listen = |kind| signal(kind).ok();
    let (mut hangup, mut interrupt, mut term) = (
        listen(SignalKind::hangup()),
        listen(SignalKind::interrupt()),
        listen(SignalKind::terminate()),
    );
    tokio::select! {
        () = heard(&mut hangup) => "SIGHUP",
        () = heard(&mut interrupt) => "SIGINT",
        () = heard(&mut term) => "SIGTERM",
    }
}

async fn heard(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
