//! The command line's side of the unix socket.
//!
//! One request a connection, with a limit on time and on the answer's size.
//! What the daemon refuses comes back as its own sentence; what stands between
//! it and us (no socket, no permission) as one that says what to do.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;
use url::form_urlencoded;

use crate::cleanup::Report;
use crate::status::{Command, Status};

/// The largest answer, in bytes: thousands of apps fit.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// For an answer that stands ready in the daemon.
const READ_TIME: Duration = Duration::from_secs(10);
/// For a command. A little more than the daemon gives its loop.
const COMMAND_TIME: Duration = Duration::from_secs(65);
/// For a dry run. A little more than the daemon gives it.
const PLAN_TIME: Duration = Duration::from_secs(125);

/// Asks the daemon behind one socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

/// What to send.
struct Question<'a> {
    method: Method,
    path: &'a str,
    query: Vec<(&'a str, String)>,
    time: Duration,
}

impl Client {
    /// For the socket at `path`; nothing is opened yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Whether a daemon may be there: only where the socket is missing, or
    /// nobody listens on it, surely none is.
    pub async fn may_be_there(&self) -> bool {
        match UnixStream::connect(&self.path).await {
            Ok(_) => true,
            Err(error) => !matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ),
        }
    }

    /// The snapshot.
    ///
    /// # Errors
    ///
    /// The daemon cannot be reached or does not answer.
    pub async fn status(&self) -> Result<Status> {
        self.ask(Question {
            method: Method::GET,
            path: "/status",
            query: Vec::new(),
            time: READ_TIME,
        })
        .await
    }

    /// The newest `limit` entries of the journal, the newest last; only those
    /// of `app`, if it is given.
    ///
    /// # Errors
    ///
    /// As [`Self::status`], or the daemon's sentence.
    pub async fn history(&self, app: Option<&str>, limit: Option<usize>) -> Result<Vec<Value>> {
        let mut query = given("app", app);
        query.extend(limit.map(|limit| ("limit", limit.to_string())));
        self.ask(Question {
            method: Method::GET,
            path: "/history",
            query,
            time: READ_TIME,
        })
        .await
    }

    /// What a pass would do now, with the commands for doing it by hand if
    /// `commands`.
    ///
    /// # Errors
    ///
    /// As [`Self::status`], or the daemon's sentence.
    pub async fn plan(&self, app: Option<&str>, commands: bool) -> Result<Value> {
        let mut query = given("app", app);
        if commands {
            query.push(("commands", "1".to_owned()));
        }
        self.ask(Question {
            method: Method::GET,
            path: "/plan",
            query,
            time: PLAN_TIME,
        })
        .await
    }

    /// Sends a command; the answer is a sentence. The user in `command` is
    /// not sent: the daemon asks the kernel.
    ///
    /// # Errors
    ///
    /// As [`Self::status`], or the daemon's sentence.
    pub async fn command(&self, command: &Command) -> Result<String> {
        let (path, query) = match command {
            Command::Reconcile { app } => ("/reconcile", given("app", app.as_deref())),
            Command::Approve { hold, user: _ } => ("/approve", vec![("hold", hold.clone())]),
            Command::Suspend {
                app,
                reason,
                until,
                user: _,
            } => {
                let mut query = vec![("app", app.clone()), ("reason", reason.clone())];
                query.extend(until.map(|until| ("until", until.to_string())));
                ("/suspend", query)
            }
            Command::Resume { app, user: _ } => ("/resume", vec![("app", app.clone())]),
        };
        let answer: Value = self
            .ask(Question {
                method: Method::POST,
                path,
                query,
                time: COMMAND_TIME,
            })
            .await?;
        match answer.get("ok").and_then(Value::as_str) {
            Some(sentence) => Ok(sentence.to_owned()),
            None => bail!("The daemon's answer has no `ok`: is it another version of amid?"),
        }
    }

    /// What the last run of clean-up came to.
    ///
    /// # Errors
    ///
    /// As [`Self::status`], or the daemon's sentence.
    pub async fn images(&self) -> Result<Report> {
        self.ask(Question {
            method: Method::GET,
            path: "/images",
            query: Vec::new(),
            time: PLAN_TIME,
        })
        .await
    }

    /// Everything that keeps an image, or what it waits for.
    ///
    /// # Errors
    ///
    /// As [`Self::status`], or the daemon's sentence.
    pub async fn why(&self, ami: &str) -> Result<Report> {
        self.ask(Question {
            method: Method::GET,
            path: "/why",
            query: vec![("ami", ami.to_owned())],
            time: READ_TIME,
        })
        .await
    }

    /// Asks clean-up to `look`, `apply`, `stop` or `start`; the answer is a
    /// sentence.
    ///
    /// # Errors
    ///
    /// As [`Self::status`], or the daemon's sentence.
    pub async fn clean_up(&self, what: &str, reason: Option<&str>) -> Result<String> {
        let mut query = vec![("do", what.to_owned())];
        query.extend(given("reason", reason));
        let answer: Value = self
            .ask(Question {
                method: Method::POST,
                path: "/gc",
                query,
                time: COMMAND_TIME,
            })
            .await?;
        match answer.get("ok").and_then(Value::as_str) {
            Some(sentence) => Ok(sentence.to_owned()),
            None => bail!("The daemon's answer has no `ok`: is it another version of amid?"),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, question: Question<'_>) -> Result<T> {
        let time = question.time;
        let Ok(asked) = tokio::time::timeout(time, self.exchange(question)).await else {
            bail!(
                "The daemon at `{}` has not answered for {} s: its log says what it does",
                self.path.display(),
                time.as_secs()
            );
        };
        let (code, body) = asked?;
        if code.is_success() {
            return serde_json::from_slice(&body)
                .context("Failed to read the daemon's answer: is it another version of amid?");
        }
        let refused: Option<Value> = serde_json::from_slice(&body).ok();
        match refused.as_ref().and_then(|v| v.get("error")?.as_str()) {
            Some(sentence) => bail!("{sentence}"),
            None => bail!("The daemon answered {code} without saying why"),
        }
    }

    async fn exchange(&self, question: Question<'_>) -> Result<(StatusCode, Bytes)> {
        let shown = self.path.display();
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => anyhow!(
                    "The daemon is not running at `{shown}`: start it with `amid run --config …`"
                ),
                ErrorKind::PermissionDenied => anyhow!(
                    "You may not talk to the daemon at `{shown}`: join the group that the socket belongs to, or use sudo"
                ),
                _ => anyhow::Error::new(error)
                    .context(format!("Failed to reach the daemon at `{shown}`")),
            })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .context("Failed to talk to the daemon")?;
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&question.query)
            .finish();
        let request = Request::builder()
            .method(question.method)
            .uri(format!("{}?{query}", question.path))
            .header("host", "amid")
            .body(Empty::<Bytes>::new())
            .context("Failed to write the request")?;
        let answered = async {
            let answer = sender.send_request(request).await?;
            let code = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER)
                .collect()
                .await
                .map_err(|error| anyhow!(error))?;
            anyhow::Ok((code, body.to_bytes()))
        };
        // The connection has to be driven while the answer is read, and ends
        // with it.
        let driver = async {
            let _ = connection.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = answered => answer.context("The daemon broke off the connection: it may be stopping"),
            () = driver => bail!("The daemon broke off the connection"),
        }
    }
}

fn given(name: &'static str, value: Option<&str>) -> Vec<(&'static str, String)> {
    value
        .map(|value| (name, value.to_owned()))
        .into_iter()
        .collect()
}
