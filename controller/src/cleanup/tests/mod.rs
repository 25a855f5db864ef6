//! Clean-up against the stand-in: what it reads, what it does, and what it does
//! not do when anything goes wrong. Weeks pass by the clock that is given in.

mod faults;
mod parameters;
mod reading;
mod stages;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use amid_testkit::cloud::{ACCOUNT, Cloud};
use amid_testkit::standin::{Source as From, Standin};
use jiff::{SignedDuration, Timestamp};

use amid_core::model::AmiId;
use amid_core::retention::{
    Breakers, Circumstances, Claim, Cleaning, Evidence, Inventory, Listing, Memory, Mode, Place,
    Policy, Reference, References, Retention, RevertWindow, Source, Span, Target, Verdict, Waits,
};

use super::gather::{Parameters, Read, inventories};
use super::perform::{Clock, Pace, Performed, perform};
use super::settle::{Questions, settle};
use crate::aws::Aws;

/// Nothing needs it.
pub(super) const OLD: &str = "ami-00000000000000001";
/// A launch template needs it.
pub(super) const USED: &str = "ami-00000000000000002";
/// An account that is read as well.
pub(super) const OTHER: &str = "210987654321";

/// An account with two images, and everything that a run needs.
pub(super) struct World {
    pub standin: Standin,
    pub aws: Aws,
    pub policy: Policy,
    pub common: BTreeMap<Source, Listing<Reference>>,
    memory: Mutex<Memory>,
    passed: Arc<AtomicI64>,
    start: Timestamp,
}

impl World {
    pub fn new(change: impl FnOnce(&mut Cloud)) -> Self {
        let start = Timestamp::now();
        let mut cloud = Cloud::new();
        let long_ago = start - SignedDuration::from_hours(24 * 200);
        cloud.add_image_with_snapshot(OLD, "app-1", long_ago, &[("team", "a")]);
        cloud.add_image_with_snapshot(USED, "app-2", long_ago, &[("team", "a")]);
        if let Some(image) = cloud.images.get_mut(OLD) {
            image.details.shared = vec![OTHER.to_owned()];
        }
        template(&mut cloud, "used", USED);
        change(&mut cloud);
        let standin = Standin::start(From::Memory(cloud)).unwrap();
        let complete = || Listing::complete(Vec::new());
        let common = [
            Source::TerraformState,
            Source::Branches,
            Source::History,
            Source::GitTags,
        ]
        .map(|source| (source, complete()))
        .into();
        Self {
            aws: Aws::on(&standin.endpoint()),
            standin,
            policy: policy(),
            common,
            memory: Mutex::default(),
            passed: Arc::default(),
            start,
        }
    }

    pub fn clock(&self) -> Clock {
        let (start, passed) = (self.start, Arc::clone(&self.passed));
        Arc::new(move || start + SignedDuration::from_hours(passed.load(Ordering::SeqCst)))
    }

    /// So many days later.
    pub fn wait(&self, days: i64) {
        self.passed.fetch_add(days * 24, Ordering::SeqCst);
    }

    pub async fn inventory(&self) -> Inventory {
        let now = (self.clock())();
        let here = Place {
            account: ACCOUNT.to_owned(),
            region: "us-east-1".to_owned(),
        };
        let there = Place {
            account: OTHER.to_owned(),
            region: "us-east-1".to_owned(),
        };
        let read = Read::all(&self.aws, here, &Parameters::default(), now).await;
        let empty = Source::ELSEWHERE
            .iter()
            .map(|source| (*source, Listing::complete(Vec::new())));
        let other = Read {
            place: there,
            taken_at: now,
            images: Listing::complete(Vec::new()),
            snapshots: Listing::complete(Vec::new()),
            references: References {
                lists: empty.collect(),
                parameters: BTreeMap::new(),
            },
            recycle_bin: Vec::new(),
        };
        let all = inventories(vec![read, other], &self.common, &Circumstances::default());
        all.into_iter().next().unwrap()
    }

    pub async fn decide(&self) -> Cleaning {
        let mut inventory = self.inventory().await;
        self.settled(&mut inventory).await
    }

