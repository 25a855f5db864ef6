//! From two bound listeners to a clean end.
//!
//! The end is the interesting part. On SIGTERM readiness turns red at once,
//! but serving goes on for the drain time, because the load balancer needs a
//! few probes to notice. Then the door closes, so that new connections are
//! refused, requests in flight finish, and whatever still runs at the limit is
//! cut.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use salvo::conn::tcp::TcpAcceptor;
use salvo::fuse::FuseConfig;
use salvo::http::header;
use salvo::prelude::*;
use tokio::sync::mpsc::Receiver;

use crate::answer::Answer;
use crate::app::App;
use crate::door::{Door, Latch};
use crate::error::Error;
use crate::service::service;
use crate::store::StoreError;

/// How often the database is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// How soon the start tries again to make the collection and its indexes.
const PREPARE_INTERVAL: Duration = Duration::from_millis(250);

/// How long those who were let in at the end have to send their request.
const LAST_WORD: Duration = Duration::from_millis(100);

/// The largest request head in bytes, and the most headers in it.
const HEAD_LIMIT: usize = 16 * 1024;
const HEADER_LIMIT: usize = 64;

/// The sockets, bound before anything else so that a taken port is told early.
#[derive(Debug)]
pub struct Listeners {
    /// For everybody.
    pub app: TcpListener,
    /// For Prometheus.
    pub metrics: TcpListener,
}

/// How connections are held, and how the end goes.
#[derive(Clone, Copy, Debug)]
pub struct ServeSettings {
    /// The most connections at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// How long a connection may say nothing, in or between requests.
    pub idle_timeout: Duration,
    /// How long serving goes on after SIGTERM.
    pub drain: Duration,
    /// How long requests in flight may take after that.
    pub stop_timeout: Duration,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Drain first: a load balancer stands before us.
    Drained,
    /// Finish what is in flight and leave.
    Soon,
}

/// Serves until asked to stop. A second request to stop ends the drain.
pub async fn run(
    app: Arc<App>,
    listeners: Listeners,
    settings: ServeSettings,
    mut stop: Receiver<Stop>,
) -> anyhow::Result<()> {
    let (server, latch) = server(listeners.app, &settings)?;
    let mut server = server.max_connections(settings.max_connections);
    server
        .http1_mut()
        .max_buf_size(HEAD_LIMIT)
        .max_headers(HEADER_LIMIT);
    let handle = server.handle();
    let (metrics, _) = self::server(listeners.metrics, &settings)?;
    let metrics = metrics.max_connections(16);
    let metrics_handle = metrics.handle();
    let scraped = Router::with_path("metrics").get(ShowMetrics(app.clone()));
    let metrics = tokio::spawn(metrics.try_serve(scraped));
    let watch = tokio::spawn(watch_database(app.clone()));
    let serving = tokio::spawn(server.try_serve(service(app.clone())));

    let asked = stop.recv().await.unwrap_or(Stop::Soon);
    app.lifecycle.set_draining();
    app.metrics.draining();
    if asked == Stop::Drained {
        let seconds = settings.drain.as_secs_f64();
        tracing::info!(seconds, "Draining: not ready any more, still serving");
        tokio::select! {
            () = tokio::time::sleep(settings.drain) => {}
            _ = stop.recv() => {}
        }
    }
    tracing::info!("Stopping: no new connections, requests in flight may finish");
    // While every connection is taken nobody is let in either way.
    let _ = tokio::time::timeout(LAST_WORD, latch.close()).await;
    // A client that was let in at the last moment may be about to ask.
    tokio::time::sleep(LAST_WORD).await;
    handle.stop_graceful(settings.stop_timeout);
    serving
        .await
        .context("The server's task died")?
        .context("Failed to serve")?;
    metrics_handle.stop_forceful();
    metrics.abort();
    watch.abort();
    tracing::info!("Stopped");
    Ok(())
}

fn server(
    listener: TcpListener,
    settings: &ServeSettings,
) -> anyhow::Result<(Server<Door>, Latch)> {
    listener
        .set_nonblocking(true)
        .context("Failed to prepare the listening socket")?;
    let listener = tokio::net::TcpListener::from_std(listener)
        .context("Failed to prepare the listening socket")?;
    let acceptor = TcpAcceptor::try_from(listener).context("Failed to read the bound address")?;
    // hyper's limit for a request head also runs between two requests, so the
    // strict 30 s would close connections that a load balancer still counts
    // on: its own idle timeout (60 s on AWS) has to be the shorter one.
    let fuse = FuseConfig::strict()
        .with_http1_header_timeout(settings.idle_timeout)
        .with_connection_idle_timeout(settings.idle_timeout)
        .with_request_body_timeout(Duration::from_secs(10));
    let door = Door::new(acceptor);
    let latch = door.latch();
    Ok((Server::new(door).fuse_config(fuse), latch))
}

/// Makes the indexes as soon as the database allows, then keeps an eye on it.
async fn watch_database(app: Arc<App>) {
    let mut told = false;
    while let Err(error) = app.store.prepare().await {
        if !told {
            tracing::warn!(reason = words(&error), "The database is not ready yet");
            told = true;
        }
        // The driver waits for a server by itself; this is for other failures.
        tokio::time::sleep(PREPARE_INTERVAL).await;
    }
    app.lifecycle.set_prepared();
    tracing::info!("The database is ready");
    let mut up = true;
    let mut ticks = tokio::time::interval(PING_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let ping = app.store.ping().await;
        app.metrics.database_up(ping.is_ok());
        match (ping, up) {
            (Err(error), true) => {
                tracing::warn!(reason = words(&error), "The database is out of reach");
                up = false;
            }
            (Ok(()), false) => {
                tracing::info!("The database is back");
                up = true;
            }
            _ => {}
        }
    }
}

fn words(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(failure) => failure.to_string(),
        StoreError::Refused => "the database refused a document".into(),
        StoreError::Broken(text) => text.clone(),
    }
}

struct ShowMetrics(Arc<App>);

#[async_trait]
impl Handler for ShowMetrics {
    async fn handle(
        &self,
        request: &mut Request,
        depot: &mut Depot,
        response: &mut Response,
        _ctrl: &mut FlowCtrl,
    ) {
        let text = self.0.metrics.encode();
        let answer = text
            .map(|text| Answer::bytes("text/plain; version=0.0.4; charset=utf-8", text.into()))
            .map(|answer| answer.header(header::CACHE_CONTROL, "no-store"))
            .map_err(|error| Error::Internal(format!("{error:#}")));
        answer.write(request, depot, response).await;
    }
}
