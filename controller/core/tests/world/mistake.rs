//! Planted mistakes: a controller that is wrong in one way. They show that
//! the laws would see it.

use std::borrow::Cow;

use amid_core::decide::Plan;
use amid_core::history::AppHistory;
use amid_core::model::Targets;
use amid_core::observe::{GateFact, Observed};
use amid_core::step::{Guard, Step};
use jiff::{SignedDuration, Timestamp};

/// What is wrong with a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Nothing.
    None,
    /// In service is believed to be healthy.
    IgnoresTargets,
    /// A new release is believed to be healthy as soon as it is made.
    DrainsAtOnce,
    /// What an apply is to remember is lost.
    ForgetsMemory,
    /// A draining group is believed to be empty.
    RemovesNonEmptyGroups,
    /// Nothing is looked at between plan and apply.
    SkipsTheGuard,
    /// Suspensions are not seen.
    IgnoresSuspension,
    /// What failed is not remembered.
    ForgetsFailures,
    /// A gate is believed to be open.
    IgnoresTheGate,
    /// Nobody is told what stands still.
    HoldsWithoutAWord,
}

impl Mistake {
    /// Every real one.
    pub const ALL: &[Self] = &[
        Self::IgnoresTargets,
        Self::DrainsAtOnce,
        Self::ForgetsMemory,
        Self::RemovesNonEmptyGroups,
        Self::SkipsTheGuard,
        Self::IgnoresSuspension,
        Self::ForgetsFailures,
        Self::IgnoresTheGate,
        Self::HoldsWithoutAWord,
    ];

    pub fn look(self, observed: &mut Observed) {
        let machines = observed.groups.iter_mut().flat_map(|g| &mut g.instances);
        match self {
            Self::IgnoresTargets => machines.for_each(|m| m.targets = Targets::Healthy),
            Self::DrainsAtOnce => machines.for_each(|m| {
                m.in_service = true;
                m.targets = Targets::Healthy;
            }),
            Self::RemovesNonEmptyGroups => {
                for group in &mut observed.groups {
                    if group.max == 0 {
                        group.instances.clear();
                    }
                }
            }
            Self::ForgetsFailures => observed.memory.failed.clear(),
            Self::IgnoresTheGate => observed.gate = GateFact::Open,
            _ => {}
        }
    }

    pub fn history<'a>(self, history: &'a AppHistory, now: Timestamp) -> Cow<'a, AppHistory> {
        if !matches!(
            self,
            Self::DrainsAtOnce | Self::ForgetsFailures | Self::IgnoresSuspension
        ) {
            return Cow::Borrowed(history);
        }
        let mut history = history.clone();
        match self {
            Self::DrainsAtOnce => {
                for timer in history.timers.values_mut() {
                    timer.healthy_since = Some(now - SignedDuration::from_hours(1));
                }
            }
            Self::ForgetsFailures => history.abandoned.clear(),
            Self::IgnoresSuspension => history.suspended = None,
            _ => {}
        }
        Cow::Owned(history)
    }

    pub fn plan(self, plan: &mut Plan) {
        if self == Self::HoldsWithoutAWord {
            plan.held.clear();
        }
        for step in &mut plan.steps {
            let Step::Apply(apply) = step else {
                continue;
            };
            match self {
                Self::ForgetsMemory => apply.memory = Default::default(),
                Self::SkipsTheGuard => apply.guard = Guard::default(),
                _ => {}
            }
        }
    }

    pub fn skips_guard(self) -> bool {
        matches!(self, Self::SkipsTheGuard | Self::DrainsAtOnce)
    }
}
