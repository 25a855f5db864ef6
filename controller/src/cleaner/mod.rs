//! Runs of clean-up: reads everything, lets [`amid_core::retention`] decide,
//! and performs what comes out, on a timer of its own.
//!
//! It shares nothing with rolls but the clients and the pace of requests. What is
//! kept on disk, [`Memory`], may be lost: the first runs only report again then.
//! It never decides anything itself.

mod service;
mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use amid_core::retention::{
    Action, ActionKind, Blocker, Circumstances, Cleaning, Inventory, Listing, Memory, Mode, Place,
    Policy, Reference, Source, Stage,
};

use crate::aws::Aws;
use crate::cleanup::{Clock, Config, Pace, Run, RunResult, gather, named, perform, settle};
use crate::config::Target;
use crate::git::Oid;
use crate::reconcile::{self, Engine};
use crate::store;

pub use service::serve;

/// The largest file that holds a [`Memory`].
const MEMORY_MAX: u64 = 1 << 20;
/// While this file is in the state directory nothing is changed.
const STOP: &str = "cleanup.stop";

/// What is kept between runs.
pub struct Cleaner {
    config: Config,
    parameters: gather::Parameters,
    states: states::States,
    pace: Arc<Pace>,
    dir: PathBuf,
    stop: PathBuf,
    seen: Mutex<Seen>,
}

/// What the last run saw of the time and of troubles.
#[derive(Default)]
struct Seen {
    clocks: Option<(Instant, Timestamp)>,
    trouble: Option<Timestamp>,
}

impl Cleaner {
    /// A cleaner that keeps its memory below `state_dir`.
    pub fn new(config: Config, pace: Arc<Pace>, state_dir: &std::path::Path) -> Self {
        Self {
            config,
            pace,
            parameters: gather::Parameters::default(),
            states: states::States::default(),
            dir: state_dir.join("cleanup"),
            stop: state_dir.join(STOP),
            seen: Mutex::default(),
        }
    }

    /// Why the kill switch is thrown, if it is.
    pub fn stopped(&self) -> Option<String> {
        match store::read_bounded(&self.stop, 4096) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).trim().to_owned()),
            // A file that cannot be read was put there all the same.
            Err(_) if self.stop.exists() => Some(String::new()),
            Err(_) => None,
        }
    }

    /// Throws the kill switch, or takes it back.
    ///
    /// # Errors
    ///
    /// When the state directory cannot be written.
    pub fn set_stop(&self, reason: Option<&str>) -> anyhow::Result<()> {
        use anyhow::Context;
        match reason {
            Some(reason) => store::write_atomic(&self.stop, reason.as_bytes()),
            None => match std::fs::remove_file(&self.stop) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)
                    .with_context(|| format!("Failed to remove `{}`", self.stop.display())),
                _ => Ok(()),
            },
        }
    }

    /// The policy of a run: by hand it acts where the config only reports, but
    /// never against the kill switch.
    fn policy(&self, by_hand: bool) -> Policy {
        let mut policy = self.config.policy.clone();
        if by_hand && policy.mode == Mode::Report {
            policy.mode = Mode::On;
        }
        if by_hand {
            policy.breakers.first_runs = 0;
        }
        if self.stopped().is_some() {
            policy.mode = Mode::Off;
        }
        policy
    }

    fn memory_file(&self, place: &Place) -> PathBuf {
        self.dir
            .join(format!("{}-{}.json", place.account, place.region))
    }

    fn memory(&self, place: &Place) -> Memory {
        let path = self.memory_file(place);
        let read = store::read_bounded(&path, MEMORY_MAX)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.unwrap_or_else(|| {
            if path.exists() {
                tracing::warn!(
                    "Clean-up: `{}` cannot be read; the first runs only report again",
                    path.display()
                );
            }
            Memory::default()
        })
    }

    /// When every one of these places was last read to its end, by the memory
    /// of an earlier daemon; `None` where one never was.
    fn last_complete(&self, places: impl Iterator<Item = Place>) -> Option<Timestamp> {
        places.map(|place| self.memory(&place).last).min().flatten()
    }

    fn keep(&self, place: &Place, memory: &Memory) {
        let written = (|| -> anyhow::Result<()> {
            std::fs::create_dir_all(&self.dir)?;
            let bytes = serde_json::to_vec(memory)?;
            store::write_atomic(&self.memory_file(place), &bytes)
        })();
        if let Err(error) = written {
            tracing::warn!("Clean-up: the memory of this run could not be written: {error:#}");
        }
    }

    fn circumstances(&self, now: Timestamp) -> Circumstances {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = Instant::now();
        let clock_error = seen.clocks.map(|(then, at)| {
            let real = SignedDuration::try_from(moment.duration_since(then)).unwrap_or_default();
            (now.duration_since(at) - real).abs()
        });
        seen.clocks = Some((moment, now));
        Circumstances {
            clock_error,
            trouble: seen.trouble,
            recycle_bin: Vec::new(),
        }
    }

    fn trouble(&self, now: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.trouble = Some(now);
    }
}

