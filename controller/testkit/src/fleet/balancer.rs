//! A small load balancer: each request goes to the next healthy target of the app.
//!
//! Whom it may choose from is decided by two words, and both have to be yes: what the AWS API says of the
//! target (so that one that is being deregistered gets nothing new) and the health check of the process
//! itself. It never asks a second target: a request that fails has failed. Like AWS's, it keeps connections
//! to its targets open.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode, Uri, Version,
    body::Incoming,
    header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::server::{Body, Dropped, Server, answer, full};

/// The largest request and the largest answer that pass.
const MAX_BODY: usize = 16 << 20;
/// How long a target may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Says who the client is, as every load balancer does.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who may get requests at this moment.
pub(super) type Targets = Arc<dyn Fn() -> Vec<SocketAddr> + Send + Sync>;

/// A running load balancer; it stops when dropped.
#[derive(Debug)]
pub(super) struct Balancer(Server);

impl Balancer {
    /// Starts on a free loopback port.
    pub(super) fn start(targets: Targets) -> Result<Balancer> {
        let client = Client::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            // Shorter than the 75 s after which the app closes them.
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .build_http();
        let next = Arc::new(AtomicUsize::new(0));
        let handler = move |request| {
            let (targets, client, next) = (Arc::clone(&targets), client.clone(), Arc::clone(&next));
            async move { Ok::<_, Dropped>(serve(request, &targets, &client, &next).await) }
        };
        let server = Server::start("balancer", handler, std::future::ready(()))?;
        Ok(Balancer(server))
    }

    /// Where it listens.
    pub(super) fn addr(&self) -> SocketAddr {
        self.0.addr()
    }
}

async fn serve(
    request: Request<Incoming>,
    targets: &Targets,
    client: &Client<HttpConnector, Full<Bytes>>,
    next: &AtomicUsize,
) -> Response<Body> {
    let targets = targets();
    let turn = next.fetch_add(1, Ordering::Relaxed);
    let Some(target) = turn
        .checked_rem(targets.len())
        .and_then(|at| targets.get(at))
    else {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "There is no healthy target",
        );
    };
    match tokio::time::timeout(TIMEOUT, pass_on(request, *target, client)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => refuse(StatusCode::BAD_GATEWAY, &format!("{target}: {error:#}")),
        Err(_) => refuse(
            StatusCode::GATEWAY_TIMEOUT,
            &format!("{target} took too long"),
        ),
    }
}

async fn pass_on(
    request: Request<Incoming>,
    target: SocketAddr,
    client: &Client<HttpConnector, Full<Bytes>>,
) -> Result<Response<Body>> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = Uri::try_from(format!("http://{target}{path}"))?;
    head.version = Version::HTTP_11;
    for name in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    let client_addr = HeaderValue::from_static("127.0.0.1");
    head.headers.insert(FORWARDED_FOR, client_addr);
    let body = read(body).await?;
    let answer = client
        .request(Request::from_parts(head, Full::new(body)))
        .await?;
    let (mut head, body) = answer.into_parts();
    // What a connection to a target says of itself is not the client's.
    for name in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    head.version = Version::HTTP_11;
    Ok(Response::from_parts(head, full(read(body).await?)))
}

async fn read(body: Incoming) -> Result<Bytes> {
    let body = Limited::new(body, MAX_BODY).collect().await;
    Ok(body.map_err(|error| anyhow::anyhow!(error))?.to_bytes())
}

fn refuse(status: StatusCode, why: &str) -> Response<Body> {
    answer(status, "text/plain", format!("{why}\n"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::world::daemon::http_get;

    /// A target that answers with its name.
    fn target(name: &'static str) -> Server {
        let handler = move |_| async move { Ok(answer(StatusCode::OK, "text/plain", name)) };
        Server::start(name, handler, std::future::ready(())).unwrap()
    }

    #[tokio::test]
    async fn requests_go_to_those_who_may_get_them() {
        let (one, two) = (target("one"), target("two"));
        let allowed = Arc::new(Mutex::new(vec![one.addr(), two.addr()]));
        let balancer = {
            let allowed = Arc::clone(&allowed);
            Balancer::start(Arc::new(move || allowed.lock().unwrap().clone())).unwrap()
        };
        let ask = || http_get(balancer.addr(), "/x");
        let both = [ask().await.unwrap().1, ask().await.unwrap().1];
        assert!(both.contains(&"one".to_owned()) && both.contains(&"two".to_owned()));

        *allowed.lock().unwrap() = vec![two.addr()];
        for _ in 0..4 {
            assert_eq!(ask().await.unwrap(), (200, "two".to_owned()));
        }
        allowed.lock().unwrap().clear();
        assert_eq!(ask().await.unwrap().0, 503);
        *allowed.lock().unwrap() = vec!["127.0.0.1:1".parse().unwrap()];
        assert_eq!(ask().await.unwrap().0, 502);
    }
}
