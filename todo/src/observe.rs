//! The outermost layer: every request gets an id, a log line, its place in the
//! metrics, and every answer the headers that keep browsers safe and tell
//! which release gave it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use salvo::http::StatusCode;
use salvo::http::header::{self, HeaderName, HeaderValue};
use salvo::prelude::*;
use tracing::Instrument;

use crate::app::App;
use crate::proxy::Peer;
use crate::request_id::{REQUEST_ID, RequestId};

/// The header that tells which release answered.
pub const RELEASE: HeaderName = HeaderName::from_static("x-todo-release");

/// The outermost layer.
#[derive(Debug)]
pub struct Observe {
    app: Arc<App>,
    release: HeaderValue,
}

impl Observe {
    /// A layer for this server.
    pub fn new(app: Arc<App>) -> Self {
        let release = app.settings.release.to_string();
        Self {
            app,
            release: HeaderValue::from_str(&release)
                .unwrap_or_else(|_| HeaderValue::from_static("unknown")),
        }
    }
}

/// Only our own files, and nothing inline. `connect-src` is for the page's own
/// requests.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'";

const SAFETY: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
];

#[async_trait]
impl Handler for Observe {
    async fn handle(
        &self,
        request: &mut Request,
        depot: &mut Depot,
        response: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let start = Instant::now();
        let in_flight = self.app.metrics.request_started();
        let id = RequestId::of(request.headers());
        let peer = self.app.settings.proxies.peer(request);
        let span = tracing::info_span!("request", request_id = id.as_str());
        depot.insert_typed(id.clone());
        depot.insert_typed(peer.clone());
        async {
            ctrl.call_next(request, depot, response).await;
            self.add_headers(&id, &peer, response);
            let answered = Answered {
                route: route(request.matched_path(), request.uri().path()),
                status: response.status_code.unwrap_or(StatusCode::OK),
                duration: start.elapsed(),
                client: peer,
            };
            self.app.metrics.request(
                request.method(),
                answered.route,
                answered.status,
                answered.duration,
            );
            answered.log(request);
        }
        .instrument(span)
        .await;
        drop(in_flight);
    }
}

impl Observe {
    fn add_headers(&self, id: &RequestId, peer: &Peer, response: &mut Response) {
        let headers = response.headers_mut();
        for (name, value) in SAFETY {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if peer.secure {
            let year = HeaderValue::from_static("max-age=31536000");
            headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
        }
        headers.insert(RELEASE, self.release.clone());
        if let Ok(id) = HeaderValue::from_str(id.as_str()) {
            headers.insert(REQUEST_ID, id);
        }
        if self.app.lifecycle.is_draining() {
            // Clients open their next connection elsewhere, so that none of
            // them sends a request into the moment when this one closes.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// What the log says of a request.
struct Answered {
    route: &'static str,
    status: StatusCode,
    duration: Duration,
    client: Peer,
}

impl Answered {
    fn log(&self, request: &Request) {
        let status = self.status.as_u16();
        let duration_ms = self.duration.as_secs_f64() * 1_000.0;
        let client = self.client.client.map(tracing::field::display);
        let (method, path) = (request.method().as_str(), request.uri().path());
        let route = self.route;
        // Probes come every few seconds and are of interest when they fail.
        let is_probe = matches!(route, "/livez" | "/readyz") && self.status.is_success();
        if is_probe {
            tracing::debug!(method, path, route, status, duration_ms, client, "Request");
        } else {
            tracing::info!(method, path, route, status, duration_ms, client, "Request");
        }
    }
}

/// The template of a route as a label: a closed set, so that no client can
/// make series.
fn route(matched: &str, path: &str) -> &'static str {
    match matched {
        "" if path == "/" => "/",
        "app.js" | "style.css" | "favicon.svg" => "/assets",
        "livez" => "/livez",
        "readyz" => "/readyz",
        "openapi.json" => "/openapi.json",
        "todos" => "/todos",
        "todos/{id}" => "/todos/{id}",
        "api/todos" => "/api/todos",
        "api/todos/{id}" => "/api/todos/{id}",
        _ => "none",
    }
}