/// One run over every account and region.
pub async fn run(engine: &Arc<Engine>, cleaner: &Cleaner, by_hand: bool) -> Run {
    let began = engine.now();
    let circumstances = cleaner.circumstances(began);
    let accepted = engine.accepted();
    let head = accepted.as_ref().map(|accepted| accepted.commit);
    let (places, reads) = read(engine, cleaner, began).await;
    let mut common = git(engine, head).await;
    common.insert(
        Source::TerraformState,
        cleaner.states.list(engine, false).await,
    );
    let unread = reads.iter().any(gather::Read::is_incomplete)
        || common.values().any(|list| list.incomplete.is_some());
    let mut inventories = gather::inventories(reads, &common, &circumstances);
    if unread {
        cleaner.trouble(engine.now());
    }
    let clock: Clock = {
        let engine = Arc::clone(engine);
        Arc::new(move || engine.now())
    };
    let mut run = Run {
        began,
        ended: began,
        result: RunResult::Complete,
        by_hand,
        stopped: None,
        cleanings: Vec::new(),
        done: Vec::new(),
    };
    for (index, inventory) in places.into_iter().zip(&mut inventories) {
        let Some(place) = engine.places.get(index) else {
            continue;
        };
        one(
            engine, cleaner, &place.aws, inventory, head, &clock, &mut run,
        )
        .await;
    }
    if run.stopped.is_none()
        && let Some(reason) = cleaner.stopped()
    {
        run.stopped = Some(stopped_by_hand(&reason));
    }
    run.ended = engine.now();
    engine.metrics.cleanup().run(&run);
    run
}

fn place_of(target: &Target) -> Place {
    Place {
        account: target.account_id.clone(),
        region: target.region.clone(),
    }
}

fn stopped_by_hand(reason: &str) -> String {
    format!("clean-up was stopped by hand: {reason}; `amid gc --start` takes that back")
}

