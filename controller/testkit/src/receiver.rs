//! A receiver of webhooks on loopback: it writes down what comes, and answers as it is told.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{Request, StatusCode, body::Incoming};
use serde_json::Value;

use crate::server::{Dropped, Server, answer};

/// Bytes of one request.
const LARGEST: usize = 1 << 20;

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Path and query.
    pub path: String,
    /// Headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A running receiver; it stops when dropped.
#[derive(Debug)]
pub struct Receiver {
    server: Server,
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    received: Mutex<Vec<Received>>,
    came: Condvar,
    codes: Mutex<VecDeque<u16>>,
    hangs: AtomicBool,
}

impl Receiver {
    /// Listens on a free loopback port and takes everything.
    pub fn start() -> Result<Receiver> {
        let inner = Arc::new(Inner::default());
        let handler = {
            let inner = Arc::clone(&inner);
            move |request| {
                let inner = Arc::clone(&inner);
                async move { inner.serve(request).await }
            }
        };
        Ok(Receiver {
            server: Server::start("receiver", handler, async {})?,
            inner,
        })
    }

    /// Its address, with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.addr())
    }

    /// The next requests get these codes, those after them 200.
    pub fn answer_with(&self, codes: &[u16]) {
        lock(&self.inner.codes).extend(codes);
    }

    /// From now on requests are taken and never answered, or answered again.
    pub fn hang(&self, hangs: bool) {
        self.inner.hangs.store(hangs, Ordering::SeqCst);
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.inner.received).clone()
    }

    /// Waits until so many requests came.
    pub fn until_came(&self, number: usize) -> Result<()> {
        let came = lock(&self.inner.received);
        let wait = self
            .inner
            .came
            .wait_timeout_while(came, Duration::from_secs(90), |came| came.len() < number);
        match wait.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            true => bail!("Fewer than {number} requests came"),
            false => Ok(()),
        }
    }

    /// Waits until something came for which this is true; answers it.
    pub fn until(&self, what: &str, is: impl Fn(&Received) -> bool) -> Result<Received> {
        let mut received = lock(&self.inner.received);
        loop {
            if let Some(found) = received.iter().find(|one| is(one)) {
                return Ok(found.clone());
            }
            let waited = self
                .inner
                .came
                .wait_timeout(received, Duration::from_secs(90));
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            received = now;
            if timeout.timed_out() {
                let bodies: Vec<_> = received
                    .iter()
                    .map(|one| String::from_utf8_lossy(&one.body).into_owned())
                    .collect();
                bail!("Never came: {what}; this did: {bodies:#?}");
            }
        }
    }
}

impl Inner {
    async fn serve(
        &self,
        request: Request<Incoming>,
    ) -> Result<hyper::Response<crate::server::Body>, Dropped> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(|_| Dropped)?.to_bytes();
        let headers = head.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        lock(&self.received).push(Received {
            path: head.uri.to_string(),
            headers: headers.collect(),
            body: body.to_vec(),
        });
        self.came.notify_all();
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let code = lock(&self.codes).pop_front().unwrap_or(200);
        let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Ok(answer(code, "text/plain", Bytes::new()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
