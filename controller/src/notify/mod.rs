//! Tells people and commits what happened, without ever being in the way.
//!
//! The journal's events and the status snapshots go into
//! [`amid_core::notice::Notices`], which decides what is due. From there each
//! receiver has a bounded queue and a task of its own: one that is slow or
//! dead delays no other and no roll. What was told is kept in a small file,
//! so that a restart repeats nothing; losing it is safe.

mod config;
mod message;
mod queue;
mod send;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use amid_core::decide::Phase;
use amid_core::history::Event;
use amid_core::model::AppName;
use amid_core::notice::{Hold, Notice, Notices, Policy, Seen};

use crate::forge::Forge;
use crate::metrics::Metrics;
use crate::metrics::notify::Kind;
use crate::status::Status;

pub use config::{Config, Receiver, ReceiverKind, Route};

use send::Senders;

/// Events that wait to be looked at; only arithmetic is done with each.
const EVENTS: usize = 4_096;
/// How long a stop waits for what is still to be sent.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The label of the one wait that is told like a hold.
const SLOW: &str = "slow_drain";
/// Bytes of the file with what was told.
const MAX_FILE: u64 = 32 << 20;

/// Where events go. Without a notifier they go nowhere.
#[derive(Clone, Debug, Default)]
pub struct Tap {
    events: Option<mpsc::Sender<Happened>>,
    metrics: Option<Arc<Metrics>>,
}

/// An event of an app.
#[derive(Clone, Debug)]
struct Happened {
    app: AppName,
    event: Event,
    at: Timestamp,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Tap {
    /// Passes an event on. Never waits.
    pub fn happened(&self, app: &AppName, event: &Event, at: Timestamp) {
        let Some(events) = &self.events else {
            return;
        };
        let happened = Happened {
            app: app.clone(),
            event: event.clone(),
            at,
        };
        if events.try_send(happened).is_err()
            && let Some(metrics) = &self.metrics
        {
            metrics.notify().dropped(Kind::Event, 1);
        }
    }
}

/// What the notifier is made of.
pub struct Setup {
    /// The config's section.
    pub config: Config,
    /// The forge, where commits hear of their way.
    pub forge: Option<Forge>,
    /// What is shown.
    pub status: watch::Receiver<Arc<Status>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: fn() -> Timestamp,
    /// Where what was told is kept.
    pub file: PathBuf,
    /// Set when the process ends.
    pub ending: CancellationToken,
}

/// A tap, and what reads from it once it is started.
pub struct Notifier {
    tap: Tap,
    events: mpsc::Receiver<Happened>,
    wanted: bool,
}

impl Notifier {
    /// Makes the tap; with `wanted` unset nothing ever flows.
    pub fn new(wanted: bool, metrics: &Arc<Metrics>) -> Self {
        let (sender, events) = mpsc::channel(EVENTS);
        let tap = Tap {
            events: wanted.then_some(sender),
            metrics: Some(Arc::clone(metrics)),
        };
        Self {
            tap,
            events,
            wanted,
        }
    }

    /// Where events go.
    pub fn tap(&self) -> Tap {
        self.tap.clone()
    }

    /// Starts telling. The task ends soon after `ending` is set.
    ///
    /// # Errors
    ///
    /// A sentence that names the receiver that cannot be used.
    pub fn start(self, setup: Setup) -> anyhow::Result<Option<JoinHandle<()>>> {
        if !self.wanted {
            return Ok(None);
        }
        let senders = Senders::start(&setup.config, setup.forge.clone(), &setup.metrics)?;
        let teller = Teller {
            notices: read(&setup.file),
            policy: setup.config.policy(),
            senders,
            setup,
        };
        Ok(Some(tokio::spawn(teller.run(self.events))))
    }
}

struct Teller {
    notices: Notices,
    policy: Policy,
    senders: Senders,
    setup: Setup,
}

impl Teller {
    async fn run(mut self, mut events: mpsc::Receiver<Happened>) {
        loop {
            let wake = self.wake();
            tokio::select! {
                biased;
                () = self.setup.ending.cancelled() => break,
                Some(happened) = events.recv() => self.happened(&happened),
                changed = self.setup.status.changed() => match changed {
                    Ok(()) => self.look(),
                    Err(_) => break,
                },
                () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => self.look(),
            }
            self.keep().await;
        }
        while let Ok(happened) = events.try_recv() {
            self.happened(&happened);
        }
        self.keep().await;
        if tokio::time::timeout(LAST_WORDS, self.senders.idle())
            .await
            .is_err()
        {
            tracing::warn!("Not every notification was sent before the end");
        }
        self.senders.stop();
    }

