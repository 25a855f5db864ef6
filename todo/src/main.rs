//! The `todo` server: reads its options and wires the parts.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use clap::error::ErrorKind;
use todo::app::{App, Lifecycle};
use todo::config::{Args, Config};
use todo::metrics::Metrics;
use todo::serve::{Listeners, Stop, run};
use todo::store::{BadUrl, Memory, Mongo, MongoSettings, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The exit code for options that cannot be used.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let config = match options() {
        Ok(config) => config,
        Err(code) => return code,
    };
    log_to_stdout(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build();
    let outcome = runtime
        .context("Failed to start the runtime")
        .and_then(|runtime| runtime.block_on(serve(config)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("todo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The options, or how to leave: 0 after `--help`, 2 when something is wrong.
fn options() -> Result<Config, ExitCode> {
    let args = Args::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print!("{error}");
            ExitCode::SUCCESS
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.trim_start_matches("error: ");
            eprintln!("todo: {first}; see `todo --help`");
            ExitCode::from(USAGE)
        }
    })?;
    Config::new(args).map_err(|problems| {
        for problem in problems {
            eprintln!("todo: {problem}");
        }
        ExitCode::from(USAGE)
    })
}

fn log_to_stdout(filter: &str) {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .init();
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let listeners = Listeners {
        app: bind(config.listen)?,
        metrics: bind(config.metrics_listen)?,
    };
    let metrics = Arc::new(Metrics::new(&config.settings.release)?);
    let Some(store) = store(&config, &metrics).await else {
        eprintln!("todo: The database URL cannot be understood as a MongoDB connection string");
        return Ok(ExitCode::from(USAGE));
    };
    let release = &config.settings.release;
    tracing::info!(
        listen = %listeners.app.local_addr()?,
        metrics_listen = %listeners.metrics.local_addr()?,
        version = release.version,
        ami = release.ami,
        "Serving on http://{}",
        listeners.app.local_addr()?,
    );
    let app = Arc::new(App {
        store,
        settings: config.settings,
        metrics,
        lifecycle: Lifecycle::default(),
    });
    run(app, listeners, config.serve, signals()?).await?;
    Ok(ExitCode::SUCCESS)
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("Failed to listen on {address}"))
}

/// The store, or `None` when the connection string is none. Names that cannot
/// be looked up yet are waited for, as is a database that is not there yet.
async fn store(config: &Config, metrics: &Arc<Metrics>) -> Option<Store> {
    let Some(url) = &config.database_url else {
        return Some(Store::Memory(Memory::default()));
    };
    loop {
        let settings = MongoSettings {
            url: url.reveal(),
            database: &config.database_name,
            pool: config.database_pool,
        };
        match Mongo::new(settings, metrics.clone()).await {
            Ok(mongo) => return Some(Store::Mongo(Box::new(mongo))),
            Err(BadUrl::NotUnderstood) => return None,
            Err(BadUrl::NotFound) => {
                tracing::warn!("The database's name cannot be looked up; trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// SIGTERM asks for a drained stop, as systemd and AWS send it; Ctrl-C for a
/// stop without waiting.
fn signals() -> anyhow::Result<mpsc::Receiver<Stop>> {
    let mut terminate = signal(SignalKind::terminate()).context("Failed to watch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("Failed to watch SIGINT")?;
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            let stop = tokio::select! {
                _ = terminate.recv() => Stop::Drained,
                _ = interrupt.recv() => Stop::Soon,
            };
            // Full or closed: the stop is under way already.
            let _ = sender.try_send(stop);
        }
    });
    Ok(receiver)
}
