//! A random account with its repository, the people who use both, and the
//! cleaner that visits them.
//!
//! [`World::turn`] lets things happen and makes a run as the adapters do:
//! read, decide, ask, decide again, perform. What happens follows from the
//! seed alone.

pub mod builds;
pub mod events;
pub mod faults;
pub mod hands;
pub mod model;
pub mod perform;
pub mod read;
#[path = "../world/rng.rs"]
pub mod rng;
pub mod truth;

use std::collections::BTreeSet;

use amid_core::retention::marks::{BY, KEEP, is_marked};
use amid_core::retention::{
    ActionKind, Blocker, Claim, Cleaning, Inventory, Memory, Mode, Policy, Retention, RevertWindow,
    Source, Span, Waits, Weak, decide,
};
use jiff::{SignedDuration, Timestamp};

use faults::{Mistake, Part};
use model::US;
use rng::Rng;
use truth::{State, Truth};

/// No answer is staler than this, and no stage waits less.
const STALEST: SignedDuration = SignedDuration::from_hours(6);

pub struct World {
    pub rng: Rng,
    pub now: Timestamp,
    pub truth: Truth,
    old: Option<(Timestamp, Truth)>,
    pub policy: Policy,
    memory: Memory,
    mistake: Mistake,
    /// A list of this run is older than it says.
    stale: bool,
    /// The stages that each image was taken through while it was needed.
    wrong: Vec<BTreeSet<ActionKind>>,
    pub broken: Option<String>,
    pub log: Option<Vec<String>>,
}

impl World {
    pub fn new(seed: u64, mistake: Mistake, log: bool) -> Self {
        let mut rng = Rng::new(seed);
        let policy = policy(&mut rng);
        let mut world = Self {
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365),
            truth: Truth {
                images: Vec::new(),
                disks: Vec::new(),
                things: Vec::new(),
                templates: Vec::new(),
                parameters: Default::default(),
                branches: Vec::new(),
                changes: Vec::new(),
                git_tags: Vec::new(),
                copies: Vec::new(),
                next: 0,
            },
            old: None,
            policy,
            memory: Memory::default(),
            mistake,
            stale: false,
            wrong: vec![BTreeSet::new(); 16],
            broken: None,
            log: log.then(Vec::new),
            rng,
        };
        for _ in 0..world.rng.within(1, 5) {
            world.build();
        }
        world.finish_builds();
        world
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(log) = &mut self.log {
            log.push(format!("{now:.0} {}", text()));
        }
    }

    pub fn law(&mut self, holds: bool, words: impl FnOnce() -> String) {
        if !holds {
            self.broken.get_or_insert_with(words);
        }
    }

    pub fn needed(&self) -> Vec<bool> {
        model::needed(&self.truth, &self.policy, self.now)
    }

    /// Time passes, things happen, and the cleaner may come by.
    pub fn turn(&mut self) {
        self.old = Some((self.now, self.truth.clone()));
        self.now += SignedDuration::from_hours(self.rng.within(1, 9).into());
        self.forgive();
        for _ in 0..self.rng.below(4) {
            self.event();
            self.forgive();
        }
        if self.rng.chance(80) {
            self.run(false);
        }
    }

    /// What is not needed any more was not taken too far.
    fn forgive(&mut self) {
        for (n, needed) in self.needed().into_iter().enumerate() {
            if !needed {
                self.wrong[n].clear();
            }
        }
    }

    /// One run of the cleaner.
    pub fn run(&mut self, calm: bool) {
        let mut view = self.truth.clone();
        let mut part = None;
        if let Some((at, old)) = &self.old
            && !calm
            && self.now.duration_since(*at) < STALEST
            && self.rng.chance(15)
        {
            part = Some(faults::stale(&mut view, old, &mut self.rng));
        }
        self.stale = part.is_some();
        let mut inventory = read::read(&view, self.now);
        let broken = !calm && self.rng.chance(20);
        if broken {
            faults::incomplete(&mut inventory, &mut self.rng);
        }
        self.circumstances(&mut inventory, calm);
        self.mistake.apply(&mut inventory);
        let mut cleaning = self.decide(&inventory);
        for _ in 0..8 {
            if cleaning.ask.is_empty() {
                break;
            }
            for ami in &cleaning.ask {
                // Not answered: throttled.
                if !calm && self.rng.chance(5) {
                    continue;
                }
                let answer = match self.mistake {
                    Mistake::None => read::second_opinion(&self.truth, truth::number(ami)),
                    // Two mistakes at a time.
                    _ => Vec::new(),
                };
                inventory.second_opinion.insert(ami.clone(), answer);
            }
            cleaning = self.decide(&inventory);
        }
        self.note(|| {
            let blockers = cleaning.blockers.iter().map(ToString::to_string);
            format!(
                "run: {} actions, part {part:?}, {:?}",
                cleaning.actions.len(),
                blockers.collect::<Vec<_>>()
            )
        });
        self.check(&cleaning, broken);
        let seen = self.seen(view, part);
        let alive = self.perform(&cleaning.actions, &seen, calm);
        if alive || self.rng.chance(50) {
            self.memory = cleaning.memory;
        }
        if !calm && self.rng.chance(2) {
            self.memory = Memory::default();
        }
        if alive && part.is_none() && !broken && self.policy.mode != Mode::Off && calm {
            self.check_healed();
        }
    }

    fn decide(&self, inventory: &Inventory) -> Cleaning {
        decide(inventory, &self.policy, &self.memory, self.now)
    }

    /// What was needed by all that the best observer could know: what a stale
    /// answer hides is known only where the second opinion tells it.
    fn seen(&self, mut view: Truth, part: Option<Part>) -> Vec<bool> {
        match part {
            Some(Part::Things(Source::Instances)) => {
                view.things.clone_from(&self.truth.things);
            }
            Some(Part::Parameters) => view.parameters.clone_from(&self.truth.parameters),
            _ => {}
        }
        let mut seen = model::needed(&view, &self.policy, self.now);
        seen.resize(self.truth.images.len(), false);
        seen
    }

    fn circumstances(&mut self, inventory: &mut Inventory, calm: bool) {
        if calm {
            return;
        }
        match self.rng.below(60) {
            0 => inventory.taken_at -= SignedDuration::from_hours(3),
            1 => inventory.circumstances.clock_error = Some(SignedDuration::from_hours(-2)),
            2 => inventory.circumstances.trouble = Some(self.now),
            _ => {}
        }
    }

    /// What has to hold before anything is done.
    fn check(&mut self, cleaning: &Cleaning, broken: bool) {
        let forward = cleaning
            .actions
            .iter()
            .any(|action| action.kind != ActionKind::Heal);
        let trusts = self.mistake == Mistake::TrustsCutLists;
        self.law(!broken || !forward || trusts, || {
            "a list was not read to its end, and something is taken away".to_owned()
        });
        self.law(cleaning.blockers.is_empty() || !forward, || {
            "the run only reports, and something is taken away".to_owned()
        });
        self.law(
            self.policy.mode != Mode::Off || cleaning.actions.is_empty(),
            || "it is switched off and acts".to_owned(),
        );
        for verdict in &cleaning.images {
            self.law(
                !verdict.keeps.is_empty() || verdict.wait.is_some() || verdict.action.is_some(),
                || format!("{} has no reason at all", verdict.ami),
            );
        }
        let incomplete = |b: &Blocker| matches!(b, Blocker::Incomplete { .. });
        self.law(
            !broken || trusts || cleaning.blockers.iter().any(incomplete),
            || "nobody is told that a list was not read".to_owned(),
        );
    }

    /// Whatever is needed has come back whole.
    fn check_healed(&mut self) {
        let needed = self.needed();
        for (n, image) in self.truth.images.clone().iter().enumerate() {
            let theirs = image.tags.get(BY).is_some_and(|by| by != US);
            if image.gone || !needed[n] || theirs {
                continue;
            }
            self.law(!is_marked(&image.tags), || {
                format!("image {n} is needed and still marked")
            });
            self.law(image.permissions == image.meant, || {
                format!(
                    "image {n} is back with {:?} and had {:?}",
                    image.permissions, image.meant
                )
            });
            let launchable = image.state != State::Disabled || image.meant.is_empty();
            self.law(launchable, || format!("image {n} is needed and disabled"));
        }
    }

    /// Nothing happens any more but runs. In the end what is not needed is
    /// gone.
    pub fn rest(&mut self) -> Result<(), String> {
        const RUNS: u32 = 200;
        self.policy.mode = Mode::On;
        self.settle();
        let mut left = String::new();
        for _ in 0..RUNS {
            self.now += SignedDuration::from_hours(12);
            self.forgive();
            self.run(true);
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
            left = self.left();
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(format!("it does not come to an end: {left}"))
    }

    /// What should be gone and is not.
    fn left(&self) -> String {
        let needed = self.needed();
        for (n, image) in self.truth.images.iter().enumerate() {
            if !image.gone && !needed[n] {
                return format!("image {n} is needed by nothing");
            }
            if !image.gone && is_marked(&image.tags) {
                return format!("image {n} is needed and marked");
            }
        }
        for (n, disk) in self.truth.disks.iter().enumerate() {
            let named = self
                .truth
                .things
                .iter()
                .any(|thing| thing.point == truth::Point::Disk(n));
            let stays = disk.gone
                || disk.shared
                || disk.locked
                || disk.backup
                || disk.tags.contains_key(KEEP)
                || named
                || perform::is_in_image(&self.truth, n);
            let ours = disk.tags.keys().any(|key| key.starts_with("amid:"));
            if !stays && ours {
                return format!("snapshot {n} is left over: {:?}", disk.tags);
            }
        }
        String::new()
    }
}

