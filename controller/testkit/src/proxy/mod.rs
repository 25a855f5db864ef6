//! A reverse proxy between AWS clients and moto_server that plays, by rule, what moto lacks.
//!
//! terraform, terragrunt's S3 backend, the Rust SDK and boto3 talk to it as they would to AWS. Most requests
//! pass through untouched; those that a rule is about are changed on their way, or their answer is. It plays
//! no more than what the scenes need, and it never checks a signature.

mod activities;
mod beyond;
pub(crate) mod errors;
mod groups;
mod images;
mod ledger;
mod lookup;
mod rules;
mod targets;
#[cfg(test)]
mod tests;
mod upstream;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{CONNECTION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING},
};

pub use rules::{Fault, FaultKind, ImageHealth, LATER_PAGE, RefuseLaunches, Rules};
pub(crate) use upstream::{Answer, Service, Upstream};

use crate::server::{Body, Dropped, Server, full};
use crate::wire::{Call, Element};

/// How many requests are remembered.
const MAX_SEEN: usize = 100_000;

/// A running proxy; it stops when dropped.
#[derive(Debug)]
pub struct Proxy {
    inner: Arc<Inner>,
    server: Server,
}

/// One request that the proxy has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When its answer was ready.
    pub at: jiff::Timestamp,
    /// The id of the key that it was signed with; empty where it was not signed.
    pub key: String,
    /// The service as the signature names it: `ec2`, `autoscaling`, `elasticloadbalancing`, `s3`, `sts`, …
    pub service: String,
    /// The action, for example `DescribeInstances`; for S3 `GetObject`, `PutObject` and so on.
    pub action: String,
    /// The HTTP status that was sent; none where the connection was dropped.
    pub status: Option<u16>,
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Inner {
    upstream: Upstream,
    rules: Rules,
    ledger: ledger::Ledger,
    lookup: lookup::Lookup,
    lives: beyond::Lives,
    /// Requests that change groups take turns.
    turn: tokio::sync::Mutex<()>,
    seen: Mutex<VecDeque<Seen>>,
    /// Pages that were told to come twice so far; their number is in the token.
    repeated: AtomicU64,
    repeats: Mutex<VecDeque<(String, Option<String>)>>,
}

impl Proxy {
    /// Starts a proxy on a free loopback port in front of the moto_server at `upstream`.
    ///
    /// It runs on a thread of its own, so that it works from async code and from plain code.
    pub fn start(upstream: SocketAddr) -> Result<Proxy> {
        let inner = Arc::new(Inner {
            upstream: Upstream::new(upstream),
            rules: Rules::default(),
            ledger: ledger::Ledger::default(),
            lookup: lookup::Lookup::default(),
            lives: beyond::Lives::default(),
            turn: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
            repeated: AtomicU64::default(),
            repeats: Mutex::default(),
        });
        let handler = {
            let inner = Arc::clone(&inner);
            move |request| {
                let inner = Arc::clone(&inner);
                async move { inner.serve(request).await }
            }
        };
        let beside = {
            let inner = Arc::clone(&inner);
            async move {
                loop {
                    inner.rules.launches_allowed().await;
                    if let Err(error) = groups::release(&inner).await {
                        eprintln!("The test proxy failed to let launches through: {error:#}");
                    }
                }
            }
        };
        Ok(Proxy {
            server: Server::start("aws-proxy", handler, beside)?,
            inner,
        })
    }

    /// The proxy's URL, for `AWS_ENDPOINT_URL`, without a slash at the end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    /// The rules, which may be changed while the proxy runs.
    pub fn rules(&self) -> &Rules {
        &self.inner.rules
    }

