//! People who use the app: a few clients that make, read, change and delete todos all the time.
//!
//! Each remembers what it made, so that an answer from a machine that does not know it is a failure like any
//! other: all machines share one list. A client never tries again, so what it counts is what a person would
//! have seen.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, header::CONTENT_TYPE};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// So many clients at once.
const CLIENTS: usize = 3;
/// What a person does between two requests: enough that the roll's own work gets its share of the machine.
const PAUSE: Duration = Duration::from_millis(40);
/// How long a client is patient.
const PATIENCE: Duration = Duration::from_secs(40);
/// So many failures are kept with their words; all are counted.
const KEPT: usize = 5;
const MAX_ANSWER: usize = 16 << 20;
/// The header in which the app names image and version.
const RELEASE: &str = "x-todo-release";

/// What the clients have seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Every request.
    pub requests: u64,
    /// Those without a right answer.
    pub failed: u64,
    /// The first failures, in words.
    pub failures: Vec<String>,
    /// Answers by the release that gave them: image and version.
    pub by_release: BTreeMap<String, u64>,
    /// The longest that anybody waited for an answer.
    pub slowest: Duration,
}

impl Tally {
    /// How many answers an image's machines gave.
    pub fn of_image(&self, ami: &str) -> u64 {
        let of = |release: &str| release.split(' ').next() == Some(ami);
        let own = self.by_release.iter().filter(|(release, _)| of(release));
        own.map(|(_, count)| count).sum()
    }

    /// The first failures, for a check that failed.
    pub fn in_words(&self) -> String {
        self.failures.join("; ")
    }
}

/// The clients; they stop when dropped.
#[derive(Debug)]
pub struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: tokio::sync::watch::Sender<bool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Lets them loose on an address.
    pub fn start(addr: SocketAddr) -> Load {
        let tally: Arc<Mutex<Tally>> = Arc::default();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let clients = (0..CLIENTS)
            .map(|number| {
                let user = User {
                    addr,
                    client: Client::builder(TokioExecutor::new())
                        .retry_canceled_requests(false)
                        .build_http(),
                    tally: Arc::clone(&tally),
                };
                let stopped = stopped.clone();
                tokio::spawn(async move {
                    let mut round = 0_u64;
                    while !*stopped.borrow() {
                        user.round(&format!("todo {round} of client {number}"))
                            .await;
                        round += 1;
                    }
                })
            })
            .collect();
        Load {
            tally,
            stop,
            clients,
        }
    }

    /// What was seen until now.
    pub fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Lets every client finish what it is about, and answers what was seen.
    pub async fn stop(mut self) -> Tally {
        // Nobody listens any more where all clients are gone, and then they have stopped.
        let _ = self.stop.send(true);
        for client in self.clients.drain(..) {
            if client.await.is_err() {
                lock(&self.tally).fail("a client died".to_owned());
            }
        }
        self.tally()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.clients.iter().for_each(JoinHandle::abort);
    }
}

/// One client.
struct User {
    addr: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    tally: Arc<Mutex<Tally>>,
}

impl User {
    /// The life of one todo. A round ends early where a request failed.
    async fn round(&self, title: &str) {
        // Each has been counted where it failed.
        let _ = self.todo(title).await;
    }

    async fn todo(&self, title: &str) -> Result<()> {
        let made = self
            .ask(
                Method::POST,
                "/todos",
                Some(json!({ "title": title })),
                |_| true,
            )
            .await?;
        let id = made["id"].as_str().unwrap_or_default();
        let own = format!("/todos/{id}");
        let same = |todo: &Value| todo["title"] == title;
        self.ask(Method::GET, &own, None, same).await?;
        let done = json!({ "completed": true });
        self.ask(Method::PATCH, &own, Some(done), |todo| {
            todo["completed"] == true
        })
        .await?;
        let listed = |list: &Value| {
            let todos = list.as_array();
            todos.is_some_and(|todos| todos.iter().any(|todo| todo["id"] == id))
        };
        self.ask(Method::GET, "/todos", None, listed).await?;
        self.ask(Method::DELETE, &own, None, |_| true).await?;
        Ok(())
    }

    /// One request, counted; an error where its answer was not the right one.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        right: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        tokio::time::sleep(PAUSE).await;
        let what = format!("{method} {path}");
        let began = Instant::now();
        let outcome = tokio::time::timeout(PATIENCE, self.send(method, path, body))
            .await
            .context("No answer in time")
            .flatten()
            .and_then(|(release, value)| {
                ensure!(right(&value), "The answer is another one: {value}");
                Ok((release, value))
            });
        let mut tally = lock(&self.tally);
        tally.requests += 1;
        tally.slowest = tally.slowest.max(began.elapsed());
        match outcome {
            Ok((release, value)) => {
                *tally.by_release.entry(release).or_default() += 1;
                Ok(value)
            }
            Err(error) => {
                tally.fail(format!("{what}: {error:#}"));
                Err(error)
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(String, Value)> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.addr))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .context("Failed to write a request")?;
        let answer = self.client.request(request).await.context("No answer")?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!(error))
            .context("The answer broke off")?
            .to_bytes();
        let text = String::from_utf8_lossy(&body);
        let start: String = text.chars().take(200).collect();
        ensure!(
            head.status.is_success(),
            "{}: {}",
            head.status,
            start.trim()
        );
        let release = head
            .headers
            .get(RELEASE)
            .and_then(|name| name.to_str().ok());
        let value = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).with_context(|| format!("No JSON: {start}"))?
        };
        Ok((release.unwrap_or_default().to_owned(), value))
    }
}

impl Tally {
    fn fail(&mut self, words: String) {
        self.failed += 1;
        if self.failures.len() < KEPT {
            self.failures.push(words);
        }
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Server, answer};

    #[tokio::test]
    async fn a_refusal_and_a_wrong_answer_are_failures() {
        let handler = |request: Request<hyper::body::Incoming>| async move {
            let status = match *request.method() {
                Method::POST => hyper::StatusCode::OK,
                _ => hyper::StatusCode::SERVICE_UNAVAILABLE,
            };
            Ok(answer(
                status,
                "application/json",
                r#"{"id":"1","title":"other"}"#,
            ))
        };
        let server = Server::start("app", handler, std::future::ready(())).unwrap();
        let user = User {
            addr: server.addr(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            tally: Arc::default(),
        };
        user.round("mine").await;
        let tally = lock(&user.tally).clone();
        assert_eq!((tally.requests, tally.failed), (2, 1));
        assert!(
            tally.in_words().contains("GET /todos/1: 503"),
            "{}",
            tally.in_words()
        );

        let wrong = user.ask(Method::POST, "/todos", None, |todo| todo["title"] == "mine");
        assert!(wrong.await.is_err());
        assert_eq!(lock(&user.tally).failed, 2);
    }
}
