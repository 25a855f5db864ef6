//! The application: its state, its router and the layers around it.
//!
//! [`service`] is what both the server and the tests in process use. The order
//! of the layers matters: observing is outermost, so that every answer has an
//! id and is counted; CORS stands outside the panic handler, so that browsers
//! can read a 500 as well; the limits are only around routes that need the
//! database, so that probes answer when everything else is busy.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use salvo::affix_state;
use salvo::catcher::Catcher;
use salvo::cors::{Any, Cors};
use salvo::http::header::{self, HeaderName, HeaderValue};
use salvo::http::{Method, StatusError};
use salvo::prelude::*;
use tokio::sync::Semaphore;

use crate::error::{Catch, Error};
use crate::metrics::Metrics;
use crate::observe::{Observe, RELEASE, REQUEST_ID};
use crate::proxy::TrustedProxies;
use crate::store::Store;
use crate::{compat, openapi, page, probes, routes};

/// The largest body that is read, in bytes: what the original allowed.
pub const BODY_LIMIT: usize = 102_400;

/// Which build on which image this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The image's id, `unknown` outside of AWS.
    pub ami: String,
    /// The version of the program.
    pub version: String,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ami, self.version)
    }
}

/// What can be set from outside about answering requests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The longest list that is answered at once, in todos.
    pub list_cap: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How many requests may use the database at once.
    pub max_concurrent: usize,
    /// Whether `DELETE /todos` exists.
    pub allow_delete_all: bool,
    /// Whose forwarded headers are believed.
    pub proxies: TrustedProxies,
    /// The origins that browsers may call from; empty for any.
    pub cors_origins: Vec<HeaderValue>,
    /// Which release this is.
    pub release: Release,
}

/// Where the process stands between start and stop.
#[derive(Debug, Default)]
pub struct Lifecycle {
    prepared: AtomicBool,
    draining: AtomicBool,
}

impl Lifecycle {
    /// Collection and indexes are there.
    pub fn set_prepared(&self) {
        self.prepared.store(true, Ordering::Release);
    }

    /// Whether collection and indexes are there.
    pub fn is_prepared(&self) -> bool {
        self.prepared.load(Ordering::Acquire)
    }

    /// The process is about to stop.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the process is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// Everything that answering a request may need.
#[derive(Debug)]
pub struct App {
    /// Where the todos are.
    pub store: Store,
    /// What can be set from outside.
    pub settings: Settings,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where the process stands.
    pub lifecycle: Lifecycle,
}

impl App {
    /// The app that a handler belongs to.
    pub fn of(depot: &Depot) -> Result<&Arc<Self>, Error> {
        depot
            .get_typed::<Arc<Self>>()
            .map_err(|_| Error::Internal("A route was mounted without its app".into()))
    }
}

/// Every route, without the layers around all of them.
pub fn router(app: &Arc<App>) -> Router {
    let heads = true;
    Router::new()
        .hoop(affix_state::inject(app.clone()))
        .push(page::router(&app.settings.release))
        .push(probes::router(heads))
        .push(openapi::router(app))
        .push(api(app, heads))
}

/// The routes that the OpenAPI document describes. Their HEAD twins are left
/// out there, since OpenAPI implies nothing about them and repeats everything.
pub fn api(app: &App, heads: bool) -> Router {
    Router::new()
        .hoop(Gate(Semaphore::new(app.settings.max_concurrent)))
        .hoop(Timeout::new(app.settings.request_timeout).error(|| {
            StatusError::service_unavailable().brief("The request took too long and was given up")
        }))
        .push(routes::router(app.settings.allow_delete_all, heads))
        .push(compat::router(heads))
}

/// The whole application with its layers.
pub fn service(app: Arc<App>) -> Service {
    let router = router(&app);
    Service::new(router)
        .catcher(Catcher::new(Catch))
        .hoop(Observe::new(app.clone()))
        .hoop(cors(&app.settings.cors_origins))
        .hoop(CatchPanic::new())
}

fn cors(origins: &[HeaderValue]) -> impl Handler {
    let cors = Cors::new()
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("x-http-method-override"),
            REQUEST_ID,
        ])
        .expose_headers([
            header::ALLOW,
            header::ETAG,
            header::LINK,
            header::LOCATION,
            header::RETRY_AFTER,
            compat::TRUNCATED,
            RELEASE,
            REQUEST_ID,
        ])
        .max_age(Duration::from_secs(3_600));
    if origins.is_empty() {
        cors.allow_origin(Any).into_handler()
    } else {
        cors.allow_origin(origins.to_vec()).into_handler()
    }
}

/// Refuses requests when too many are in flight: waiting in a queue that grows
/// would help nobody.
#[derive(Debug)]
struct Gate(Semaphore);

#[async_trait]
impl Handler for Gate {
    async fn handle(
        &self,
        request: &mut Request,
        depot: &mut Depot,
        response: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let Ok(_permit) = self.0.try_acquire() else {
            if let Ok(app) = App::of(depot) {
                app.metrics.request_refused();
            }
            ctrl.skip_rest();
            let busy = Error::Unavailable("Too many requests at once; try again soon".into());
            return busy.write(request, depot, response).await;
        };
        ctrl.call_next(request, depot, response).await;
    }
}
