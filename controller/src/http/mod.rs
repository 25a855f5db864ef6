//! What the daemon shows over HTTP: the page, metrics, probes and the API.
//!
//! Everything is read-only and answered from the [`Status`] snapshot, so no
//! request costs AWS, git or terragrunt anything. Commands go through the unix
//! socket, the webhook has a listener of its own. The clock stays outside: the
//! loop's age is asked of a function that the caller brings.

mod images;
mod page;
pub(crate) mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use amid_core::history::deployments::Deployment;
use anyhow::Result;
use jiff::Timestamp;
use salvo::prelude::*;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::status::{App, Repository, Status};

/// What the pages are made of.
#[derive(Clone)]
pub struct State {
    /// The snapshot.
    pub status: watch::Receiver<Arc<Status>>,
    /// What clean-up says of images.
    pub images: crate::cleanup::Handle,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// How long ago the loop moved.
    pub alive: Arc<dyn Fn() -> Liveness + Send + Sync>,
    /// The wall clock, for what counts down.
    pub now: fn() -> Timestamp,
}

/// Whether the loop moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// So long ago it moved last.
    pub ago: Duration,
    /// After so long something is wrong.
    pub limit: Duration,
}

/// Room for everybody who may watch the page, and as much again for scrapes,
/// probes and readers, which take milliseconds.
const LIMITS: server::Limits = server::Limits {
    connections: 256,
    patience: Duration::from_secs(15),
    keep_alive: true,
};

/// Serves on `listener` until `stop`.
///
/// # Errors
///
/// The listener broke.
pub async fn serve(listener: TcpListener, state: State, stop: CancellationToken) -> Result<()> {
    let routes = router(state, stop.clone());
    server::serve(listener, routes, LIMITS, stop).await
}

/// All paths; what they need besides ends at `stop`.
fn router(state: State, stop: CancellationToken) -> Router {
    let cleanup = state.images.clone();
    page::router(state.status.clone(), state.now, cleanup, page::PACE, stop)
        .push(Router::with_path("metrics").get(Scrape(state.metrics)))
        .push(Router::with_path("livez").get(Live(state.alive)))
        .push(Router::with_path("readyz").get(Ready(state.status.clone())))
        .push(Router::with_path("api/v1/images").get(images::Images(state.images)))
        .push(
            Router::with_path("api/v1/apps")
                .get(Apps(state.status.clone()))
                .push(Router::with_path("{*+app}").get(OneApp(state.status))),
        )
}

struct Scrape(Arc<Metrics>);

#[handler]
impl Scrape {
    async fn handle(&self, res: &mut Response) {
        res.render(Text::Plain(self.0.render()));
        // The version tells Prometheus which of its formats this is.
        res.headers_mut().insert(
            salvo::http::header::CONTENT_TYPE,
            salvo::http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        );
    }
}

struct Live(Arc<dyn Fn() -> Liveness + Send + Sync>);

#[handler]
impl Live {
    async fn handle(&self, res: &mut Response) {
        let Liveness { ago, limit } = (self.0)();
        if ago <= limit {
            res.render(Text::Plain("ok\n"));
        } else {
            res.status_code(StatusCode::SERVICE_UNAVAILABLE);
            res.render(Text::Plain(format!(
                "the loop has not moved for {} s, at most {} s are expected: restart the daemon, nothing is lost by that\n",
                ago.as_secs(),
                limit.as_secs()
            )));
        }
    }
}

struct Ready(watch::Receiver<Arc<Status>>);

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    /// What is not there yet, as sentences.
    missing: Vec<String>,
}

impl Readiness {
    fn of(status: &Status) -> Self {
        let mut missing = Vec::new();
        if status.repository.fetched.is_none() {
            missing.push(match &status.repository.error {
                Some(error) => format!("the repository cannot be read: {error}"),
                None => "the repository has not been read yet".to_owned(),
            });
        }
        if status.swept.is_none() {
            missing.push("the first look at every app has not ended yet".to_owned());
        }
        Self {
            ready: missing.is_empty(),
            missing,
        }
    }
}

#[handler]
impl Ready {
    async fn handle(&self, res: &mut Response) {
        let readiness = Readiness::of(&self.0.borrow());
        if !readiness.ready {
            res.status_code(StatusCode::SERVICE_UNAVAILABLE);
        }
        res.render(Json(readiness));
    }
}

struct Apps(watch::Receiver<Arc<Status>>);

/// The answer of `/api/v1/apps`.
#[derive(Serialize)]
struct AppList<'a> {
    repository: &'a Repository,
    swept: Option<jiff::Timestamp>,
    apps: &'a [App],
}

#[handler]
impl Apps {
    async fn handle(&self, res: &mut Response) {
        let status = self.0.borrow().clone();
        res.render(Json(AppList {
            repository: &status.repository,
            swept: status.swept,
            apps: &status.apps,
        }));
    }
}

/// The answer of `/api/v1/apps/<app>/history`, the newest commit first.
#[derive(Serialize)]
struct History<'a> {
    app: &'a str,
    deployments: Vec<&'a Deployment>,
}

/// An app, or its history; an app whose own name ends in `/history` is found
/// first.
struct OneApp(watch::Receiver<Arc<Status>>);

#[handler]
impl OneApp {
    async fn handle(&self, req: &mut Request, res: &mut Response) {
        let name = req.param::<String>("app").unwrap_or_default();
        let status = self.0.borrow().clone();
        if let Some(app) = status.app(&name) {
            res.render(Json(app));
        } else if let Some(app) = name
            .strip_suffix("/history")
            .and_then(|name| status.app(name))
        {
            let deployments = app.history.newest_first().collect();
            res.render(Json(History {
                app: &app.app,
                deployments,
            }));
        } else {
            res.status_code(StatusCode::NOT_FOUND);
            res.render(Json(serde_json::json!({
                "error": format!(
                    "there is no app `{}`: /api/v1/apps lists them",
                    name.chars().take(80).collect::<String>().escape_debug()
                )
            })));
        }
    }
}
