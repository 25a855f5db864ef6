//! Measures the decision of clean-up on a large account and prints JSON:
//! 10,000 images, 1,000 groups with 10,000 instances, 20,000 launch template
//! versions, 5,000 commits of history.
//!
//! `cargo run --release -p amid-core --example retention_bench`

use std::collections::BTreeMap;
use std::time::Instant;

use amid_core::model::{AmiId, AppName, CommitId};
use amid_core::retention::{
    Circumstances, Claim, Cleaning, Evidence, Image, ImageState, Inventory, Listing, Memory, Mode,
    Place, Policy, Reference, References, Snapshot, SnapshotId, Source, Target, decide,
};
use jiff::{SignedDuration, Timestamp};

const IMAGES: usize = 10_000;
const APPS: usize = 100;
const GROUPS: usize = 1_000;
const INSTANCES: usize = 10_000;
const VERSIONS: usize = 20_000;
const COMMITS: usize = 5_000;
const ROUNDS: usize = 9;

fn main() -> Result<(), String> {
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 50);
    let mut inventory = inventory(now)?;
    let policy = policy();
    let memory = Memory {
        runs: 100,
        last: Some(now),
        ..Memory::default()
    };

    // The first decision finds the heap as the inputs left it. It asks; the
    // answers go into the inventory, as in a run.
    let before = memory_kib("VmRSS:");
    reset_peak();
    let asked = decide(&inventory, &policy, &memory, now).ask;
    let peak = memory_kib("VmHWM:");
    let count = asked.len();
    for ami in asked {
        inventory.second_opinion.insert(ami, Vec::new());
    }
    let first = decide(&inventory, &policy, &memory, now);
    let mut millis: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let cleaning = decide(&inventory, &policy, &memory, now);
            let took = start.elapsed().as_secs_f64() * 1000.0;
            drop(cleaning);
            took
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    print(&first, count, &millis, before, peak);
    Ok(())
}

