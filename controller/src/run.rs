//! The loop: when to look, at what, and when to stop.
//!
//! It fetches the repository when a timer, a file watch, a webhook or a
//! person says so, looks at every group once a sweep, and gives each app that
//! is not plainly as desired a pass of its own. It never waits for any of
//! them: a slow remote, a slow AWS or a long apply stops nothing else. It
//! does not know what a plan contains.

mod accept;
mod command;
mod schedule;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use git2::Oid;
use jiff::Timestamp;
use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use amid_core::decide::Phase;
use amid_core::model::AppName;

use crate::fault;
use crate::git::FetchError;
use crate::reconcile::{Engine, Passed, pass};
use crate::status::{Asked, Sentence, Status};
use crate::watch::Watch;

use schedule::Schedule;

/// Time between two passes over an app that rolls.
const ROLLING: Duration = Duration::from_secs(2);
/// Time between two of the loop's own ticks.
const TICK: Duration = Duration::from_secs(1);

/// What the loop gets from outside.
pub struct Inputs {
    /// Commands of people.
    pub commands: mpsc::Receiver<Asked>,
    /// Completes when the process is asked to stop.
    pub stop: watch::Receiver<bool>,
    /// Where a snapshot goes after each change.
    pub status: watch::Sender<Arc<Status>>,
    /// Called at each tick: the loop moves.
    pub tick: Box<dyn FnMut(&str) + Send>,
    /// The watched repository, where it is local.
    pub watch: Option<Watch>,
}

/// Why the branch's head is not acted on.
#[derive(Clone, Debug)]
pub(crate) struct Rewritten {
    accepted: Oid,
    found: Oid,
}

impl Rewritten {
    /// What `amid approve` names.
    fn id(&self) -> String {
        rewritten_id(self.found)
    }
}

/// What `amid approve` names to follow a rewritten branch to `head`.
pub(crate) fn rewritten_id(head: Oid) -> String {
    format!("rewritten-{}", &head.to_string()[..8])
}

/// The loop's own state.
struct Loop {
    engine: Arc<Engine>,
    inputs: Inputs,
    schedule: Schedule,
    passes: JoinSet<(AppName, anyhow::Result<Passed>, Duration)>,
    fetching: Option<JoinHandle<Result<Oid, FetchError>>>,
    fetch_again: bool,
    fetch_began: Instant,
    sweep_began: Instant,
    sweeping: Option<JoinHandle<Vec<sweep::Seen>>>,
    next_fetch: Instant,
    next_sweep: Instant,
    started: Timestamp,
    swept: Option<Timestamp>,
    fetched: Option<Timestamp>,
    fetch_error: Option<String>,
    rewritten: Option<Rewritten>,
    dirty: bool,
}

/// Runs until it is asked to stop. Returns whether every apply was let
/// finish.
///
/// # Errors
///
/// When the journal cannot be written: nothing may be done then.
pub async fn run(engine: Arc<Engine>, inputs: Inputs) -> anyhow::Result<bool> {
    let now = Instant::now();
    let started = engine.now();
    let mut this = Loop {
        engine,
        inputs,
        schedule: Schedule::default(),
        passes: JoinSet::new(),
        fetching: None,
        fetch_again: false,
        fetch_began: now,
        sweep_began: now,
        sweeping: None,
        next_fetch: now,
        next_sweep: now,
        started,
        swept: None,
        fetched: None,
        fetch_error: None,
        rewritten: None,
        dirty: true,
    };
    this.turn().await?;
    Ok(this.wind_down().await)
}

