//! The whole policy: what is to be done for one app, now.
//!
//! [`decide`] is called from scratch on every pass with what git asks for,
//! what is there, what happened and what time it is. There is no workflow
//! object to resume: which arrow of a roll comes next is read off the state
//! of the world, so a crash at any point means that the next pass starts from
//! what is. It answers with at most one apply and one revert commit.
//!
//! A roll is `{old}` → add new → healthy, baked → drain old → remove old. Its
//! beginning and direction stand in the unit's state
//! ([`crate::step::Memory`]); a give-up is the same arrows backwards.

mod gate;
mod needs;
mod recreate;
mod rolling;
mod settled;
mod stray;
mod view;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::history::{AppHistory, Event};
use crate::model::{AppName, ReleaseKey};
use crate::observe::{Desired, Observed};
use crate::reason::Reason;
use crate::step::Step;
use needs::roll_under_way;
use view::View;

pub(crate) use needs::full_size;
pub use needs::requirements;

/// What to do for one app, and why nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to do now, in this order.
    pub steps: Vec<Step>,
    /// What is waited for, or that all is well.
    pub state: Option<Reason>,
    /// What stands still until a person or the world changes something.
    pub held: Vec<Reason>,
    /// What people should know, though nothing stands still for it.
    pub notes: Vec<Reason>,
    /// A step waits for the word of the app's gate: ask it, then decide again.
    pub asks_gate: bool,
    /// What was decided and has to be journalled before the steps.
    pub record: Vec<Event>,
    /// Where the app is.
    pub phase: Phase,
    /// When time alone may change this plan.
    pub wake: Option<Timestamp>,
}

impl Plan {
    fn of(phase: Phase) -> Self {
        Self {
            steps: Vec::new(),
            state: None,
            held: Vec::new(),
            notes: Vec::new(),
            asks_gate: false,
            record: Vec::new(),
            phase,
            wake: None,
        }
    }

    fn hold(reason: Reason) -> Self {
        let mut plan = Self::of(Phase::Held);
        plan.held.push(reason);
        plan
    }

    fn step(phase: Phase, step: Step) -> Self {
        let mut plan = Self::of(phase);
        plan.steps.push(step);
        plan
    }

    fn wait(phase: Phase, reason: Reason, wake: Option<Timestamp>) -> Self {
        let mut plan = Self::of(phase);
        plan.state = Some(reason);
        plan.wake = wake;
        plan
    }

    /// The one sentence that says most about this plan.
    pub fn reason(&self) -> Option<&Reason> {
        self.steps
            .first()
            .map(Step::reason)
            .or_else(|| self.held.first())
            .or(self.state.as_ref())
    }
}

/// Where an app is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// What git asks for is live.
    Steady,
    /// A release is being made.
    Adding,
    /// The new release has to become healthy.
    Starting,
    /// The new release has to stay healthy.
    Baking,
    /// A group empties.
    Draining,
    /// An empty group is deleted.
    Removing,
    /// The new release is taken away again.
    GivingUp,
    /// It waits for a person or for the world.
    Held,
}

impl Phase {
    /// For metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Adding => "adding",
            Self::Starting => "starting",
            Self::Baking => "baking",
            Self::Draining => "draining",
            Self::Removing => "removing",
            Self::GivingUp => "giving_up",
            Self::Held => "held",
        }
    }

    /// Every phase, for metrics.
    pub const ALL: &[Self] = &[
        Self::Steady,
        Self::Adding,
        Self::Starting,
        Self::Baking,
        Self::Draining,
        Self::Removing,
        Self::GivingUp,
        Self::Held,
    ];
}

/// Decides for `app`. `history`'s timers must have seen `observed`
/// ([`AppHistory::look`] with [`requirements`]).
pub fn decide(
    app: &AppName,
    desired: &Desired,
    observed: &Observed,
    history: &AppHistory,
    now: Timestamp,
) -> Plan {
    let (manifest, commit) = match desired {
        // A manifest that goes destroys nothing: git may have lost it by a
        // bad merge, and a group cannot be undeleted.
        Desired::Missing => {
            return Plan::hold(Reason::ManifestDeleted {
                groups: u32::try_from(observed.groups.len()).unwrap_or(u32::MAX),
            });
        }
        Desired::Invalid { problems, first } => {
            return Plan::hold(Reason::ManifestInvalid {
                problems: *problems,
                first: first.clone(),
            });
        }
        Desired::Wanted { manifest, commit } => (manifest.as_ref(), commit),
    };
    let view = View::new(app, manifest, commit, observed, history, now);

    if let Some(reason) = view.rewritten() {
        return Plan::hold(reason);
    }
    if let Some(name) = view.unknown_group() {
        return Plan::hold(Reason::UnknownGroup { name });
    }
    if let Some(plan) = stray::take_in(&view) {
        return plan;
    }
    gate::heed(&view, roll_or_rest(&view))
}

/// What there is to do for an app whose groups are all known.
fn roll_or_rest(view: &View<'_>) -> Plan {
    let (observed, commit) = (view.observed, view.commit);
    let roll = roll_under_way(observed, commit);
    let mut live = observed.made.keys();
    match (&roll, live.next(), live.next()) {
        (Some(roll), _, _) if roll.recreate => recreate::decide(view, roll),
        (Some(roll), _, _) => rolling::decide(view, roll),
        // No group yet.
        (None, None, _) => settled::first(view),
        // One release: it is what git asks for, or a roll begins.
        (None, Some(key), _) if *key == view.want => settled::live(view, key),
        (None, Some(key), _) => settled::begin(view, key),
    }
}

/// The healthy instances that each live release needs now, by key.
pub type Requirements = BTreeMap<ReleaseKey, u32>;