fn print(
    cleaning: &Cleaning,
    asked: usize,
    millis: &[f64],
    before: Option<u64>,
    peak: Option<u64>,
) {
    let beyond = before
        .zip(peak)
        .map(|(before, peak)| peak.saturating_sub(before));
    let report = serde_json::json!({
        "images": IMAGES,
        "groups": GROUPS,
        "instances": INSTANCES,
        "launch_template_versions": VERSIONS,
        "commits": COMMITS,
        "samples_ms": millis,
        "median_ms": millis.get(millis.len() / 2),
        "max_ms": millis.last(),
        "bar_ms": 100,
        "memory_beyond_inputs_kib": beyond,
        "bar_memory_kib": 64 * 1024,
        "asked": asked,
        "actions": cleaning.actions.len(),
        "kept": cleaning.images.iter().filter(|verdict| !verdict.keeps.is_empty()).count(),
        "blockers": cleaning.blockers.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    println!("{report:#}");
}

fn policy() -> Policy {
    Policy {
        mode: Mode::On,
        claims: vec![Claim {
            name: Some("app-*".to_owned()),
            ..Claim::default()
        }],
        ..Policy::default()
    }
}

fn inventory(now: Timestamp) -> Result<Inventory, String> {
    let mut lists: BTreeMap<Source, Listing<Reference>> = Source::ALL
        .iter()
        .map(|source| (*source, Listing::complete(Vec::new())))
        .collect();
    lists.insert(Source::Instances, Listing::complete(instances()?));
    lists.insert(Source::LaunchTemplates, Listing::complete(versions(now)?));
    lists.insert(Source::Groups, Listing::complete(groups()));
    lists.insert(Source::History, Listing::complete(history(now)?));
    Ok(Inventory {
        place: Place {
            account: "123456789012".to_owned(),
            region: "eu-central-1".to_owned(),
        },
        taken_at: now,
        images: Listing::complete(images(now)?),
        snapshots: Listing::complete(snapshots(now)),
        references: References {
            lists,
            parameters: BTreeMap::new(),
        },
        elsewhere: Vec::new(),
        second_opinion: BTreeMap::new(),
        circumstances: Circumstances::default(),
    })
}

fn ami(n: usize) -> Result<AmiId, String> {
    AmiId::parse(&format!("ami-{n:017x}"))
}

fn snapshot(n: usize) -> SnapshotId {
    SnapshotId(format!("snap-{n:017x}"))
}

/// The `n`th image is so old: an hour more than the one before it.
fn created(n: usize, now: Timestamp) -> Timestamp {
    let hours = i64::try_from(n).unwrap_or(i64::MAX);
    now - SignedDuration::from_hours(hours)
}

fn images(now: Timestamp) -> Result<Vec<Image>, String> {
    (0..IMAGES)
        .map(|n| {
            let tags = [
                ("amid:app", format!("prod/app-{}", n % APPS)),
                ("amid:kind", "app".to_owned()),
                ("amid:base", ami((n + 1777) % IMAGES / 50 * 50)?.to_string()),
            ];
            Ok(Image {
                ami: ami(n)?,
                name: format!("app-{} {n:010}", n % APPS),
                state: ImageState::Available,
                created: Some(created(n, now)),
                last_launched: Some(created(n, now)),
                deprecated: None,
                protection: None,
                permissions: Default::default(),
                source: None,
                snapshots: vec![snapshot(n)],
                tags: tags
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
            })
        })
        .collect()
}

fn snapshots(now: Timestamp) -> Vec<Snapshot> {
    (0..IMAGES)
        .map(|n| Snapshot {
            id: snapshot(n),
            created: Some(created(n, now)),
            bytes: 8 << 30,
            tags: BTreeMap::new(),
            shared_with: Default::default(),
            backup: false,
            locked: None,
        })
        .collect()
}

fn instances() -> Result<Vec<Reference>, String> {
    (0..INSTANCES)
        .map(|n| {
            Ok(Reference {
                target: Target::Image(ami(n % (GROUPS * 2))?),
                evidence: Evidence::Instance {
                    id: format!("i-{n:017x}"),
                    state: "running".to_owned(),
                },
            })
        })
        .collect()
}

fn versions(now: Timestamp) -> Result<Vec<Reference>, String> {
    let each = VERSIONS / GROUPS;
    (0..VERSIONS)
        .map(|n| {
            let (template, version) = (n / each, n % each + 1);
            Ok(Reference {
                target: Target::Image(ami((n * 7) % (IMAGES * 3 / 4))?),
                evidence: Evidence::TemplateVersion {
                    template: format!("lt-{template:017x}"),
                    name: format!("prod-app-{template}"),
                    version: version as u64,
                    default: version == 1,
                    latest: version == each,
                    created: Some(created(n, now)),
                },
            })
        })
        .collect()
}

fn groups() -> Vec<Reference> {
    (0..GROUPS)
        .map(|n| Reference {
            target: Target::Template {
                template: format!("lt-{n:017x}"),
                version: Some("$Latest".to_owned()),
            },
            evidence: Evidence::Group {
                name: format!("prod-app-{n}"),
                part: "launch template".to_owned(),
            },
        })
        .collect()
}

fn history(now: Timestamp) -> Result<Vec<Reference>, String> {
    (0..COMMITS)
        .map(|n| {
            let app = n % APPS;
            let since = u32::try_from(n / APPS).map_err(|error| error.to_string())?;
            Ok(Reference {
                target: Target::Image(ami(n)?),
                evidence: Evidence::History {
                    app: AppName::parse(&format!("prod/app-{app}"))?,
                    commit: CommitId::parse(&format!("{n:040x}"))?,
                    path: format!("desired/prod/app-{app}.json"),
                    changes_since: since,
                    until: (since > 0).then(|| created(n, now)),
                },
            })
        })
        .collect()
}

/// One figure of this process, where the system tells it.
fn memory_kib(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Lets the peak begin from here, where the system can do that.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
