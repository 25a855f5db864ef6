//! What all passes share: the adapters, the journal, and a slot per app.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use amid_core::course::Course;
use amid_core::decide::{Phase, Plan};
use amid_core::history::{AppHistory, Event};
use amid_core::model::{AppName, Group};
use amid_core::observe::Observed;
use amid_core::step::Memory;

use super::image_dates::ImageDates;
use crate::aws::{Aws, Surroundings};
use crate::config::Config;
use crate::desired::Accepted;
use crate::gate::Gates;
use crate::git::Mirror;
use crate::metrics::Metrics;
use crate::status::Sentence;
use crate::store::{Journal, Recent, StateDir};
use crate::terragrunt::{Terragrunt, Unit};

/// One account and region.
#[derive(Debug)]
pub struct Place {
    /// Its clients.
    pub aws: Aws,
    /// The account that its credentials have to be of.
    pub account_id: String,
    /// Whether they are was asked and found true.
    pub checked: AtomicBool,
    /// What it changes in the environment of terragrunt's children.
    pub surroundings: Surroundings,
}

/// What all passes share.
pub struct Engine {
    /// The config.
    pub config: Config,
    /// The copy of the watched repository.
    pub mirror: Arc<Mirror>,
    /// Runs terragrunt.
    pub runner: Terragrunt,
    /// Asks gates.
    pub gates: Gates,
    /// As in the config's `targets`.
    pub places: Vec<Place>,
    /// The locked state directory.
    pub store: StateDir,
    /// What happened.
    pub journal: Mutex<Journal>,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// What git asks for.
    pub accepted: watch::Sender<Option<Arc<Accepted>>>,
    /// Set when the process is asked to stop.
    pub stopping: watch::Sender<bool>,
    /// Rolls that may run at the same time.
    pub turns: Arc<Semaphore>,
    /// By app.
    pub slots: Mutex<BTreeMap<AppName, Arc<Slot>>>,
    /// Asks the loop to look at the repository at once.
    pub hint: tokio::sync::Notify,
    /// Heads of rewritten branches that a person approved.
    pub approved_heads: Mutex<Vec<git2::Oid>>,
    /// The commit that an earlier run accepted last, as the journal says.
    pub last_accepted: Option<git2::Oid>,
    /// Applies that run now.
    pub applies: AtomicUsize,
    /// The newest entries of the journal.
    pub recent: Recent,
    /// Where events go that somebody may want to hear of.
    pub tap: crate::notify::Tap,
    /// The forge of the watched repository, for pull requests.
    pub forge: Option<crate::forge::Forge>,
    /// Brings images back that clean-up has marked, where there is clean-up.
    pub healer: Option<crate::cleanup::Healer>,
    /// When the images were made that run.
    pub image_dates: ImageDates,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
}

/// What is kept of one app between passes.
pub struct Slot {
    /// The app.
    pub app: AppName,
    state: Mutex<SlotState>,
}

/// What is kept of one app between passes.
pub struct SlotState {
    /// What happened to it.
    pub history: AppHistory,
    /// What terraform has, once it was read.
    pub made: Option<Made>,
    /// Where the app is.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// Its groups, at the last look.
    pub groups: Vec<Group>,
    /// What is done or waited for.
    pub reason: Option<Sentence>,
    /// What stands still.
    pub held: Vec<Sentence>,
    /// What people should know besides.
    pub notes: Vec<Sentence>,
    /// The run that is under way, in words.
    pub running: Option<String>,
    /// The app's turn among the rolls.
    pub turn: Option<OwnedSemaphorePermit>,
    /// Failures in a row of its steps.
    pub attempts: u32,
    /// How far the newest commit has come.
    pub course: Course,
}

/// What terraform has, as its outputs say.
#[derive(Clone, Debug)]
pub struct Made {
    /// The releases.
    pub releases: amid_core::model::Releases,
    /// The memory.
    pub memory: Memory,
    /// Whether there is a state at all.
    pub has_state: bool,
    /// The wiring that a new release would be made with.
    pub wiring: Option<String>,
    /// When that was read.
    pub at: Timestamp,
}

impl Slot {
    /// A slot that knows nothing yet.
    pub fn new(app: AppName, now: Timestamp) -> Self {
        Self {
            app,
            state: Mutex::new(SlotState {
                history: AppHistory::default(),
                made: None,
                phase: Phase::Steady,
                since: now,
                groups: Vec::new(),
                reason: None,
                held: Vec::new(),
                notes: Vec::new(),
                running: None,
                turn: None,
                attempts: 0,
                course: Course::default(),
            }),
        }
    }

