//! Follows every reference to the images that it names.
//!
//! Aliases (`resolve:ssm:`), template versions and snapshots are followed to
//! the end. A reference that leads nowhere is not dropped: it blocks the run.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::fleet::Fleet;
use super::inventory::{Inventory, Place, References, SnapshotId};
use super::policy::Policy;
use super::reason::{Blocker, Keep};
use super::reference::{Evidence, Reference, Source, Target};
use super::templates::Templates;
use crate::model::AmiId;

/// The most references that lead nowhere which one run tells of.
const TOLD: usize = 50;

/// Without a word in the policy, from when on a branch counts as an old one
/// in the figures.
const OLD_BRANCH: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What all references together say.
pub struct Needs<'a> {
    /// What keeps each image.
    pub keeps: Vec<Vec<Keep>>,
    /// References that do not count any more.
    pub weak: Vec<Vec<Keep>>,
    /// How many of the keeps are template versions that nothing uses.
    pub old_templates: Vec<usize>,
    /// How many of them are branches without a commit for long.
    pub old_branches: Vec<usize>,
    /// What keeps snapshots, by themselves.
    pub snapshots: HashMap<&'a SnapshotId, Vec<Keep>>,
    /// How many images each source names.
    pub referenced: BTreeMap<Source, u32>,
    /// How many images all of them name.
    pub referenced_total: u32,
    /// References that lead nowhere.
    pub blockers: Vec<Blocker>,
}

/// How much a reference counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// It keeps.
    Strong,
    /// It keeps, and is of the sort that the policy may let go.
    Old,
    /// It is shown, and keeps nothing.
    Weak,
    /// It is not about an image's use at all.
    None,
}

/// Where a reference was read.
#[derive(Clone, Copy)]
struct Context<'a> {
    references: &'a References,
    /// The other place; `None` for ours.
    place: Option<&'a Place>,
    source: Source,
}

/// Follows everything.
pub fn needs<'a>(
    inventory: &'a Inventory,
    fleet: &Fleet<'a>,
    policy: &Policy,
    now: Timestamp,
) -> Needs<'a> {
    let count = fleet.images.len();
    let mut copies = HashMap::new();
    for elsewhere in &inventory.elsewhere {
        for copy in &elsewhere.copies.items {
            copies.insert(&copy.ami, (&copy.of, &elsewhere.place));
        }
    }
    let mut walk = Walk {
        fleet,
        policy,
        now,
        copies,
        seen: BTreeMap::new(),
        needs: Needs {
            keeps: vec![Vec::new(); count],
            weak: vec![Vec::new(); count],
            old_templates: vec![0; count],
            old_branches: vec![0; count],
            snapshots: HashMap::new(),
            referenced: BTreeMap::new(),
            referenced_total: 0,
            blockers: Vec::new(),
        },
    };
    walk.references(&inventory.references, None);
    for elsewhere in &inventory.elsewhere {
        walk.references(&elsewhere.references, Some(&elsewhere.place));
    }
    let mut all = HashSet::new();
    for (source, images) in walk.seen {
        let number = u32::try_from(images.len()).unwrap_or(u32::MAX);
        walk.needs.referenced.insert(source, number);
        all.extend(images);
    }
    walk.needs.referenced_total = u32::try_from(all.len()).unwrap_or(u32::MAX);
    walk.needs
}

struct Walk<'w, 'a> {
    fleet: &'w Fleet<'a>,
    policy: &'w Policy,
    now: Timestamp,
    /// Copies elsewhere: what they are copies of, and where they are.
    copies: HashMap<&'a AmiId, (&'a AmiId, &'a Place)>,
    seen: BTreeMap<Source, HashSet<usize>>,
    needs: Needs<'a>,
}