    fn wake(&self) -> Option<Duration> {
        let wake = self.notices.wake(self.policy)?;
        let left = wake.duration_since((self.setup.clock)());
        // A moment later: the clock is looked at again then.
        Some(Duration::try_from(left).unwrap_or_default() + Duration::from_millis(20))
    }

    fn happened(&mut self, happened: &Happened) {
        let app = happened.app.as_str();
        let due = self.notices.happened(app, &happened.event, happened.at);
        self.tell(due, happened.at);
    }

    fn look(&mut self) {
        let status = self.setup.status.borrow_and_update().clone();
        // Before the first look at everything nothing is known to be over.
        if status.swept.is_none() {
            return;
        }
        let now = (self.setup.clock)();
        let mut seen: Vec<Seen<'_>> = status.apps.iter().map(seen_app).collect();
        seen.push(seen_repository(&status));
        let due = self.notices.look(&seen, self.policy, now);
        self.tell(due, now);
    }

    fn tell(&self, due: Vec<Notice>, now: Timestamp) {
        for notice in due {
            match notice {
                Notice::Message(message) => self.senders.message(&message, now),
                Notice::Status(status) => self.senders.status(&status),
            }
        }
    }

    /// Keeps what was told, where that changed.
    async fn keep(&mut self) {
        if !self.notices.take_changed() {
            return;
        }
        let file = self.setup.file.clone();
        let written = match serde_json::to_vec(&self.notices) {
            Ok(bytes) => tokio::task::spawn_blocking(move || write(&file, &bytes)).await,
            Err(_) => return,
        };
        if let Ok(Err(error)) = written {
            tracing::warn!("What was told could not be kept: {error:#}");
        }
    }
}

fn seen_app(app: &crate::status::App) -> Seen<'_> {
    // Nothing stands still then, but somebody wants to know.
    let slow = app.state.iter().filter(|state| state.label == SLOW);
    Seen {
        app: &app.app,
        owner: app.owner.as_deref(),
        phase: app.phase,
        state: app.state.as_ref().map(|state| state.text.as_str()),
        held: app.held.iter().chain(slow).map(hold).collect(),
    }
}

/// The watched repository, which is no app.
fn seen_repository(status: &Status) -> Seen<'_> {
    let repository = &status.repository;
    let mut held: Vec<Hold<'_>> = repository.held.iter().map(hold).collect();
    held.extend(repository.error.as_deref().map(|error| Hold {
        label: "repository_unreadable",
        text: error,
        frees: Some("`amid doctor` says what is missing"),
    }));
    Seen {
        app: "",
        owner: None,
        phase: Phase::Steady,
        state: None,
        held,
    }
}

fn hold(sentence: &crate::status::Sentence) -> Hold<'_> {
    Hold {
        label: &sentence.label,
        text: &sentence.text,
        frees: sentence.frees.as_deref(),
    }
}

/// What was told before, as far as it is known.
fn read(file: &Path) -> Notices {
    let text = match std::fs::metadata(file) {
        Ok(found) if found.len() <= MAX_FILE => std::fs::read(file),
        Ok(_) => {
            tracing::warn!("What was told is not read, the file is too large");
            return Notices::default();
        }
        Err(_) => return Notices::default(),
    };
    let read = text
        .map_err(anyhow::Error::from)
        .and_then(|text| Ok(serde_json::from_slice(&text)?));
    read.unwrap_or_else(|error| {
        tracing::warn!("What was told before is not known: {error:#}");
        Notices::default()
    })
}

fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = file.parent().context("The file has no folder")?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut new, bytes)?;
    new.persist(file)?;
    Ok(())
}
