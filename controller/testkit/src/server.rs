//! A loopback HTTP/1.1 server on a thread of its own.
//!
//! The proxy and the stand-in run in it. A thread with a small runtime makes them work the same from async
//! code and from plain code, and lets them end, connections and all, the moment their owner is dropped. It
//! knows nothing of AWS.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, thread};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, body::Incoming, header::HeaderValue, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::oneshot};

/// A body that may break off with an error, which closes the connection in its middle.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A body of known bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// An answer with a content type and a body.
pub(crate) fn answer(
    status: hyper::StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The request is to get no answer: its connection is closed.
#[derive(Debug)]
pub(crate) struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("The connection is dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

/// A running server; dropping it closes its connections and waits for its thread.
#[derive(Debug)]
pub(crate) struct Server {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Listens on a free loopback port and answers with `handler`; `beside` runs next to it.
    pub(crate) fn start<H, F>(
        name: &str,
        handler: H,
        beside: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Server>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response<Body>, Dropped>> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))
            .context("Failed to listen on loopback")?;
        listener
            .set_nonblocking(true)
            .context("Failed to set up the listener")?;
        let addr = listener
            .local_addr()
            .context("Failed to ask for the listener's port")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("Failed to make a runtime")?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::spawn(beside);
                    tokio::select! {
                        () = accept(listener, handler) => {}
                        // An error means that the server was dropped, which is the usual way to stop.
                        _ = stopped => {}
                    }
                });
            })
            .with_context(|| format!("Failed to start the thread of {name}"))?;
        Ok(Server {
            addr,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic on that thread has been printed already.
            let _ = thread.join();
        }
    }
}

/// Accepts for ever; each connection is a task.
async fn accept<H, F>(listener: std::net::TcpListener, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Body>, Dropped>> + Send + 'static,
{
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others close theirs in the meantime.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let handler = handler.clone();
        tokio::spawn(async move {
            // Errors here are clients that went away and connections dropped on purpose.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(handler))
                .await;
        });
    }
}
