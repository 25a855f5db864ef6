//! Performs what was decided: one request after the other, slowly, and ready
//! to stop between any two of them.
//!
//! Dull on purpose. Where an action stands is written into AWS itself by its
//! own requests, so nothing has to be remembered here: a run that was killed
//! goes on with the next one.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use amid_core::model::AmiId;
use amid_core::retention::{
    Action, ActionKind, Call, Resource, SnapshotId, permissions, wanted_since,
};

use crate::aws::{Aws, SnapshotResult, is_missing, is_throttled};
use crate::fault;

/// How often a request is tried again when AWS wants fewer of them.
const PATIENCE: u32 = 6;
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The shortest wait before a request is tried again.
const SHORTEST_WAIT: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 500 });
/// Actions that fail one after the other before the run ends: something is
/// wrong with all of them then.
const FAILURES: u32 = 3;

/// The time, as a function: tests let weeks pass.
pub type Clock = std::sync::Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The time between two requests that change something, and the turn to send
/// them. It is shared by runs and by rolls that bring an image back.
#[derive(Debug)]
pub struct Pace {
    between: Duration,
    next: Mutex<Option<Instant>>,
    /// A roll that looks at an image and brings it back must not have a
    /// request of a run under way that changes it meanwhile.
    hands: tokio::sync::Mutex<()>,
}

