//! Sends: one task and one queue for each receiver, and one for the commit
//! statuses of the forge.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use rand::Rng as _;
use reqwest::{Client, StatusCode, redirect};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use amid_core::notice::{CommitState, Message, Severity, Status};

use super::config::{Config, Receiver, ReceiverKind, address};
use super::message;
use super::queue::{Item, Queue};
use crate::forge::{self, Forge};
use crate::metrics::Metrics;
use crate::metrics::notify::{Kind, Result as Sent};

/// How long one try may take.
const TIME: Duration = Duration::from_secs(10);
/// The pause after a try that failed, doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a message is tried. After that it is old news.
const GIVE_UP: Duration = Duration::from_secs(15 * 60);
/// Bytes of a file with an address or a secret.
const MAX_FILE: u64 = 4096;

/// Everybody who can be told.
pub(super) struct Senders {
    config: Config,
    receivers: BTreeMap<String, (Receiver, Lane)>,
    statuses: Option<Lane>,
    tasks: Vec<JoinHandle<()>>,
    all: All,
    metrics: Arc<Metrics>,
}

/// Every queue, for the number of all that wait.
type All = Arc<OnceLock<Vec<Arc<Queue<Parcel>>>>>;

fn count(all: &All, metrics: &Metrics) {
    let waiting = all.get().into_iter().flatten().map(|queue| queue.len());
    metrics.notify().waiting(waiting.sum());
}

/// What waits for one receiver, and whether something is on its way.
#[derive(Clone)]
struct Lane {
    queue: Arc<Queue<Parcel>>,
    busy: Arc<AtomicBool>,
    kind: Kind,
}

/// What is sent.
#[derive(Clone, Debug)]
enum Parcel {
    Body(Value),
    Status(Status, Option<String>),
}

/// Why it was not taken.
enum Failed {
    Later {
        why: String,
        after: Option<Duration>,
    },
    Refused(String),
}

/// Who takes parcels.
enum To {
    Hook { client: Client, receiver: Receiver },
    Forge(Forge),
}