    /// What is kept. Never held across a wait.
    pub fn state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry of the journal about one app.
pub fn journal_entry(app: &AppName, event: &Event) -> Value {
    json!({ "app": app, "event": event })
}

impl Engine {
    /// What git asks for now.
    pub fn accepted(&self) -> Option<Arc<Accepted>> {
        self.accepted.borrow().clone()
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Whether the process was asked to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// The slot of an app, made if it is new.
    pub fn slot(&self, app: &AppName) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots
            .entry(app.clone())
            .or_insert_with(|| Arc::new(Slot::new(app.clone(), self.now())));
        Arc::clone(slot)
    }

    /// Every slot, by app.
    pub fn all_slots(&self) -> Vec<Arc<Slot>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.values().cloned().collect()
    }

    /// The account and region of an app.
    pub fn place(&self, app: &AppName) -> Option<&Place> {
        self.config
            .target(app)
            .and_then(|index| self.places.get(index))
    }

    /// Where the repository's tree is exported to for an app.
    pub fn export_dir(&self, app: &AppName) -> PathBuf {
        self.store.units().join(app.aws_name()).join("export")
    }

    /// The app's unit as it lies on disk.
    pub fn unit(&self, app: &AppName, unit: &str) -> Unit {
        let work = self
            .export_dir(app)
            .join(&self.config.terragrunt.root)
            .join(unit);
        let mut unit = self.runner.unit(app.as_str(), work);
        if let Some(place) = self.place(app) {
            unit.env.clone_from(&place.surroundings.set);
            unit.env_without.clone_from(&place.surroundings.unset);
        }
        unit
    }

    /// Writes an event down, durably, and takes it in.
    ///
    /// # Errors
    ///
    /// When the disk does not take it: what depends on it must not be done.
    pub fn journal(&self, slot: &Slot, event: Event) -> anyhow::Result<()> {
        self.write_down(slot, event, true)
    }

    /// Writes an event down and takes it in; the next durable entry makes it
    /// durable. For many at once, before one that they belong to.
    ///
    /// # Errors
    ///
    /// When the disk does not take it.
    pub fn journal_soon(&self, slot: &Slot, event: Event) -> anyhow::Result<()> {
        self.write_down(slot, event, false)
    }

    fn write_down(&self, slot: &Slot, event: Event, durable: bool) -> anyhow::Result<()> {
        let at = self.now();
        let entry = journal_entry(&slot.app, &event);
        {
            let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
            match durable {
                true => journal.append(at, &entry)?,
                false => journal.append_relaxed(at, &entry)?,
            };
        }
        self.recent.remember(at, entry);
        let mut state = slot.state();
        state.history.record(&event, at);
        self.measure(slot.app.as_str(), &mut state.course, &event, at);
        drop(state);
        self.tap.happened(&slot.app, &event, at);
        Ok(())
    }

    /// Writes down an event that may be lost by a power cut, and takes it in.
    pub fn note(&self, slot: &Slot, state: &mut SlotState, event: Event, at: Timestamp) {
        let written = self
            .journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append_relaxed(at, &journal_entry(&slot.app, &event));
        if let Err(error) = written {
            tracing::warn!(app = %slot.app, "Failed to write to the journal: {error:#}");
        }
        self.recent.remember(at, journal_entry(&slot.app, &event));
        state.history.record(&event, at);
        self.measure(slot.app.as_str(), &mut state.course, &event, at);
        self.tap.happened(&slot.app, &event, at);
    }

    /// Takes or gives back the app's turn among the rolls.
    pub(super) fn turn(&self, slot: &Slot, observed: &Observed, plan: &Plan) {
        let begins =
            matches!(plan.phase, Phase::Adding | Phase::Draining) && !plan.steps.is_empty();
        let rolls = observed.memory.roll.is_some() || begins;
        let mut state = slot.state();
        if !rolls {
            state.turn = None;
        } else if state.turn.is_none() {
            state.turn = Arc::clone(&self.turns).try_acquire_owned().ok();
        }
    }

    /// How many other apps roll, where that is as many as may.
    pub(super) fn turn_taken(&self, slot: &Slot) -> Option<u32> {
        let taken = slot.state().turn.is_none() && self.turns.available_permits() == 0;
        taken.then_some(self.config.max_concurrent_rolls)
    }

    /// Applies that run now.
    pub fn applying(&self) -> usize {
        self.applies.load(Ordering::SeqCst)
    }

    /// Whether a person approved the rewriting that led to `head`.
    pub fn is_approved(&self, head: git2::Oid) -> bool {
        let approved = self
            .approved_heads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        approved
            .iter()
            .any(|approved| self.mirror.is_ancestor(*approved, head).unwrap_or(false))
    }

    /// Asks the loop to look at the repository at once.
    pub fn hint(&self) {
        self.hint.notify_one();
    }

    /// Remembers the time for the age of a stop.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }
}
