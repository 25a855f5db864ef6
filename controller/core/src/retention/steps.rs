//! The next step of each image that nothing keeps, and how many of them one
//! run takes.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::actions;
use super::cleaning::{ActionKind, Call};
use super::fleet::Fleet;
use super::inventory::{Image, ImageState, Referrer};
use super::keeps::protected;
use super::marks::{Stage, Standing};
use super::policy::Policy;
use super::reason::{Keep, Limit, Wait};
use super::reference::Evidence;
use super::span::Span;
use crate::model::AmiId;

/// What is to be done to an image that nothing keeps, or what it waits for.
pub type Next = Result<(ActionKind, Vec<Call>), Wait>;

/// The next step of one image that nothing keeps.
pub fn next(
    fleet: &Fleet<'_>,
    n: usize,
    descendant: Option<&AmiId>,
    policy: &Policy,
    now: Timestamp,
) -> Next {
    let (image, standing) = (fleet.images[n], &fleet.standing[n]);
    let waits = &policy.waits;
    // Somebody brought it back by hand: it starts from the beginning.
    if standing.undone {
        return actions::heal(image, &[], now)
            .map(|heal| (heal.kind, heal.calls))
            .ok_or(Wait::ReportOnly);
    }
    // A step that was begun was due, and the waits are over.
    let due = |wait: Span| match standing.since.map(|since| wait.after(since)) {
        Some(until) if now < until && !standing.begun => Err(Wait::Stage {
            stage: standing.stage,
            until,
        }),
        _ => Ok(()),
    };
    match standing.stage {
        Stage::Kept => Ok((ActionKind::Mark, actions::mark(image, policy, now))),
        // What never became an image cannot be deprecated or disabled.
        Stage::Stale if image.state == ImageState::Failed => {
            due(all_waits(policy))?;
            gone_before(descendant)?;
            let calls = actions::deregister(fleet, n, policy, now);
            Ok((ActionKind::Deregister, calls))
        }
        Stage::Stale => {
            due(waits.stale)?;
            Ok((ActionKind::Deprecate, actions::deprecate(image, now)))
        }
        Stage::Deprecated => {
            due(waits.deprecated)?;
            let calls = actions::disable(image, now).ok_or_else(|| Wait::Permissions {
                count: u32::try_from(image.permissions.len()).unwrap_or(u32::MAX),
            })?;
            Ok((ActionKind::Disable, calls))
        }
        // Killed before it was written down since when it is disabled.
        Stage::Disabled if standing.begun => actions::disable(image, now)
            .map(|calls| (ActionKind::Disable, calls))
            .ok_or(Wait::ReportOnly),
        Stage::Disabled => {
            due(waits.disabled)?;
            gone_before(descendant)?;
            let calls = actions::deregister(fleet, n, policy, now);
            Ok((ActionKind::Deregister, calls))
        }
    }
}

/// What somebody did to an image since the run looked at it, for which it may
/// not be deregistered now: that alone cannot be undone.
pub fn wanted_since(image: &Image, now: Timestamp) -> Option<&'static str> {
    let standing = Standing::of(image);
    match image.state {
        _ if protected(&image.tags, now).is_some() => Some("it carries the tag `amid:keep` by now"),
        _ if image.protection.is_some() => Some("it is protected from deregistration by now"),
        ImageState::Disabled if standing.stage == Stage::Disabled && !standing.undone => None,
        ImageState::Failed if standing.stage == Stage::Stale && !standing.undone => None,
        ImageState::Disabled | ImageState::Failed => Some("its marks are gone"),
        _ => Some("somebody enabled it"),
    }
}

/// The waits of all stages together.
pub fn all_waits(policy: &Policy) -> Span {
    let waits = &policy.waits;
    Span(waits.stale.0 + waits.deprecated.0 + waits.disabled.0)
}

/// What it was built from goes after it: while it can still come back, it is
/// to come back whole.
fn gone_before(descendant: Option<&AmiId>) -> Result<(), Wait> {
    descendant.map_or(Ok(()), |ami| Err(Wait::Descendant { ami: ami.clone() }))
}

/// The first user that the second opinion names and no list explains.
pub fn disagreement<'r>(referrers: &'r [Referrer], weak: &[Keep]) -> Option<&'r Referrer> {
    referrers.iter().find(|referrer| {
        !weak.iter().any(|keep| match keep {
            Keep::Referenced {
                evidence: Evidence::TemplateVersion { template, .. },
            } => referrer.arn.contains(template.as_str()),
            _ => false,
        })
    })
}

/// How much one run may do, and has done so far.
pub struct Limits {
    max: u32,
    percent: (u32, u32),
    family_percent: u32,
    families: HashMap<String, u32>,
    done: BTreeMap<ActionKind, u32>,
    done_in_family: HashMap<(ActionKind, String), u32>,
}

impl Limits {
    /// Nothing is done yet.
    pub fn new(fleet: &Fleet<'_>, policy: &Policy) -> Self {
        let breakers = &policy.breakers;
        let mut families: HashMap<String, u32> = HashMap::new();
        for claimed in fleet.claimed.iter().flatten() {
            *families.entry(claimed.family.clone()).or_default() += 1;
        }
        let all = families.values().sum();
        Self {
            max: breakers.max_images,
            percent: (share(all, breakers.max_percent), breakers.max_percent),
            family_percent: breakers.max_family_percent,
            families,
            done: BTreeMap::new(),
            done_in_family: HashMap::new(),
        }
    }

    /// Takes a turn for one image of a family; the limit when there is none
    /// left.
    pub fn take(&mut self, kind: ActionKind, family: &str) -> Result<(), Limit> {
        let done = self.done.entry(kind).or_default();
        let in_family = self
            .done_in_family
            .entry((kind, family.to_owned()))
            .or_default();
        let of_family = share(
            self.families.get(family).copied().unwrap_or(0),
            self.family_percent,
        );
        if *done >= self.max {
            return Err(Limit::Images { max: self.max });
        }
        if *done >= self.percent.0 {
            let (max, percent) = self.percent;
            return Err(Limit::Percent { max, percent });
        }
        if *in_family >= of_family {
            return Err(Limit::Family {
                family: family.to_owned(),
                max: of_family,
                percent: self.family_percent,
            });
        }
        *done += 1;
        *in_family += 1;
        Ok(())
    }
}

/// So much of a number; one is always allowed.
fn share(of: u32, percent: u32) -> u32 {
    let share = u64::from(of) * u64::from(percent) / 100;
    u32::try_from(share).unwrap_or(u32::MAX).max(1)
}