impl<'a> Walk<'_, 'a> {
    fn references(&mut self, references: &'a References, place: Option<&'a Place>) {
        let mut templates = Templates::new(references);
        for reference in references.lists.values().flat_map(|list| &list.items) {
            if let Target::Template { template, version } = &reference.target {
                templates.used(template, version.as_deref());
            }
        }
        for (source, list) in &references.lists {
            let context = Context {
                references,
                place,
                source: *source,
            };
            for reference in &list.items {
                let weight = self.weight(reference, &templates);
                if weight != Weight::None {
                    self.follow(context, reference, &reference.target, weight, &templates);
                }
            }
        }
    }

    /// How much a reference counts, by its evidence.
    fn weight(&self, reference: &Reference, templates: &Templates<'a>) -> Weight {
        let is_older = |at: &Option<Timestamp>, than: SignedDuration| {
            at.is_some_and(|at| self.now.duration_since(at) >= than)
        };
        let weak = &self.policy.weak;
        match &reference.evidence {
            Evidence::TemplateVersion {
                template,
                version,
                default: false,
                latest: false,
                created,
                ..
            } if !templates.is_used(template, *version) => match weak.template_versions {
                Some(span) if is_older(created, span.as_duration()) => Weight::Weak,
                _ => Weight::Old,
            },
            Evidence::Branch {
                accepted: false,
                committed,
                ..
            } => match weak.branches {
                Some(span) if is_older(committed, span.as_duration()) => Weight::Weak,
                _ if is_older(committed, OLD_BRANCH) => Weight::Old,
                _ => Weight::Strong,
            },
            // What the manifest says now counts in any case. A `git revert`
            // of the last N changes reaches what was there N changes ago.
            Evidence::History {
                changes_since,
                until,
                ..
            } => {
                let window = &self.policy.revert_window;
                if *changes_since > window.changes && is_older(until, window.age.as_duration()) {
                    Weight::Weak
                } else {
                    Weight::Strong
                }
            }
            // A volume does not need its snapshot; the build that made it may
            // still register an image.
            Evidence::Volume { created, .. }
                if is_older(created, self.policy.longest_build.as_duration()) =>
            {
                Weight::None
            }
            _ => Weight::Strong,
        }
    }

    fn follow(
        &mut self,
        context: Context<'a>,
        reference: &'a Reference,
        target: &'a Target,
        weight: Weight,
        templates: &Templates<'a>,
    ) {
        match target {
            Target::Image(ami) => self.image(context, ami, &reference.evidence, weight),
            Target::Parameter(name) => match context.references.parameters.get(name) {
                Some(Some(ami)) => self.image(context, ami, &reference.evidence, weight),
                Some(None) => {}
                None => self.unresolved(format!("resolve:ssm:{name}"), reference, weight),
            },
            Target::Template { template, version } => {
                match templates.target(template, version.as_deref()) {
                    // One level only: a template names no template.
                    Some(Target::Template { .. }) | None => {
                        let version = version.as_deref().unwrap_or("$Default");
                        self.unresolved(format!("{template} version {version}"), reference, weight);
                    }
                    Some(target) => self.follow(context, reference, target, weight, templates),
                }
            }
            Target::Snapshot(snapshot) => {
                let keep = Keep::Referenced {
                    evidence: reference.evidence.clone(),
                };
                for n in self.fleet.with_snapshot(snapshot) {
                    self.keep(context, *n, keep.clone(), weight);
                }
                if weight != Weight::Weak && context.place.is_none() {
                    self.needs.snapshots.entry(snapshot).or_default().push(keep);
                }
            }
            Target::Nothing => {}
            Target::Unreadable(text) => self.unresolved(text.clone(), reference, weight),
        }
    }

    fn image(&mut self, context: Context<'a>, ami: &AmiId, evidence: &Evidence, weight: Weight) {
        if let Some(n) = self.fleet.number(ami) {
            let keep = match context.place {
                None => Keep::Referenced {
                    evidence: evidence.clone(),
                },
                Some(place) => Keep::ReferencedElsewhere {
                    place: place.clone(),
                    copy: None,
                    evidence: evidence.clone(),
                },
            };
            self.keep(context, n, keep, weight);
        }
        // A state or a manifest here may name the copy there.
        if let Some((n, place)) = self.original(ami) {
            let keep = Keep::ReferencedElsewhere {
                place: context.place.unwrap_or(place).clone(),
                copy: Some(ami.clone()),
                evidence: evidence.clone(),
            };
            self.keep(context, n, keep, weight);
        }
    }
}

impl<'a> Walk<'_, 'a> {
    /// The image here that a copy goes back to, by as many copies as it takes.
    fn original(&self, copy: &AmiId) -> Option<(usize, &'a Place)> {
        const LONGEST: usize = 16;
        let (mut ami, place) = self.copies.get(copy).copied()?;
        for _ in 0..LONGEST {
            if let Some(n) = self.fleet.number(ami) {
                return Some((n, place));
            }
            (ami, _) = self.copies.get(ami).copied()?;
        }
        None
    }

    fn keep(&mut self, context: Context<'_>, n: usize, keep: Keep, weight: Weight) {
        if weight == Weight::Weak {
            self.needs.weak[n].push(keep);
            return;
        }
        if weight == Weight::Old {
            match context.source {
                Source::LaunchTemplates => self.needs.old_templates[n] += 1,
                Source::Branches => self.needs.old_branches[n] += 1,
                _ => {}
            }
        }
        self.needs.keeps[n].push(keep);
        self.seen.entry(context.source).or_default().insert(n);
    }

    fn unresolved(&mut self, what: String, reference: &Reference, weight: Weight) {
        if weight != Weight::Weak && self.needs.blockers.len() < TOLD {
            self.needs.blockers.push(Blocker::Unresolved {
                what,
                evidence: reference.evidence.clone(),
            });
        }
    }
}
