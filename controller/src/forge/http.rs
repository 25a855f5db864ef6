//! One request to a forge: bounded in time and size, never redirected.

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, Method, StatusCode, redirect};
use serde_json::Value;

use super::config::{Config, Kind};

/// How long one request may take.
const TIME: Duration = Duration::from_secs(20);
/// Bytes of an answer.
const MAX_ANSWER: usize = 8 << 20;
/// Bytes of a token file.
const MAX_TOKEN: u64 = 4096;
/// Characters of what a forge says of a refusal.
const MAX_SAID: usize = 300;

/// Why a forge did not do what it was asked for.
#[derive(Debug)]
pub enum Error {
    /// It cannot be reached, or is in trouble: a later try may work.
    Later {
        /// What went wrong.
        why: String,
        /// How long it asks us to wait.
        after: Option<Duration>,
    },
    /// It does not want to.
    Refused(Refusal),
    /// We cannot even ask.
    Other(anyhow::Error),
}

/// What a forge said when it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The answer's code.
    pub code: u16,
    /// Its own words, cut to a sentence.
    pub said: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later { why, .. } => write!(f, "the forge cannot be asked now: {why}"),
            Self::Refused(refusal) => {
                write!(f, "the forge answered {}", refusal.code)?;
                if !refusal.said.is_empty() {
                    write!(f, ": {}", refusal.said)?;
                }
                match refusal.code {
                    401 => f.write_str(": is the token in `forge.token_file` right?"),
                    403 | 404 => {
                        f.write_str(": does the token's user have access to `forge.project`?")
                    }
                    _ => Ok(()),
                }
            }
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Whether what was to be made is there already.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(refusal) if matches!(refusal.code, 409 | 422))
    }
}

/// Talks to one forge.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client,
    api: String,
    kind: Kind,
    token_file: PathBuf,
}

impl Http {
    pub(super) fn new(api: &str, config: &Config) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(TIME)
            .connect_timeout(TIME / 4)
            // A token goes to the configured address and to no other.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("amid/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("Failed to set up the client of the forge")?;
        Ok(Self {
            client,
            api: api.to_owned(),
            kind: config.kind,
            token_file: config.token_file.clone(),
        })
    }

    /// Asks, and reads the answer's JSON.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let token = self.token().map_err(Error::Other)?;
        let url = format!("{}{path}", self.api);
        let mut url = url::Url::parse(&url)
            .context("The address of the forge cannot be read")
            .map_err(Error::Other)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.client.request(method, url);
        let request = match self.kind {
            Kind::Github => request
                .bearer_auth(token)
                .header("accept", "application/vnd.github+json")
                .header("x-github-api-version", "2022-11-28"),
            Kind::Gitlab => request.header("private-token", token),
            Kind::Gitea => request.header("authorization", format!("token {token}")),
        };
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let mut answer = request.send().await.map_err(later)?;
        let code = answer.status();
        let after = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(later)? {
            if bytes.len() + piece.len() > MAX_ANSWER {
                return Err(Error::Later {
                    why: format!("its answer has more than {} MiB", MAX_ANSWER >> 20),
                    after: None,
                });
            }
            bytes.extend_from_slice(&piece);
        }
        if code.is_success() {
            if bytes.is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(&bytes).map_err(|_| Error::Later {
                why: "its answer is no JSON".to_owned(),
                after: None,
            });
        }
        Err(refused(code, &bytes, after))
    }

    /// The token in the file. No message holds any part of it.
    fn token(&self) -> anyhow::Result<String> {
        let path = self.token_file.display();
        let mut text = String::new();
        let file = std::fs::File::open(&self.token_file)
            .with_context(|| format!("Failed to open `forge.token_file`: {path}"))?;
        let read = file.take(MAX_TOKEN + 1).read_to_string(&mut text);
        let token = text.trim();
        let sound = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        anyhow::ensure!(
            read.is_ok() && sound && text.len() as u64 <= MAX_TOKEN,
            "`forge.token_file` does not hold a token in one line: {path}"
        );
        Ok(token.to_owned())
    }
}

fn later(error: reqwest::Error) -> Error {
    // Its address says nothing that the config does not.
    let error = error.without_url();
    let why = if error.is_timeout() {
        format!("no answer within {} s", TIME.as_secs())
    } else {
        // The first cause says most: "connection refused".
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(deeper) = cause {
            why = deeper.to_string();
            cause = deeper.source();
        }
        why
    };
    Error::Later { why, after: None }
}

fn refused(code: StatusCode, bytes: &[u8], after: Option<Duration>) -> Error {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let mut said = match &body["message"] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    if let Some(first) = body["errors"][0]["message"].as_str() {
        said = format!("{said}: {first}");
    }
    let said: String = said
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_SAID)
        .collect();
    let busy = code == StatusCode::TOO_MANY_REQUESTS
        || code == StatusCode::REQUEST_TIMEOUT
        || (code == StatusCode::FORBIDDEN && after.is_some());
    if busy || code.is_server_error() {
        let why = format!("it answered {}", code.as_u16());
        return Error::Later { why, after };
    }
    Error::Refused(Refusal {
        code: code.as_u16(),
        said,
    })
}
