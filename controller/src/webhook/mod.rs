//! The webhook receiver: a forge says that something was pushed.
//!
//! It believes nothing but that: the body is hashed piece by piece, never
//! kept and never parsed, and a valid request only wakes the loop, which looks
//! for itself. So a replayed request costs one fetch, and a thousand of them
//! in a row cost one as well. What a stranger can make it do is bounded before
//! any cryptography: a token bucket, a body cap, a time limit, a connection
//! cap. Polling goes on whatever happens here.

mod bucket;
mod signature;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use http_body_util::BodyExt;
use salvo::http::header::{ALLOW, CONTENT_LENGTH, HeaderValue, RETRY_AFTER};
use salvo::http::{Method, ReqBody};
use salvo::prelude::*;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http::server;
use crate::metrics::Metrics;
use crate::metrics::labels::WebhookResult;
use bucket::Bucket;
use signature::Claim;
pub use signature::Secret;

/// What the receiver needs.
#[derive(Clone)]
pub struct Receiver {
    /// What a request has to know.
    pub secret: Secret,
    /// Notified for every valid request: look at the repository now.
    pub look: Arc<Notify>,
    /// Counts what became of the requests.
    pub metrics: Arc<Metrics>,
    /// The clock of the token bucket.
    pub now: fn() -> Instant,
}

/// The largest body, in bytes. GitHub's may have 25 MB, but a push event has
/// some 10 KB, and what is missed by refusing one is found by polling.
pub const MAX_BODY: usize = 1024 * 1024;
/// The time for a whole body.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Requests that are looked at at once, and per second from then on.
const BURST: u32 = 60;
const PER_SECOND: u32 = 20;

const LIMITS: server::Limits = server::Limits {
    connections: 64,
    patience: Duration::from_secs(5),
    keep_alive: false,
};

/// Serves on `listener` until `stop`.
///
/// # Errors
///
/// The listener broke.
pub async fn serve(
    listener: TcpListener,
    receiver: Receiver,
    stop: CancellationToken,
) -> Result<()> {
    server::serve(listener, router(receiver), LIMITS, stop).await
}

fn router(receiver: Receiver) -> Router {
    let hook = Hook {
        receiver,
        bucket: Mutex::new(Bucket::new(BURST, PER_SECOND)),
        body_time: BODY_TIME,
    };
    Router::with_path("{**path}").goal(hook)
}

struct Hook {
    receiver: Receiver,
    bucket: Mutex<Bucket>,
    body_time: Duration,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    NotPost,
    TooMany,
    TooLarge,
    Forged,
    Broken,
}

impl Verdict {
    fn answer(self) -> (StatusCode, &'static str, WebhookResult) {
        match self {
            Self::Accepted => (
                StatusCode::ACCEPTED,
                "the repository is looked at now\n",
                WebhookResult::Accepted,
            ),
            Self::NotPost => (
                StatusCode::METHOD_NOT_ALLOWED,
                "a webhook is a POST\n",
                WebhookResult::Bad,
            ),
            Self::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests: the repository is polled anyway\n",
                WebhookResult::Limited,
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body has more than 1 MiB: send push events only\n",
                WebhookResult::TooLarge,
            ),
            Self::Forged => (
                StatusCode::UNAUTHORIZED,
                "the signature is missing or wrong\n",
                WebhookResult::Forged,
            ),
            Self::Broken => (
                StatusCode::BAD_REQUEST,
                "the body came too slowly or was cut off\n",
                WebhookResult::Bad,
            ),
        }
    }
}

#[handler]
impl Hook {
    async fn handle(&self, req: &mut Request, res: &mut Response) {
        let verdict = self.judge(req).await;
        if verdict == Verdict::Accepted {
            // One slot: many requests make one look.
            self.receiver.look.notify_one();
        }
        let (code, sentence, result) = verdict.answer();
        self.receiver.metrics.webhook(result);
        res.status_code(code);
        match verdict {
            Verdict::NotPost => {
                res.headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("POST"));
            }
            Verdict::TooMany => {
                res.headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        res.render(Text::Plain(sentence));
    }
}

impl Hook {
    /// The checks, the cheapest first; the body is read by the last one only.
    async fn judge(&self, req: &mut Request) -> Verdict {
        if req.method() != Method::POST {
            return Verdict::NotPost;
        }
        if !self.may_enter() {
            return Verdict::TooMany;
        }
        if announced_length(req) > MAX_BODY {
            return Verdict::TooLarge;
        }
        let Some(claim) = self.receiver.secret.claim(req.headers()) else {
            return Verdict::Forged;
        };
        match tokio::time::timeout(self.body_time, read(req.take_body(), claim)).await {
            Ok(verdict) => verdict,
            Err(_) => Verdict::Broken,
        }
    }

    fn may_enter(&self) -> bool {
        self.bucket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take((self.receiver.now)())
    }
}

/// What `Content-Length` says; hyper has refused requests where it is no
/// number or stands there twice.
fn announced_length(req: &Request) -> usize {
    req.headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// Hashes the body as it comes; nothing of it is kept.
async fn read(mut body: ReqBody, mut claim: Claim) -> Verdict {
    let mut length = 0usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Verdict::Broken;
        };
        let Some(piece) = frame.data_ref() else {
            continue;
        };
        length = length.saturating_add(piece.len());
        if length > MAX_BODY {
            return Verdict::TooLarge;
        }
        claim.update(piece);
    }
    if claim.holds() {
        Verdict::Accepted
    } else {
        Verdict::Forged
    }
}