impl Senders {
    pub(super) fn start(
        config: &Config,
        forge: Option<Forge>,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(TIME)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("amid/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("Failed to set up the client of notifications")?;
        let mut tasks = Vec::new();
        let all = All::default();
        let mut start = |to: To, name: String, kind: Kind| {
            let lane = Lane {
                queue: Arc::new(Queue::new()),
                busy: Arc::default(),
                kind,
            };
            tasks.push(tokio::spawn(work(
                lane.clone(),
                to,
                name,
                Arc::clone(&all),
                Arc::clone(metrics),
            )));
            lane
        };
        let mut receivers = BTreeMap::new();
        for receiver in &config.receivers {
            // What is missing is said at the start, not when it is needed.
            receiver.address()?;
            receiver.secret()?;
            let to = To::Hook {
                client: client.clone(),
                receiver: receiver.clone(),
            };
            let kind = match receiver.kind {
                ReceiverKind::Webhook => Kind::Webhook,
                ReceiverKind::Slack => Kind::Slack,
            };
            let lane = start(to, format!("The receiver `{}`", receiver.name), kind);
            receivers.insert(receiver.name.clone(), (receiver.clone(), lane));
        }
        let statuses =
            forge.map(|forge| start(To::Forge(forge), "The forge".to_owned(), Kind::Status));
        let lanes = receivers.values().map(|(_, lane)| lane).chain(&statuses);
        let queues = lanes.map(|lane| Arc::clone(&lane.queue)).collect();
        let _ = all.set(queues);
        Ok(Self {
            config: config.clone(),
            receivers,
            statuses,
            tasks,
            all,
            metrics: Arc::clone(metrics),
        })
    }

    pub(super) fn message(&self, message: &Message, at: Timestamp) {
        let page = self.config.page.as_deref();
        for name in self.config.receivers_of(message.owner.as_deref()) {
            let Some((receiver, lane)) = self.receivers.get(name) else {
                continue;
            };
            if message.severity < receiver.least {
                continue;
            }
            let body = match receiver.kind {
                ReceiverKind::Webhook => message::webhook(message, page, at),
                ReceiverKind::Slack => message::slack(message, page),
            };
            self.post(
                lane,
                Item {
                    severity: message.severity,
                    subject: None,
                    what: Parcel::Body(body),
                },
            );
        }
    }

    pub(super) fn status(&self, status: &Status) {
        let Some(lane) = &self.statuses else {
            return;
        };
        let link = message::link(self.config.page.as_deref(), &status.app);
        let severity = match status.state {
            CommitState::Pending => Severity::Info,
            CommitState::Deployed | CommitState::Superseded => Severity::Warning,
            CommitState::Failed => Severity::Error,
        };
        self.post(
            lane,
            Item {
                severity,
                subject: Some(format!("{} {}", status.commit, status.app)),
                what: Parcel::Status(status.clone(), link),
            },
        );
    }

    fn post(&self, lane: &Lane, item: Item<Parcel>) {
        let dropped = lane.queue.push(item);
        if dropped > 0 {
            self.metrics.notify().dropped(lane.kind, dropped);
        }
        count(&self.all, &self.metrics);
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.receivers
            .values()
            .map(|(_, lane)| lane)
            .chain(&self.statuses)
    }

    fn waiting(&self) -> usize {
        self.lanes().map(|lane| lane.queue.len()).sum()
    }

    /// Waits until nothing is left to be sent.
    pub(super) async fn idle(&self) {
        while self.waiting() > 0 || self.lanes().any(|lane| lane.busy.load(Ordering::Acquire)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Sends what comes, one after the other.
async fn work(lane: Lane, to: To, name: String, all: All, metrics: Arc<Metrics>) {
    // A receiver that is dead for a day is one line in the log.
    let mut well = true;
    loop {
        let item = lane.queue.take().await;
        lane.busy.store(true, Ordering::Release);
        count(&all, &metrics);
        let (sent, why) = persist(&to, &item.what).await;
        lane.busy.store(false, Ordering::Release);
        metrics.notify().sent(lane.kind, sent);
        match why {
            None if !well => {
                tracing::info!("{name} takes notifications again");
                well = true;
            }
            Some(why) if well => {
                tracing::warn!("{name} did not take a notification: {why}");
                well = false;
            }
            _ => {}
        }
    }
}

/// Tries until it is taken, refused, or old.
async fn persist(to: &To, parcel: &Parcel) -> (Sent, Option<String>) {
    let ends = Instant::now() + GIVE_UP;
    let mut pause = FIRST_PAUSE;
    loop {
        let (why, after) = match to.send(parcel).await {
            Ok(()) => return (Sent::Sent, None),
            Err(Failed::Refused(why)) => return (Sent::Refused, Some(why)),
            Err(Failed::Later { why, after }) => (why, after),
        };
        let jitter = rand::rng().random_range(0.8..1.2);
        let wait = after.unwrap_or(pause.mul_f64(jitter)).min(LONGEST_PAUSE);
        if Instant::now() + wait > ends {
            return (Sent::Failed, Some(why));
        }
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl To {
    async fn send(&self, parcel: &Parcel) -> Result<(), Failed> {
        match (self, parcel) {
            (Self::Hook { client, receiver }, Parcel::Body(body)) => {
                hook(client, receiver, body).await
            }
            (Self::Forge(forge), Parcel::Status(status, link)) => {
                let posted = forge
                    .status(&forge::Status {
                        commit: status.commit.as_str(),
                        state: status.state,
                        context: &format!("amid/{}", status.app),
                        text: &status.text,
                        link: link.as_deref(),
                    })
                    .await;
                posted.map_err(|error| match error {
                    forge::Error::Later { why, after } => Failed::Later { why, after },
                    other => Failed::Refused(other.to_string()),
                })
            }
            // Each lane gets what is its own.
            _ => Ok(()),
        }
    }
}

async fn hook(client: &Client, receiver: &Receiver, body: &Value) -> Result<(), Failed> {
    let missing = |error: anyhow::Error| Failed::Later {
        why: format!("{error:#}"),
        after: None,
    };
    let url = receiver.address().map_err(missing)?;
    let text = body.to_string();
    let mut request = client
        .post(url)
        .header("content-type", "application/json; charset=utf-8");
    if let Some(secret) = receiver.secret().map_err(missing)? {
        let signature = message::signature(secret.as_bytes(), text.as_bytes());
        request = request.header("x-amid-signature", signature);
    }
    let answer = request.body(text).send().await.map_err(|error| {
        // Its address may be a secret.
        let error = error.without_url();
        let why = match error.is_timeout() {
            true => format!("no answer within {} s", TIME.as_secs()),
            false => error.to_string(),
        };
        Failed::Later { why, after: None }
    })?;
    let code = answer.status();
    // What it says besides is not read.
    if code.is_success() {
        return Ok(());
    }
    let why = format!("it answered {}", code.as_u16());
    let busy = matches!(
        code,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
    );
    if busy || code.is_server_error() {
        let after = answer.headers().get("retry-after");
        let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
        return Err(Failed::Later {
            why,
            after: after.map(Duration::from_secs),
        });
    }
    Err(Failed::Refused(why))
}

impl Receiver {
    /// Read at each use, so that it can be rotated.
    fn address(&self) -> anyhow::Result<url::Url> {
        let text = match (&self.url, &self.url_file) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => line(file)?,
            (None, None) => String::new(),
        };
        address(&text, self.kind, &self.name)
    }

    fn secret(&self) -> anyhow::Result<Option<String>> {
        self.secret_file.as_ref().map(line).transpose()
    }
}

/// A file's one line. No message holds any part of it.
fn line(file: &PathBuf) -> anyhow::Result<String> {
    let shown = Path::new(file).display();
    let mut text = String::new();
    let read = std::fs::File::open(file)
        .with_context(|| format!("Failed to open `{shown}`"))?
        .take(MAX_FILE + 1)
        .read_to_string(&mut text);
    let line = text.trim();
    anyhow::ensure!(
        read.is_ok()
            && text.len() as u64 <= MAX_FILE
            && !line.is_empty()
            && !line.contains(char::is_control),
        "`{shown}` does not hold one line"
    );
    Ok(line.to_owned())
}