fn policy(rng: &mut Rng) -> Policy {
    let hours = |rng: &mut Rng, low, high| Span::hours(rng.within(low, high).into());
    let claim = |name: &str| Claim {
        name: Some(name.to_owned()),
        ..Claim::default()
    };
    let mut policy = Policy {
        controller: US.to_owned(),
        mode: match rng.below(20) {
            0 => Mode::Off,
            1 => Mode::Report,
            _ => Mode::On,
        },
        claims: vec![claim("web *"), claim("db *")],
        default: Retention {
            keep_newest: rng.below(3),
            min_age: hours(rng, 0, 24),
            not_launched_for: hours(rng, 0, 24),
        },
        waits: Waits {
            stale: hours(rng, 6, 30),
            deprecated: hours(rng, 6, 30),
            disabled: hours(rng, 6, 30),
        },
        weak: Weak {
            template_versions: rng.chance(50).then(|| hours(rng, 0, 48)),
            branches: rng.chance(50).then(|| hours(rng, 0, 48)),
        },
        revert_window: RevertWindow {
            changes: rng.below(4),
            age: hours(rng, 0, 48),
        },
        longest_build: hours(rng, 1, 24),
        ..Policy::default()
    };
    let breakers = &mut policy.breakers;
    breakers.max_images = rng.within(1, 8);
    breakers.max_percent = rng.within(10, 100);
    breakers.max_family_percent = rng.within(10, 100);
    breakers.fewer_references_percent = rng.pick(&[20, 60, 100, 100]);
    breakers.fewer_references_for = hours(rng, 1, 24);
    breakers.longest_gap = Span::days(2);
    breakers.first_runs = rng.below(3);
    policy
}
