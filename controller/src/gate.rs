//! Asks the gate of an app: an address that says whether a step may go on.
//!
//! Any answer of the 2xx kind is a yes. Every other one is a no, and so is
//! silence: what it said goes into a sentence, cut to a line. Redirects are
//! followed on the same host only, and an answer is read no further than a
//! sentence needs. Who has to be asked when is decided elsewhere.

use std::time::Duration;

use anyhow::Context;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use amid_core::manifest::Gate;
use amid_core::observe::GateFact;

/// Bytes of an answer that are read.
const BODY: usize = 1024;
/// Characters of an answer that are shown.
const SHOWN: usize = 160;
/// Redirects that are followed.
const REDIRECTS: usize = 3;
/// The first pause before another try; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// For all tries together, whatever the manifest says.
const LONGEST: Duration = Duration::from_secs(120);

/// Asks gates. Clones share connections.
#[derive(Clone, Debug)]
pub struct Gates {
    client: Client,
}

impl Gates {
    /// Makes the client. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn new() -> anyhow::Result<Self> {
        let same_host = Policy::custom(|attempt| {
            let from = attempt.previous().last().and_then(|url| url.host_str());
            let stays = from == attempt.url().host_str();
            if stays && attempt.previous().len() <= REDIRECTS {
                attempt.follow()
            } else {
                attempt.stop()
            }
        });
        let client = Client::builder()
            .user_agent(concat!("amid/", env!("CARGO_PKG_VERSION")))
            .redirect(same_host)
            // A gate is a neighbour of the app, not of the internet.
            .no_proxy()
            .build()
            .context("Failed to set up the client for gates")?;
        Ok(Self { client })
    }

    /// Asks, again at once where nobody answers. Never fails: a gate that
    /// cannot be asked is closed.
    pub async fn ask(&self, gate: &Gate) -> GateFact {
        let asked = tokio::time::timeout(LONGEST, self.tried(gate)).await;
        asked.unwrap_or_else(|_| closed("no answer within two minutes"))
    }

    async fn tried(&self, gate: &Gate) -> GateFact {
        let mut pause = PAUSE;
        for _ in 0..gate.retries {
            if let Ok(fact) = self.once(gate).await {
                return fact;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        match self.once(gate).await {
            Ok(fact) => fact,
            Err(error) => closed(&without_url(error)),
        }
    }

    async fn once(&self, gate: &Gate) -> reqwest::Result<GateFact> {
        let timeout = Duration::from_secs(gate.timeout.0);
        let answer = self.client.get(&gate.url).timeout(timeout).send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(GateFact::Open);
        }
        let number = status.as_u16();
        if status.is_redirection() {
            return Ok(closed(&format!("{number}, to another host or too often")));
        }
        let line = first_line(answer).await;
        Ok(closed(format!("{number} {line}").trim()))
    }
}

fn closed(said: &str) -> GateFact {
    GateFact::Closed {
        said: said.to_owned(),
    }
}

/// What went wrong, from the outermost cause to the innermost.
fn without_url(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    format!("{:#}", anyhow::Error::new(error.without_url()))
}

/// The first line of an answer, if it has one that can be shown.
async fn first_line(mut answer: Response) -> String {
    let mut body = Vec::new();
    while body.len() < BODY {
        match answer.chunk().await {
            Ok(Some(chunk)) => {
                let room = BODY - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Ok(None) | Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(SHOWN)
        .collect()
}

#[cfg(test)]
mod tests;
