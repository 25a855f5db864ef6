//! An account for tables: one image that nothing needs, and ways to change
//! everything about it.

use std::collections::BTreeMap;

use amid_core::model::{AmiId, AppName, CommitId};
use amid_core::retention::{
    ActionKind, Circumstances, Claim, Cleaning, Elsewhere, Evidence, Image, ImageState, Inventory,
    Listing, Memory, Mode, Place, Policy, Reference, References, Resource, Retention, Snapshot,
    SnapshotId, Source, Target, decide,
};
use jiff::{SignedDuration, Timestamp};

pub struct Account {
    pub inventory: Inventory,
    pub policy: Policy,
    pub memory: Memory,
    pub now: Timestamp,
}

pub fn ami(n: u32) -> AmiId {
    AmiId::parse(&format!("ami-{n:08x}")).unwrap()
}

pub fn disk(n: u32) -> SnapshotId {
    SnapshotId(format!("snap-{n:08x}"))
}

pub fn commit() -> CommitId {
    CommitId::parse(&"a".repeat(40)).unwrap()
}

pub fn app() -> AppName {
    AppName::parse("prod/web").unwrap()
}

pub fn place(account: &str) -> Place {
    Place {
        account: account.to_owned(),
        region: "eu-central-1".to_owned(),
    }
}

fn all_lists(sources: &[Source]) -> References {
    References {
        lists: sources
            .iter()
            .map(|source| (*source, Listing::complete(Vec::new())))
            .collect(),
        parameters: BTreeMap::new(),
    }
}

impl Account {
    /// One image, a year old, that nothing needs, and a policy that keeps
    /// nothing by itself.
    pub fn new() -> Self {
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        let policy = Policy {
            controller: "us".to_owned(),
            mode: Mode::On,
            claims: vec![Claim {
                name: Some("web *".to_owned()),
                ..Claim::default()
            }],
            default: Retention {
                keep_newest: 0,
                ..Retention::default()
            },
            ..Policy::default()
        };
        let mut account = Self {
            inventory: Inventory {
                place: place("111111111111"),
                taken_at: now,
                images: Listing::complete(Vec::new()),
                snapshots: Listing::complete(Vec::new()),
                references: all_lists(Source::ALL),
                elsewhere: Vec::new(),
                second_opinion: BTreeMap::new(),
                circumstances: Circumstances::default(),
            },
            policy,
            memory: Memory {
                runs: 10,
                last: Some(now - SignedDuration::from_hours(1)),
                ..Memory::default()
            },
            now,
        };
        account.add(1);
        account
    }

    /// So many days ago.
    pub fn ago(&self, days: i64) -> Timestamp {
        self.now - SignedDuration::from_hours(24 * days)
    }

    /// One more image that nothing needs.
    pub fn add(&mut self, n: u32) -> &mut Image {
        let created = self.ago(365 - i64::from(n));
        self.inventory.snapshots.items.push(Snapshot {
            id: disk(n),
            created: Some(created),
            bytes: 1 << 30,
            tags: BTreeMap::new(),
            shared_with: Default::default(),
            backup: false,
            locked: None,
        });
        self.inventory.images.items.push(Image {
            ami: ami(n),
            name: format!("web {n}"),
            state: ImageState::Available,
            created: Some(created),
            last_launched: None,
            deprecated: None,
            protection: None,
            permissions: Default::default(),
            source: None,
            snapshots: vec![disk(n)],
            tags: BTreeMap::new(),
        });
        self.inventory.images.items.last_mut().unwrap()
    }

    pub fn image(&mut self) -> &mut Image {
        &mut self.inventory.images.items[0]
    }

    pub fn tag(&mut self, key: &str, value: impl ToString) {
        self.image().tags.insert(key.to_owned(), value.to_string());
    }

    /// The image stands in a stage for so many days.
    pub fn stage(&mut self, stages: &[(&str, i64)]) {
        self.tag("amid:cleanup-by", "us");
        for (key, days) in stages {
            let at = self.ago(*days);
            self.tag(key, at);
        }
    }

    pub fn name(&mut self, source: Source, target: Target, evidence: Evidence) {
        let list = self.inventory.references.lists.get_mut(&source).unwrap();
        list.items.push(Reference { target, evidence });
    }

    /// Another account that is read.
    pub fn elsewhere(&mut self, account: &str) -> &mut Elsewhere {
        self.inventory.elsewhere.push(Elsewhere {
            place: place(account),
            copies: Listing::complete(Vec::new()),
            references: all_lists(Source::ELSEWHERE),
        });
        self.inventory.elsewhere.last_mut().unwrap()
    }

    /// One run: decided, asked, and decided again. AWS agrees to everything
    /// that it has no answer for yet.
    pub fn run(&mut self) -> Cleaning {
        loop {
            let cleaning = decide(&self.inventory, &self.policy, &self.memory, self.now);
            if cleaning.ask.is_empty() {
                return cleaning;
            }
            for ami in cleaning.ask {
                self.inventory.second_opinion.insert(ami, Vec::new());
            }
        }
    }

    /// What is done to the image, and why nothing, in a word.
    pub fn word(&mut self) -> String {
        let cleaning = self.run();
        let resource = Resource::Image(ami(1));
        let done = cleaning.actions.iter().find(|a| a.resource == resource);
        if let Some(action) = done {
            return action.kind.label().to_owned();
        }
        let verdict = cleaning.image(&ami(1)).unwrap();
        match (&verdict.keeps[..], &verdict.wait) {
            ([keep, ..], _) => keep.label().to_owned(),
            ([], Some(wait)) => format!("wait {}", wait.label()),
            ([], None) => "nothing".to_owned(),
        }
    }
}

pub fn kinds(cleaning: &Cleaning) -> Vec<ActionKind> {
    cleaning.actions.iter().map(|action| action.kind).collect()
}
