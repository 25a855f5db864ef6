//! Clean-up of images: what nothing can need disappears, and nothing else
//! ever.
//!
//! [`decide`] is a pure function over an [`Inventory`] of everything: the
//! images, who names them (AWS, terraform's states, git), and what the second
//! opinion says. It is called from scratch on every run. How far an image is
//! on its way out stands in its own tags ([`marks`]), so that there is no
//! journal to lose:
//!
//! kept → stale (tags) → deprecated → disabled → deregistered
//!
//! Each stage waits its own time, and each step is decided anew from all
//! references. An image that something needs again goes back at once. When a
//! list was not read to its end, or anything else is odd, the run only
//! reports and says why ([`Blocker`]).
//!
//! A run reads, decides, asks the second opinion about [`Cleaning::ask`], puts
//! the answers into the same inventory and decides again until nothing is to
//! be asked. Then it performs [`Cleaning::actions`] and keeps
//! [`Cleaning::memory`].

mod actions;
mod breakers;
mod claims;
pub mod cleaning;
mod evidence;
mod fleet;
mod image;
pub mod inventory;
mod keeps;
pub mod marks;
mod needs;
mod orphans;
pub mod permissions;
pub mod policy;
mod preflight;
pub mod reason;
pub mod reference;
pub mod span;
mod steps;
mod summary;
mod tags;
mod templates;

use jiff::Timestamp;

pub use actions::heal;
pub use cleaning::{
    Action, ActionKind, Call, Cleaning, Memory, Resource, SnapshotVerdict, Summary, Verdict,
};
pub use inventory::{
    Circumstances, CopiedImage, Elsewhere, Image, ImageState, Inventory, Listing, Place,
    References, Referrer, Snapshot, SnapshotId,
};
pub use marks::{Stage, Standing};
pub use permissions::Permission;
pub use policy::{Breakers, Claim, Mode, Policy, Retention, RevertWindow, Waits, Weak};
pub use preflight::{Launchable, preflight};
pub use reason::{Blocker, Keep, Limit, List, Wait};
pub use reference::{Evidence, Reference, Source, Target};
pub use span::Span;
pub use steps::wanted_since;
pub use summary::cost;

use fleet::Fleet;
use marks::DEREGISTERING;
use steps::Limits;

/// What is to become of every image, and what this run does about it.
pub fn decide(inventory: &Inventory, policy: &Policy, memory: &Memory, now: Timestamp) -> Cleaning {
    let fleet = Fleet::new(inventory, policy);
    // Who names it.
    let mut needs = needs::needs(inventory, &fleet, policy, now);
    let (blockers, memory) = breakers::check(inventory, &fleet, &needs, policy, memory, now);
    // What else keeps it: the policy, its tags, what was built from it.
    keeps::keeps(inventory, &fleet, policy, now, &mut needs.keeps);
    let snapshots = orphans::orphans(inventory, &fleet, &needs, policy, now);

    let mut run = Run {
        inventory,
        policy,
        now,
        verdicts: verdicts(&fleet, &mut needs),
        fleet,
        blockers,
        heals: Vec::new(),
        forward: Vec::new(),
        ask: Vec::new(),
    };
    run.heal();
    run.go_on();
    for (_, action) in &snapshots {
        match action {
            Some(action) if action.kind == ActionKind::Heal => run.heals.push(action.clone()),
            Some(action) => run.forward.push(action.clone()),
            None => {}
        }
    }
    let mut snapshots: Vec<SnapshotVerdict> =
        snapshots.into_iter().map(|(verdict, _)| verdict).collect();
    run.report_only(&mut snapshots);

    let (mut actions, mut blocked) = (run.heals, run.forward);
    if run.blockers.is_empty() {
        actions.append(&mut blocked);
    } else if run.blockers.iter().any(Blocker::stops_healing) {
        actions.append(&mut blocked);
        blocked = std::mem::take(&mut actions);
    }
    let summary = summary::summary(
        inventory,
        &run.fleet,
        &needs,
        policy,
        &run.verdicts,
        &snapshots,
    );
    Cleaning {
        place: inventory.place.clone(),
        at: now,
        blockers: run.blockers,
        actions,
        blocked,
        ask: run.ask,
        images: run.verdicts,
        snapshots,
        summary,
        memory,
    }
}

/// One run, while it is decided.
struct Run<'a> {
    inventory: &'a Inventory,
    policy: &'a Policy,
    now: Timestamp,
    fleet: Fleet<'a>,
    verdicts: Vec<Verdict>,
    blockers: Vec<Blocker>,
    heals: Vec<Action>,
    forward: Vec<Action>,
    ask: Vec<crate::model::AmiId>,
}

