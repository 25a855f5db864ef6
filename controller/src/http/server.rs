//! The frame around both TCP listeners: what a connection may cost.
//!
//! HTTP/1 only, a cap on connections, on the size of a request's head, and a
//! time limit on everything that a peer can drag out. Bodies are the
//! handlers' business: nothing reads one unless a handler does.

use std::time::Duration;

use anyhow::{Context, Result};
use salvo::catch_panic::CatchPanic;
use salvo::catcher::Catcher;
use salvo::conn::tcp::TcpAcceptor;
use salvo::fuse::FuseConfig;
use salvo::http::header::{HeaderName, HeaderValue};
use salvo::prelude::*;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What a listener grants its peers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at once. More wait in the kernel's queue.
    pub(crate) connections: usize,
    /// For the head of a request, and for silence on a connection.
    pub(crate) patience: Duration,
    /// Whether a connection may carry more than one request.
    pub(crate) keep_alive: bool,
}

/// Bytes of a request's head, and of hyper's buffer.
const MAX_HEAD: usize = 16 * 1024;
/// Header fields of a request.
const MAX_HEADERS: usize = 64;
/// What an answer that is being written gets when the daemon stops.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Serves `router` on `listener` until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) -> Result<()> {
    let acceptor =
        TcpAcceptor::try_from(listener).context("Failed to take over the HTTP listener")?;
    let fuse = FuseConfig::strict()
        .with_http1_header_timeout(limits.patience)
        .with_connection_idle_timeout(limits.patience)
        .with_write_stall_timeout(limits.patience)
        .with_request_body_timeout(limits.patience);
    let mut server = Server::new(acceptor)
        .fuse_config(fuse)
        .max_connections(limits.connections);
    server
        .http1_mut()
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_HEAD)
        .keep_alive(limits.keep_alive);

    let handle = server.handle();
    let stopped = stop.clone();
    let waiter = tokio::spawn(async move {
        stopped.cancelled().await;
        handle.stop_graceful(STOP_GRACE);
    });
    let served = server.try_serve(service(router)).await;
    waiter.abort();
    served.context("Failed to serve HTTP")
}

/// `router` with what every answer has in common.
pub(crate) fn service(router: Router) -> Service {
    Service::new(router)
        .hoop(CatchPanic::new())
        .hoop(security_headers)
        .catcher(Catcher::default().hoop(plain_error))
}

/// Nothing here is to be kept, framed, run or read by a page of another site.
#[handler]
async fn security_headers(res: &mut Response) {
    for (name, value) in [
        ("cache-control", "no-store"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        res.headers_mut().insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
}

/// An error without a body of its own gets one line.
#[handler]
async fn plain_error(res: &mut Response, ctrl: &mut FlowCtrl) {
    let sentence = match res.status_code {
        Some(StatusCode::NOT_FOUND) => "There is nothing at this path",
        Some(StatusCode::METHOD_NOT_ALLOWED) => "This path does not take this method",
        Some(StatusCode::INTERNAL_SERVER_ERROR) => "Failed to answer: the daemon's log says why",
        _ => "This request cannot be answered",
    };
    res.render(Text::Plain(format!("{sentence}\n")));
    ctrl.skip_rest();
}
