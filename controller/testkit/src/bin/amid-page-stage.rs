//! A world for the browser tests of the page: a real `amid run` over stub and stand-in, told what to do.
//!
//! It prints one JSON line with the page's address. Then each line of its standard input is an order, answered
//! by one line. When the input ends, or a signal comes, everything that it started goes.

#![allow(
    clippy::disallowed_methods,
    reason = "a tool for tests: it starts programs and reads clocks and the environment"
)]

use std::{
    io::{BufRead, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use amid_testkit::{
    bench::fleet,
    small::{Options, Small},
};
use anyhow::{Context, Result};
use clap::Parser;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

/// A world for the browser tests of the page.
#[derive(Debug, Parser)]
struct Args {
    /// The `amid` under test
    #[arg(long)]
    amid: PathBuf,
    /// So many apps that are as desired, and nothing that could be applied
    #[arg(long)]
    fleet: Option<usize>,
}

/// What the world is told.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Order {
    /// Commit this manifest, with a unit beside it, and push.
    Push {
        app: String,
        subject: String,
        manifest: Value,
    },
    /// For so long after its launch a target answers `initial`.
    Initial { seconds: u32 },
    /// An image exists, and is good or not.
    Image { id: String, is_healthy: bool },
    /// The first so many instances of an image have been there for long.
    Ripen { image: String, count: usize },
    /// Run a command of `amid`.
    Amid { args: Vec<String> },
    /// What `amid` logged last.
    Log,
}

/// The world, until it is given up.
type Shared = Arc<Mutex<Option<Small>>>;

#[tokio::main]
async fn main() -> ExitCode {
    let (args, world) = (Args::parse(), Shared::default());
    let shared = Arc::clone(&world);
    let playing = tokio::task::spawn_blocking(move || play(&args, &shared));
    let outcome = tokio::select! {
        outcome = playing => outcome.unwrap_or_else(|error| Err(error.into())),
        outcome = interrupted() => {
            // What was started is in groups of its own and would go on.
            drop(world.lock().map(|mut world| world.take()));
            if let Err(error) = outcome {
                eprintln!("error: {error:#}");
            }
            // The other thread still waits for orders.
            std::process::exit(1)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn interrupted() -> Result<()> {
    let mut term = signal(SignalKind::terminate()).context("Failed to hear signals")?;
    let mut int = signal(SignalKind::interrupt()).context("Failed to hear signals")?;
    let mut hang_up = signal(SignalKind::hangup()).context("Failed to hear signals")?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

fn play(args: &Args, world: &Shared) -> Result<()> {
    let mut small = match args.fleet {
        Some(apps) => fleet::world(&args.amid, apps, "4s")?,
        None => Small::new(with_cleanup(Options::of(&args.amid)))?,
    };
    small.start()?;
    let page = small.listener("Metrics and status")?;
    *world.lock().unwrap_or_else(PoisonError::into_inner) = Some(small);
    say(&json!({ "url": format!("http://{page}") }))?;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("Failed to read an order")?;
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        let small = world.as_mut().context("The world is gone")?;
        let answer = serde_json::from_str(&line)
            .context("No such order")
            .and_then(|order| perform(small, order));
        say(&answer.unwrap_or_else(|error| json!({ "error": format!("{error:#}") })))?;
    }
    let small = world.lock().unwrap_or_else(PoisonError::into_inner).take();
    small.map_or(Ok(()), |mut small| small.stop())
}

/// With a clean-up that only reports, and only when it is asked to.
fn with_cleanup(mut options: Options) -> Options {
    let cleanup = json!({
        "interval": "1h",
        "policy": { "claims": [{ "name": "*" }] },
    });
    options.config.insert("cleanup".to_owned(), cleanup);
    options
}

fn say(answer: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}").context("Failed to answer")?;
    out.flush().context("Failed to answer")
}

fn perform(small: &mut Small, order: Order) -> Result<Value> {
    match order {
        Order::Push {
            app,
            subject,
            manifest,
        } => {
            let text = format!("{manifest:#}\n").into_bytes();
            let files = [
                (format!("desired/{app}.json"), text),
                Small::unit_file(&app),
            ];
            // amid may have pushed a revert meanwhile.
            small.person.pull()?;
            let commit = small.push(&files, &subject)?;
            Ok(json!({ "commit": commit.to_string() }))
        }
        Order::Initial { seconds } => {
            small.stub.cloud_file().change(|cloud| {
                cloud.initial_seconds = seconds;
                Ok(())
            })?;
            Ok(json!({}))
        }
        Order::Image { id, is_healthy } => {
            small.stub.cloud_file().change(|cloud| {
                cloud.add_image(&id, "x86_64", is_healthy);
                Ok(())
            })?;
            Ok(json!({}))
        }
        Order::Ripen { image, count } => {
            small.stub.cloud_file().change(|cloud| {
                let groups = cloud.groups.values_mut();
                let instances = groups.flat_map(|group| &mut group.instances);
                for instance in instances.filter(|one| one.image == image).take(count) {
                    instance.launched = Timestamp::UNIX_EPOCH;
                }
                Ok(())
            })?;
            Ok(json!({}))
        }
        Order::Amid { args } => {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let output = small.cli(&args)?;
            Ok(json!({
                "ok": output.status.success(),
                "said": String::from_utf8_lossy(&output.stdout),
            }))
        }
        Order::Log => Ok(json!({ "log": small.log_end() })),
    }
}