impl Pace {
    /// So many requests a second.
    pub fn per_second(rate: f64) -> Self {
        Self {
            between: Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::from_secs(1)),
            next: Mutex::default(),
            hands: tokio::sync::Mutex::default(),
        }
    }

    /// Nobody else changes an image while this is held.
    pub(crate) async fn hands(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.hands.lock().await
    }

    /// Waits for a turn.
    pub(crate) async fn turn(&self) {
        let at = {
            let mut next = self
                .next
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let at = next.unwrap_or_else(Instant::now).max(Instant::now());
            *next = Some(at + self.between);
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

/// What was done, or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What it was.
    pub kind: ActionKind,
    /// To what.
    pub resource: Resource,
    /// When it ended.
    pub at: Timestamp,
    /// Why it did not go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What performing came to.
#[derive(Debug, Default)]
pub(crate) struct Performed {
    pub done: Vec<Done>,
    /// Why it ended early; a word for metrics and a sentence.
    pub stopped: Option<(&'static str, String)>,
    pub snapshots: BTreeMap<SnapshotResult, u64>,
    pub deleted: Vec<SnapshotId>,
    pub deregistered: u64,
}

/// Performs `actions`. `halt` is asked before each request and ends it with a
/// word and a sentence.
pub(crate) async fn perform(
    aws: &Aws,
    actions: &[Action],
    pace: &Pace,
    clock: &Clock,
    halt: &(dyn Fn() -> Option<(&'static str, String)> + Send + Sync),
) -> Performed {
    let mut performed = Performed::default();
    let mut failures = 0;
    for action in actions {
        match one(aws, action, pace, clock, halt, &mut performed).await {
            Ended::Well => {
                failures = 0;
                say(action);
                if action.kind == ActionKind::Deregister {
                    performed.deregistered += 1;
                }
                performed.note(action, clock(), None);
            }
            Ended::Stopped(label, why) => {
                performed.stopped = Some((label, why));
                return performed;
            }
            Ended::Failed(why) => {
                tracing::warn!("Clean-up: {why}");
                performed.note(action, clock(), Some(why.clone()));
                failures += 1;
                if failures >= FAILURES {
                    performed.stopped = Some((
                        "failed",
                        format!(
                            "{FAILURES} actions failed one after the other, the last one: {why}"
                        ),
                    ));
                    return performed;
                }
            }
        }
    }
    performed
}

/// `DisableImage` takes every launch permission away, and only those in the
/// tags come back: one that was granted after the image was looked at would be
/// lost. The next run finds it and decides anew.
async fn granted_since(aws: &Aws, ami: &AmiId, calls: &[Call]) -> anyhow::Result<Option<String>> {
    let saved = calls.iter().find_map(|call| match call {
        Call::CreateTags { tags, .. } => permissions::from_tags(tags),
        _ => None,
    });
    let now = aws.permissions(ami).await?;
    let is_saved = now.is_subset(&saved.unwrap_or_default());
    Ok((!is_saved).then(|| {
        format!("{ami} is not disabled: a launch permission was granted while this run looked")
    }))
}

/// What was decided on minutes ago may be wanted by now. The other steps can be
/// undone; before this one the image is looked at once more.
async fn wanted_by_now(aws: &Aws, ami: &AmiId, now: Timestamp) -> anyhow::Result<Option<String>> {
    let list = aws.images_by_id(std::slice::from_ref(ami)).await;
    if let Some(why) = list.incomplete {
        anyhow::bail!("Failed to look at {ami} once more: {why}");
    }
    let image = list.items.iter().find(|image| image.ami == *ami);
    let wanted = image.and_then(|image| wanted_since(image, now));
    Ok(wanted.map(|why| format!("{ami} is not deregistered: {why}")))
}

enum Ended {
    Well,
    Failed(String),
    Stopped(&'static str, String),
}

async fn one(
    aws: &Aws,
    action: &Action,
    pace: &Pace,
    clock: &Clock,
    halt: &(dyn Fn() -> Option<(&'static str, String)> + Send + Sync),
    performed: &mut Performed,
) -> Ended {
    for call in &action.calls {
        let objection = match call {
            Call::DisableImage { ami } => granted_since(aws, ami, &action.calls).await,
            Call::Deregister { ami, .. } => wanted_by_now(aws, ami, clock()).await,
            _ => Ok(None),
        };
        match objection {
            Ok(None) => {}
            Ok(Some(why)) => return Ended::Failed(why),
            Err(error) => return Ended::Failed(format!("{error:#}")),
        }
        let mut wait = pace.between.max(SHORTEST_WAIT);
        let mut tries = 0;
        let result = loop {
            let hands = pace.hands().await;
            if let Some((label, why)) = halt() {
                return Ended::Stopped(label, why);
            }
            pace.turn().await;
            fault::point("cleanup-before-call");
            let answer = aws.perform(call).await;
            drop(hands);
            match answer {
                Err(error) if is_throttled(&error) => {
                    tries += 1;
                    if tries > PATIENCE {
                        let why = format!("AWS wants fewer requests: {error:#}");
                        return Ended::Stopped("throttled", why);
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                    tokio::time::sleep(wait).await;
                }
                other => break other,
            }
        };
        fault::point("cleanup-after-call");
        match result {
            Ok(told) => {
                for (id, result) in told.snapshots {
                    *performed.snapshots.entry(result).or_default() += 1;
                    if result == SnapshotResult::Deleted {
                        performed.deleted.push(id);
                    } else {
                        // It carries our mark: later runs find it and go on.
                        tracing::warn!(snapshot = %id, result = result.label(), "Clean-up: the snapshot {id} was not deleted: {}", result.label());
                    }
                }
            }
            // Somebody was quicker: there is nothing left to do to it.
            Err(error) if is_missing(&error) && action.kind != ActionKind::Heal => {
                return Ended::Well;
            }
            Err(error) => {
                return Ended::Failed(format!("{}: {error:#}", sentence(action)));
            }
        }
    }
    Ended::Well
}

impl Performed {
    fn note(&mut self, action: &Action, at: Timestamp, error: Option<String>) {
        self.done.push(Done {
            kind: action.kind,
            resource: action.resource.clone(),
            at,
            error,
        });
    }
}

/// What an action is about, for people.
pub(crate) fn sentence(action: &Action) -> String {
    let what = match &action.resource {
        Resource::Image(ami) => ami.to_string(),
        Resource::Snapshot(id) => id.to_string(),
    };
    format!("{} {what}", verb(action.kind))
}

/// What a kind of action does, as the beginning of a sentence.
pub fn verb(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Heal => "bring back",
        ActionKind::Mark => "mark as stale",
        ActionKind::Deprecate => "deprecate",
        ActionKind::Disable => "disable",
        ActionKind::Deregister => "deregister",
        ActionKind::DeleteSnapshot => "delete",
    }
}

fn say(action: &Action) {
    let requests = action.calls.iter().map(name).collect::<Vec<_>>().join(", ");
    tracing::info!(
        action = verb(action.kind),
        requests,
        "Clean-up: {}: done",
        sentence(action)
    );
}

fn name(call: &Call) -> &'static str {
    match call {
        Call::CreateTags { .. } => "CreateTags",
        Call::DeleteTags { .. } => "DeleteTags",
        Call::EnableDeprecation { .. } => "EnableImageDeprecation",
        Call::DisableDeprecation { .. } => "DisableImageDeprecation",
        Call::DisableImage { .. } => "DisableImage",
        Call::EnableImage { .. } => "EnableImage",
        Call::AddPermissions { .. } => "ModifyImageAttribute",
        Call::Deregister { .. } => "DeregisterImage",
        Call::DeleteSnapshot { .. } => "DeleteSnapshot",
    }
}
