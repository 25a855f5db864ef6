//! The application's state: what answering a request may need.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use salvo::http::header::HeaderValue;
use salvo::prelude::*;

use crate::error::Error;
use crate::metrics::Metrics;
use crate::proxy::TrustedProxies;
use crate::release::Release;
use crate::store::Store;

/// The largest body that is read, in bytes: what the original allowed.
pub const BODY_LIMIT: usize = 102_400;

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