impl Run<'_> {
    /// What is needed again comes back at once, also when the run only
    /// reports. What another controller marked is left to it.
    fn heal(&mut self) {
        for (n, verdict) in self.verdicts.iter_mut().enumerate() {
            let others = |keep: &Keep| matches!(keep, Keep::OtherController { .. });
            if verdict.keeps.is_empty() || verdict.keeps.iter().any(others) {
                continue;
            }
            let begun: Vec<SnapshotId> = self
                .fleet
                .own_snapshots(n)
                .filter(|snapshot| snapshot.tags.contains_key(DEREGISTERING))
                .map(|snapshot| snapshot.id.clone())
                .collect();
            if let Some(action) = heal(self.fleet.images[n], &begun, self.now) {
                verdict.action = Some(action.kind);
                self.heals.push(action);
            }
        }
    }

    /// The next step of what nothing keeps: those that are furthest and
    /// oldest first, as many as one run may take, each with a second opinion.
    fn go_on(&mut self) {
        let (policy, now) = (self.policy, self.now);
        let descendants = keeps::descendants(&self.fleet);
        let mut limits = Limits::new(&self.fleet, policy);
        let mut order: Vec<usize> = (0..self.verdicts.len())
            .filter(|n| self.verdicts[*n].keeps.is_empty())
            .collect();
        order.sort_by_key(|n| {
            let verdict = &self.verdicts[*n];
            (std::cmp::Reverse(verdict.stage), verdict.created)
        });
        // Where something is odd, or the kill switch is thrown, nobody is
        // asked; a run that reports for other reasons shows what AWS thinks.
        let asks = self
            .blockers
            .iter()
            .all(|blocker| matches!(blocker, Blocker::ReportMode | Blocker::FirstRuns { .. }));
        let mut disagreements = 0;
        for n in order {
            let verdict = &mut self.verdicts[n];
            let (kind, calls) = match steps::next(&self.fleet, n, descendants[n], policy, now) {
                Ok(next) => next,
                Err(wait) => {
                    verdict.wait = Some(wait);
                    continue;
                }
            };
            let action = Action {
                kind,
                resource: Resource::Image(verdict.ami.clone()),
                calls,
                bytes: match kind {
                    ActionKind::Deregister => self
                        .fleet
                        .own_snapshots(n)
                        .filter(|snapshot| !actions::stays(snapshot, policy, now))
                        .map(|snapshot| snapshot.bytes)
                        .sum(),
                    _ => 0,
                },
            };
            if kind == ActionKind::Heal {
                verdict.action = Some(kind);
                self.heals.push(action);
                continue;
            }
            let opinion = self.inventory.second_opinion.get(&verdict.ami);
            if let Some(opinion) = opinion
                && let Some(referrer) = steps::disagreement(opinion, &verdict.weak)
            {
                disagreements += 1;
                let referrer = referrer.clone();
                verdict.wait = Some(Wait::Disagreement { referrer });
                continue;
            }
            let family = verdict.family.as_deref().unwrap_or_default();
            if let Err(limit) = limits.take(kind, family) {
                verdict.wait = Some(Wait::Turn { limit });
                continue;
            }
            if opinion.is_none() && asks {
                self.ask.push(verdict.ami.clone());
                verdict.wait = Some(Wait::SecondOpinion);
                continue;
            }
            verdict.action = Some(kind);
            self.forward.push(action);
        }
        if disagreements >= policy.breakers.disagreements.max(1) {
            self.blockers.push(Blocker::Disagreements {
                count: disagreements,
            });
        }
    }

    /// Says of each step that is not taken that it is the run's fault.
    fn report_only(&mut self, snapshots: &mut [SnapshotVerdict]) {
        if self.blockers.is_empty() {
            return;
        }
        let is_forward =
            |action: Option<ActionKind>| action.is_some_and(|action| action != ActionKind::Heal);
        for verdict in self.verdicts.iter_mut().filter(|v| is_forward(v.action)) {
            verdict.wait = Some(Wait::ReportOnly);
        }
        for verdict in snapshots.iter_mut().filter(|v| is_forward(v.action)) {
            verdict.wait = Some(Wait::ReportOnly);
        }
    }
}

fn verdicts(fleet: &Fleet<'_>, needs: &mut needs::Needs<'_>) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(fleet.images.len());
    for (n, image) in fleet.images.iter().enumerate() {
        let (claimed, standing) = (&fleet.claimed[n], &fleet.standing[n]);
        verdicts.push(Verdict {
            ami: image.ami.clone(),
            name: image.name.clone(),
            app: claimed.as_ref().and_then(|claimed| claimed.app.clone()),
            family: claimed.as_ref().map(|claimed| claimed.family.clone()),
            created: image.created,
            stage: standing.stage,
            since: standing.since,
            keeps: std::mem::take(&mut needs.keeps[n]),
            weak: std::mem::take(&mut needs.weak[n]),
            wait: None,
            action: None,
            bytes: fleet.own_snapshots(n).map(|snapshot| snapshot.bytes).sum(),
        });
    }
    verdicts
}