/// Decides on one account and region, and performs it.
async fn one(
    engine: &Arc<Engine>,
    cleaner: &Cleaner,
    aws: &Aws,
    inventory: &mut Inventory,
    head: Option<Oid>,
    clock: &Clock,
    run: &mut Run,
) {
    let policy = cleaner.policy(run.by_hand);
    let memory = cleaner.memory(&inventory.place);
    let questions = settle::Questions {
        aws,
        states: Box::pin(cleaner.states.list(engine, true)),
        clock,
    };
    let cleaning = settle::settle(inventory, &policy, &memory, questions).await;
    cleaner.keep(&inventory.place, &cleaning.memory);
    engine.metrics.cleanup().decided(&cleaning);
    run.result = run.result.max_of(result_of(&cleaning));
    for blocker in &cleaning.blockers {
        tracing::info!(
            reason = blocker.label(),
            "Clean-up of {} only reports: {blocker}",
            cleaning.place
        );
    }
    let limit = policy.breakers.max_inventory_age.as_duration();
    let taken_at = inventory.taken_at;
    let halt = || -> Option<(&'static str, String)> {
        if engine.is_stopping() {
            return Some(("stopping", "the daemon is stopping".to_owned()));
        }
        if let Some(reason) = cleaner.stopped() {
            return Some(("off", stopped_by_hand(&reason)));
        }
        if engine.now().duration_since(taken_at) > limit {
            let why = "what was read is too old by now, the next run goes on".to_owned();
            return Some(("inventory_old", why));
        }
        // What git asks for now was not part of the decision.
        if engine.accepted().map(|accepted| accepted.commit) != head {
            let why = "git moved on, the next run goes on".to_owned();
            return Some(("git_moved", why));
        }
        None
    };
    let performed = perform::perform(aws, &cleaning.actions, &cleaner.pace, clock, &halt).await;
    let freed = bytes_of(inventory, &performed.deleted);
    engine
        .metrics
        .cleanup()
        .deleted(performed.deregistered, &performed.snapshots, freed);
    if let Some((label, why)) = performed.stopped {
        tracing::warn!(reason = label, "Clean-up of {}: {why}", cleaning.place);
        engine.metrics.cleanup().aborted(label);
        run.result = RunResult::Aborted;
        run.stopped = Some(why);
    }
    run.done.extend(performed.done);
    run.cleanings.push(cleaning);
}

/// Reads each account and region once, and says which of `engine.places` each
/// one is.
async fn read(
    engine: &Arc<Engine>,
    cleaner: &Cleaner,
    now: Timestamp,
) -> (Vec<usize>, Vec<gather::Read>) {
    let mut known = BTreeSet::new();
    let (mut indices, mut reads) = (Vec::new(), Vec::new());
    for (index, target) in engine.config.targets.iter().enumerate() {
        let place = place_of(target);
        let Some(clients) = engine.places.get(index) else {
            continue;
        };
        if !known.insert(place.clone()) {
            continue;
        }
        let read = match reconcile::is_right_account(clients).await {
            Ok(()) => gather::Read::all(&clients.aws, place, &cleaner.parameters, now).await,
            Err(error) => gather::Read::failed(place, now, &format!("{error:#}")),
        };
        indices.push(index);
        reads.push(read);
    }
    (indices, reads)
}

async fn git(engine: &Arc<Engine>, head: Option<Oid>) -> BTreeMap<Source, Listing<Reference>> {
    let Some(head) = head else {
        return named::nothing_yet();
    };
    let (mirror, branch) = (
        Arc::clone(&engine.mirror),
        engine.config.repository.branch.clone(),
    );
    tokio::task::spawn_blocking(move || named::lists(&mirror, head, &branch))
        .await
        .unwrap_or_else(|error| {
            tracing::error!("Clean-up: reading git died: {error}");
            named::nothing_yet()
        })
}

/// How a run ends that decided so, if nothing goes wrong afterwards.
fn result_of(cleaning: &Cleaning) -> RunResult {
    let by_config = |blocker: &Blocker| {
        matches!(
            blocker,
            Blocker::Off | Blocker::ReportMode | Blocker::FirstRuns { .. }
        )
    };
    match cleaning.blockers.as_slice() {
        [] => RunResult::Complete,
        some if some.iter().all(by_config) => RunResult::ReportOnly,
        _ => RunResult::Aborted,
    }
}

fn bytes_of(inventory: &Inventory, deleted: &[amid_core::retention::SnapshotId]) -> u64 {
    let sizes = inventory
        .snapshots
        .items
        .iter()
        .filter(|snapshot| deleted.contains(&snapshot.id));
    sizes.map(|snapshot| snapshot.bytes).sum()
}

/// Whether anything of this run is on its way out: a commit may need it back.
fn anything_marked(run: &Run) -> bool {
    run.cleanings.iter().any(|cleaning| {
        let marked = |action: &Action| action.kind == ActionKind::Mark;
        cleaning.actions.iter().any(marked)
            || cleaning
                .images
                .iter()
                .any(|image| image.stage != Stage::Kept)
    })
}
