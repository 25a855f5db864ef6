//! What the server counts and measures, for Prometheus.
//!
//! All names, help texts and label values stand in this file, and every label
//! has a closed set of values: route templates rather than paths, sorted
//! failures rather than error texts. Nothing here decides anything.

use std::time::Duration;

use anyhow::Context;
use mongodb::event::cmap::CmapEvent;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use salvo::http::{Method, StatusCode};

use crate::release::Release;

/// Upper bounds in seconds, from a list out of memory to the request timeout.
const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// What is asked of the database.
#[derive(Clone, Copy, Debug)]
pub enum DatabaseOperation {
    /// A part of the list.
    List,
    /// One todo.
    Get,
    /// A new todo.
    Insert,
    /// A change.
    Update,
    /// One or all todos removed.
    Delete,
    /// A sign of life.
    Ping,
    /// Collection and indexes at the start.
    Prepare,
}

impl DatabaseOperation {
    fn label(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Ping => "ping",
            Self::Prepare => "prepare",
        }
    }
}

/// Every series of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    refused: prometheus::IntCounter,
    database_seconds: HistogramVec,
    database_failures: IntCounterVec,
    database_up: IntGauge,
    draining: IntGauge,
    pool_connections: IntGauge,
    pool_in_use: IntGauge,
    pool_cleared: prometheus::IntCounter,
    pool_wait: Histogram,
}

impl Metrics {
    /// Registers every series.
    pub fn new(release: &Release) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let build = prometheus::IntGaugeVec::new(
            Opts::new("todo_build_info", "Which release this is; always 1"),
            &["version", "ami"],
        )?;
        build
            .with_label_values(&[release.version.as_str(), release.ami.as_str()])
            .set(1);
        registry.register(Box::new(build))?;
        let histogram =
            |name: &str, help: &str| HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("todo_http_requests_total", "Requests answered"),
                &["method", "route", "status"],
            )?,
            durations: HistogramVec::new(
                histogram(
                    "todo_http_request_duration_seconds",
                    "Time from the request's head to the answer's",
                ),
                &["method", "route"],
            )?,
            in_flight: IntGauge::new("todo_http_requests_in_flight", "Requests being answered")?,
            refused: prometheus::IntCounter::new(
                "todo_http_requests_refused_total",
                "Requests refused because too many were in flight",
            )?,
            database_seconds: HistogramVec::new(
                histogram(
                    "todo_database_operation_duration_seconds",
                    "Time of one operation, retries by the driver included",
                ),
                &["operation"],
            )?,
            database_failures: IntCounterVec::new(
                Opts::new("todo_database_failures_total", "Operations that failed"),
                &["operation", "kind"],
            )?,
            database_up: IntGauge::new("todo_database_up", "Whether the last ping was answered")?,
            draining: IntGauge::new("todo_draining", "Whether the server is about to stop")?,
            pool_connections: IntGauge::new(
                "todo_database_pool_connections",
                "Open connections to the database",
            )?,
            pool_in_use: IntGauge::new(
                "todo_database_pool_connections_in_use",
                "Connections to the database that an operation holds",
            )?,
            pool_cleared: prometheus::IntCounter::new(
                "todo_database_pool_cleared_total",
                "How often all connections were given up after an error",
            )?,
            pool_wait: Histogram::with_opts(histogram(
                "todo_database_pool_wait_seconds",
                "Time that operations waited for a connection",
            ))?,
            registry,
        };
        metrics
            .register()
            .context("Failed to register the metrics")?;
        Ok(metrics)
    }

    fn register(&self) -> prometheus::Result<()> {
        let collectors: [Box<dyn prometheus::core::Collector>; 12] = [
            Box::new(self.requests.clone()),
            Box::new(self.durations.clone()),
            Box::new(self.in_flight.clone()),
            Box::new(self.refused.clone()),
            Box::new(self.database_seconds.clone()),
            Box::new(self.database_failures.clone()),
            Box::new(self.database_up.clone()),
            Box::new(self.draining.clone()),
            Box::new(self.pool_connections.clone()),
            Box::new(self.pool_in_use.clone()),
            Box::new(self.pool_cleared.clone()),
            Box::new(self.pool_wait.clone()),
        ];
        collectors
            .into_iter()
            .try_for_each(|collector| self.registry.register(collector))
    }

    /// The series as text.
    pub fn encode(&self) -> anyhow::Result<String> {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .context("Failed to encode the metrics")
    }

    /// Counts a request in until the guard is dropped, whatever becomes of it.
    pub fn request_started(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A request was answered.
    pub fn request(
        &self,
        method: &Method,
        route: &'static str,
        status: StatusCode,
        duration: Duration,
    ) {
        let method = match method.as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PATCH" | "DELETE" | "OPTIONS" | "PUT") => known,
            _ => "other",
        };
        self.requests
            .with_label_values(&[method, route, status.as_str()])
            .inc();
        self.durations
            .with_label_values(&[method, route])
            .observe(duration.as_secs_f64());
    }

    /// A request was refused because too many were in flight.
    pub fn request_refused(&self) {
        self.refused.inc();
    }

    /// An operation of the database ended.
    pub fn database_operation(
        &self,
        operation: DatabaseOperation,
        duration: Duration,
        failure: Option<&'static str>,
    ) {
        self.database_seconds
            .with_label_values(&[operation.label()])
            .observe(duration.as_secs_f64());
        if let Some(kind) = failure {
            self.database_failures
                .with_label_values(&[operation.label(), kind])
                .inc();
        }
    }

    /// The database answered a ping, or did not.
    pub fn database_up(&self, up: bool) {
        self.database_up.set(up.into());
    }

    /// The server is about to stop.
    pub fn draining(&self) {
        self.draining.set(1);
    }

    /// Something happened in the driver's connection pool.
    pub fn pool_event(&self, event: &CmapEvent) {
        match event {
            CmapEvent::ConnectionCreated(_) => self.pool_connections.inc(),
            CmapEvent::ConnectionClosed(_) => self.pool_connections.dec(),
            CmapEvent::ConnectionCheckedOut(event) => {
                self.pool_in_use.inc();
                self.pool_wait.observe(event.duration.as_secs_f64());
            }
            CmapEvent::ConnectionCheckedIn(_) => self.pool_in_use.dec(),
            CmapEvent::PoolCleared(_) => self.pool_cleared.inc(),
            _ => {}
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