    async fn settled(&self, inventory: &mut Inventory) -> Cleaning {
        let memory = self.memory.lock().unwrap().clone();
        let states = self.common[&Source::TerraformState].clone();
        let clock = self.clock();
        let questions = Questions {
            aws: &self.aws,
            states: Box::pin(async move { states }),
            clock: &clock,
        };
        let cleaning = settle(inventory, &self.policy, &memory, questions).await;
        *self.memory.lock().unwrap() = cleaning.memory.clone();
        cleaning
    }

    /// A whole run.
    pub async fn run(&self) -> (Cleaning, Performed) {
        self.run_until(&|| None).await
    }

    /// A run that ends when `halt` says so.
    pub async fn run_until(
        &self,
        halt: &(dyn Fn() -> Option<(&'static str, String)> + Send + Sync),
    ) -> (Cleaning, Performed) {
        let cleaning = self.decide().await;
        let pace = Pace::per_second(1e6);
        let clock = self.clock();
        let performed = perform(&self.aws, &cleaning.actions, &pace, &clock, halt).await;
        (cleaning, performed)
    }

    /// Runs until nothing is left to do, a day apart, at most so many.
    pub async fn settle_down(&self, most: usize) {
        for _ in 0..most {
            let (cleaning, _) = self.run().await;
            assert_eq!(cleaning.blockers, [], "nothing is odd here");
            self.wait(1);
        }
    }

    pub fn cloud(&self) -> Cloud {
        self.standin.cloud().unwrap()
    }

    /// From now on git names this image.
    pub fn need(&mut self, ami: &str) {
        self.common
            .insert(Source::Branches, Listing::complete(vec![named_by_git(ami)]));
    }
}

pub(super) fn named_by_git(ami: &str) -> Reference {
    Reference {
        target: Target::Image(AmiId::parse(ami).unwrap()),
        evidence: Evidence::Branch {
            branch: "feature".to_owned(),
            accepted: false,
            commit: amid_core::model::CommitId::parse(&"a".repeat(40)).unwrap(),
            committed: None,
            path: "desired/demo/todo.json".to_owned(),
        },
    }
}

/// A policy without patience: each stage waits a day.
pub(super) fn policy() -> Policy {
    let day = Span::days(1);
    Policy {
        mode: Mode::On,
        claims: vec![Claim {
            name: Some("app-*".to_owned()),
            ..Claim::default()
        }],
        default: Retention {
            keep_newest: 0,
            min_age: Span(0),
            not_launched_for: Span(0),
        },
        waits: Waits {
            stale: day,
            deprecated: day,
            disabled: day,
        },
        revert_window: RevertWindow {
            changes: 0,
            age: Span(0),
        },
        breakers: Breakers {
            first_runs: 0,
            max_percent: 100,
            max_family_percent: 100,
            longest_gap: Span::days(30),
            ..Breakers::default()
        },
        ..Policy::default()
    }
}

/// A launch template with one version of this image; answers its id.
pub(super) fn template(cloud: &mut Cloud, name: &str, image: &str) -> String {
    let template = amid_testkit::cloud::Template {
        name: name.to_owned(),
        image: image.to_owned(),
        instance_type: "m5.large".to_owned(),
        tags: BTreeMap::new(),
        created: Timestamp::now(),
    };
    cloud.create_template(template).unwrap()
}

pub(super) fn verdict<'a>(cleaning: &'a Cleaning, ami: &str) -> &'a Verdict {
    let mut images = cleaning.images.iter();
    images.find(|image| image.ami.as_str() == ami).unwrap()
}

pub(super) fn labels(cleaning: &Cleaning, ami: &str) -> Vec<&'static str> {
    let keeps = verdict(cleaning, ami).keeps.iter();
    keeps.map(|keep| keep.label()).collect()
}

/// Lets so many requests through and no more.
pub(super) fn after(requests: u32) -> impl Fn() -> Option<(&'static str, String)> + Send + Sync {
    let left = AtomicU32::new(requests);
    move || {
        let more = left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok();
        (!more).then(|| ("stopping", "the test ends it here".to_owned()))
    }
}