    /// The latest requests (at most 100,000), oldest first.
    pub fn requests(&self) -> Vec<Seen> {
        self.inner
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

impl Inner {
    /// Answers a request and remembers it.
    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
        let call = match Call::read(request).await {
            Ok(call) => call,
            Err(error) => {
                return Ok(errors::error(
                    "",
                    400,
                    "MalformedInput",
                    &format!("{error:#}"),
                ));
            }
        };
        let (service, action) = (call.service.clone(), call.action.clone());
        let key = call.key();
        let answer = self.answer(call).await;
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_SEEN {
            seen.pop_front();
        }
        seen.push_back(Seen {
            at: jiff::Timestamp::now(),
            key,
            service,
            action,
            status,
        });
        answer
    }

    /// Plays a fault, or carries the request out and plays one on its answer.
    async fn answer(&self, mut call: Call) -> Result<Response<Body>, Dropped> {
        let fault = self.rules.take_fault(&call);
        let service = call.service.clone();
        match fault {
            Some(FaultKind::Throttle) => return Ok(errors::throttled(&service)),
            Some(FaultKind::Status(status)) => return Ok(errors::of_status(&service, status)),
            Some(FaultKind::DropConnection) => return Err(Dropped),
            _ => {}
        }
        self.restore_token(&mut call);
        let token = page_token(&call).map(|(_, token)| token);
        let is_head = call.method == hyper::Method::HEAD;
        let answer = match self.carry_out(call).await {
            Ok(answer) => answer,
            Err(error) => errors::error(
                &service,
                502,
                "BadGateway",
                &format!("The test proxy failed: {error:#}"),
            ),
        };
        Ok(match fault {
            Some(FaultKind::Delay(time)) => {
                tokio::time::sleep(time).await;
                answer
            }
            Some(FaultKind::CutBody) if !is_head => cut(answer).await,
            Some(FaultKind::RepeatPage) => self.repeat(&service, token, answer).await,
            _ => answer,
        })
    }

    /// Asks moto, bending the request or its answer where a rule is about it.
    async fn carry_out(&self, mut call: Call) -> Result<Response<Body>> {
        if groups::is_write(&call) {
            return groups::write(self, call).await;
        }
        if beyond::is_played(&call) {
            return beyond::play(self, &call).await;
        }
        let listing = beyond::whole(&mut call);
        let answer = self.upstream.forward(&call).await?;
        let answer = match (call.service.as_str(), call.action.as_str()) {
            _ if answer.status != StatusCode::OK => answer,
            ("autoscaling", "DescribeAutoScalingGroups") => groups::show(self, answer)?,
            ("autoscaling", "DescribeScalingActivities") => {
                activities::show(self, &call, answer).await?
            }
            ("elasticloadbalancing", "DescribeTargetHealth") => {
                targets::show_health(self, &call, answer).await?
            }
            ("ec2", "DescribeInstances") => targets::show_instances(self, answer)?,
            ("ec2", "DescribeImages") => images::show(self, answer)?,
            _ => answer,
        };
        let answer = match listing {
            Some(listing) if answer.status == StatusCode::OK => {
                beyond::show(self, &listing, &call, answer)?
            }
            _ => answer,
        };
        let is_head = call.method == hyper::Method::HEAD;
        Ok(if is_head {
            reply_to_head(answer)
        } else {
            reply(answer)
        })
    }

    /// Makes an answer name a further page, whose token leads to the same page.
    async fn repeat(
        &self,
        service: &str,
        token: Option<String>,
        answer: Response<Body>,
    ) -> Response<Body> {
        let (head, body) = answer.into_parts();
        let bytes = body
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default();
        let Ok(mut root) = Element::parse(&String::from_utf8_lossy(&bytes)) else {
            return Response::from_parts(head, full(bytes));
        };
        let number = self.repeated.fetch_add(1, Ordering::Relaxed);
        let name = format!("again-{number}");
        match service {
            "ec2" => root.set("nextToken", &*name),
            _ => {
                let field = if service == "elasticloadbalancing" {
                    "NextMarker"
                } else {
                    "NextToken"
                };
                if let Some(result) = root
                    .children
                    .iter_mut()
                    .find(|child| child.name.ends_with("Result"))
                {
                    result.set(field, &*name);
                }
            }
        }
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        if repeats.len() >= 1_000 {
            repeats.pop_front();
        }
        repeats.push_back((name, token));
        let mut response = Response::from_parts(head, full(root.document()));
        response.headers_mut().remove(CONTENT_LENGTH);
        response
    }

    /// Puts the token back that a repeated page was asked with.
    fn restore_token(&self, call: &mut Call) {
        let Some((field, token)) = page_token(call) else {
            return;
        };
        let repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, real)) = repeats.iter().find(|(name, _)| *name == token) else {
            return;
        };
        let mut form = call.form.clone();
        match real {
            Some(real) => form.set(field, &**real),
            None => form.remove(field),
        }
        call.use_form(form);
    }
}

/// The field and value that ask for a further page.
fn page_token(call: &Call) -> Option<(&'static str, String)> {
    ["NextToken", "Marker"]
        .into_iter()
        .find_map(|field| Some((field, call.form.get(field)?.to_owned())))
}

/// Changes an answer's XML; one that is no XML stays as it is.
pub(crate) fn rewrite(answer: Answer, change: impl FnOnce(&mut Element)) -> Result<Answer> {
    let Ok(mut root) = Element::parse(&String::from_utf8_lossy(&answer.body)) else {
        return Ok(answer);
    };
    change(&mut root);
    Ok(Answer {
        body: Bytes::from(root.document()),
        ..answer
    })
}

/// The answer as it goes to the client.
pub(crate) fn reply(answer: Answer) -> Response<Body> {
    let mut response = Response::new(full(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        response.headers_mut().remove(name);
    }
    // A checksum of the body as moto wrote it; no client misses it.
    response.headers_mut().remove("x-amz-crc32");
    response
}

/// The answer to a HEAD request: its length is that of a body that does not come.
fn reply_to_head(answer: Answer) -> Response<Body> {
    let length = answer.headers.get(CONTENT_LENGTH).cloned();
    let mut response = reply(answer);
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    response
}

/// An answer whose body breaks off in its middle, though its length promises more.
pub(crate) async fn cut(answer: Response<Body>) -> Response<Body> {
    let (mut head, body) = answer.into_parts();
    let bytes = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    head.headers
        .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let half = bytes.slice(..bytes.len() / 2);
    let frames = [
        Ok(Frame::data(half)),
        Err(std::io::Error::other("The body is cut on purpose")),
    ];
    Response::from_parts(head, StreamBody::new(stream::iter(frames)).boxed_unsync())
}