impl Loop {
    /// Goes round until the process is asked to stop.
    async fn turn(&mut self) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.start_what_is_due();
            self.publish();
            let next_pass = self.schedule.next();
            tokio::select! {
                biased;
                _ = self.inputs.stop.changed() => return Ok(()),
                due = tick.tick() => {
                    self.engine.metrics.loop_lag(due.elapsed());
                    self.dirty = true;
                    let words = self.in_words();
                    (self.inputs.tick)(&words);
                }
                Some(asked) = self.inputs.commands.recv() => self.command(asked)?,
                fetched = finished(&mut self.fetching) => {
                    self.fetching = None;
                    self.fetched(fetched)?;
                }
                swept = finished(&mut self.sweeping) => {
                    self.sweeping = None;
                    self.swept(swept);
                }
                Some(passed) = self.passes.join_next(), if !self.passes.is_empty() => self.passed(passed),
                () = self.engine.hint.notified() => self.next_fetch = Instant::now(),
                () = changed(&mut self.inputs.watch) => self.next_fetch = Instant::now(),
                () = sleep_until(self.next_fetch), if self.fetching.is_none() => {}
                () = sleep_until(self.next_sweep), if self.sweeping.is_none() && self.fetched.is_some() => {}
                () = sleep_until(next_pass.unwrap_or_else(Instant::now)), if next_pass.is_some() => {}
            }
        }
    }

    fn start_what_is_due(&mut self) {
        let now = Instant::now();
        if self.next_fetch <= now {
            if self.fetching.is_some() {
                // A hint that comes during a fetch may be about something
                // that this fetch does not see.
                self.fetch_again = true;
            } else {
                let mirror = Arc::clone(&self.engine.mirror);
                self.fetch_began = now;
                self.fetching = Some(tokio::task::spawn_blocking(move || mirror.fetch()));
            }
            self.next_fetch =
                now + jittered(Duration::from_secs(self.engine.config.repository.poll.0));
        }
        if self.next_sweep <= now && self.sweeping.is_none() && self.engine.accepted().is_some() {
            self.start_sweep(now);
        }
        for app in self.schedule.take_due(now) {
            let (engine, slot) = (Arc::clone(&self.engine), self.engine.slot(&app));
            self.passes.spawn(async move {
                let began = Instant::now();
                let passed = pass(&engine, &slot).await;
                (app, passed, began.elapsed())
            });
        }
    }

    fn fetched(
        &mut self,
        fetched: Result<Result<Oid, FetchError>, tokio::task::JoinError>,
    ) -> anyhow::Result<()> {
        if std::mem::take(&mut self.fetch_again) {
            self.next_fetch = Instant::now();
        }
        self.dirty = true;
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(error) => Err(FetchError::Other(error.into())),
        };
        self.engine
            .measure_fetch(&fetched, self.fetch_began.elapsed());
        fault::point("fetched");
        let result = match fetched {
            Ok(head) => {
                self.fetched = Some(self.engine.now());
                self.accept(head)
            }
            Err(error) => Err(anyhow::Error::msg(error.to_string())),
        };
        match result {
            Ok(()) => {
                if self.fetch_error.take().is_some() {
                    tracing::info!("The repository can be read again");
                }
                Ok(())
            }
            Err(error) => {
                let words = format!("{error:#}");
                if self.fetch_error.as_ref() != Some(&words) {
                    tracing::warn!("The repository cannot be read: {words}");
                }
                self.fetch_error = Some(words);
                Ok(())
            }
        }
    }

    fn passed(
        &mut self,
        passed: Result<(AppName, anyhow::Result<Passed>, Duration), tokio::task::JoinError>,
    ) {
        self.dirty = true;
        let (app, passed, took) = match passed {
            Ok(passed) => passed,
            Err(error) => {
                // A pass that panics loses itself, not the daemon; the next
                // sweep gives its app another one.
                tracing::error!("A pass died: {error}");
                self.engine.metrics.pass_died();
                self.schedule.lost();
                return;
            }
        };
        self.schedule.done(&app);
        let now = Instant::now();
        match passed {
            Ok(passed) => {
                self.engine
                    .measure_pass(Some((passed.phase, passed.acted)), took);
                self.schedule.worked(&app);
                let wait = match passed.phase {
                    _ if passed.acted => Some(Duration::ZERO),
                    Phase::Steady | Phase::Held => None,
                    _ => Some(ROLLING),
                };
                let wake = passed.wake.map(|wake| {
                    let left = wake.duration_since(self.engine.now());
                    Duration::try_from(left).unwrap_or_default() + Duration::from_millis(50)
                });
                if let Some(wait) = [wait, wake].into_iter().flatten().min() {
                    self.schedule.due(&app, now + wait);
                }
            }
            Err(error) => {
                self.engine.measure_pass(None, took);
                tracing::warn!(app = %app, "{app}: {error:#}");
                let slot = self.engine.slot(&app);
                self.engine.blind(&slot, &error);
                let patience = self.schedule.patience(&app);
                self.schedule.due(&app, now + patience);
            }
        }
    }

    /// Lets applies finish; everything else is dropped.
    async fn wind_down(mut self) -> bool {
        self.engine.stop();
        (self.inputs.tick)("stopping");
        let grace = Duration::from_secs(self.engine.config.stop_grace.0);
        let ends = Instant::now() + grace;
        let mut tick = tokio::time::interval(TICK);
        loop {
            // A pass that is not applying has nothing to lose.
            if self.engine.applying() == 0 {
                self.passes.abort_all();
            }
            tokio::select! {
                next = self.passes.join_next() => if next.is_none() { return true },
                _ = tick.tick() => (self.inputs.tick)("stopping: waiting for an apply"),
                () = sleep_until(ends) => {
                    tracing::warn!("The grace is over: the running apply is left to the next start");
                    return false;
                }
            }
        }
    }

    fn in_words(&self) -> String {
        let rolling = self.passes.len();
        match &self.fetch_error {
            Some(error) => format!("the repository cannot be read: {error}"),
            None => format!("passes under way: {rolling}"),
        }
    }

    /// Shows everything, when anything changed.
    fn publish(&mut self) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let accepted = self.engine.accepted();
        let apps = self
            .engine
            .all_slots()
            .iter()
            .map(|slot| {
                let wish = accepted
                    .as_ref()
                    .and_then(|accepted| accepted.apps.get(&slot.app));
                self.engine.app_status(slot, wish)
            })
            .collect();
        let repository = &self.engine.config.repository;
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: Some(self.started),
            swept: self.swept,
            repository: crate::status::Repository {
                url: crate::git::without_user(&repository.url),
                branch: repository.branch.clone(),
                problems: accepted
                    .as_ref()
                    .map(|accepted| accepted.problems.clone())
                    .unwrap_or_default(),
                accepted: accepted.map(|accepted| accepted.commit.to_string()),
                fetched: self.fetched,
                error: self.fetch_error.clone(),
                held: self
                    .rewritten
                    .as_ref()
                    .and_then(|rewritten| self.rewritten_hold(rewritten)),
            },
            apps,
        };
        let (running, waiting) = self.engine.runner.load();
        self.engine.metrics.terragrunt_load(running, waiting);
        self.engine.metrics.passes_running(self.passes.len());
        self.engine.metrics.observe_status(&status);
        self.inputs.status.send_replace(Arc::new(status));
    }

    fn rewritten_hold(&self, rewritten: &Rewritten) -> Option<Sentence> {
        let reason = amid_core::reason::Reason::Rewritten {
            accepted: crate::desired::commit_id(rewritten.accepted).ok()?,
            found: crate::desired::commit_id(rewritten.found).ok()?,
        };
        let mut sentence = Sentence::of(&reason, "");
        sentence.frees = Some(format!("amid approve {}", rewritten.id()));
        Some(sentence)
    }
}

async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, tokio::task::JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// Up to a twentieth more or less, so that many controllers do not ask at
/// once.
fn jittered(interval: Duration) -> Duration {
    let factor = rand::rng().random_range(0.95..1.05);
    interval.mul_f64(factor)
}
