//! A few words in, a few sentences out: the notation of the decision tests.
//!
//! The words are sentences of a little language, divided by ` · `:
//!
//! - `git b 2-4`: git asks for release `b` at these sizes. Then any of
//!   `canary 1`, `recreate`, `hold`, `pull`, `report`, `suspended`, `gate`.
//! - `live a 2-4 3/3`: terraform has release `a` at these sizes, its group
//!   has 3 instances, of which 3 are healthy. Then any of `pin 3`, `drained`,
//!   `desired 5`, `gone` (no group), `hand 1-9` (sizes changed by hand),
//!   `failing capacity`, `foreign`, `untargeted`, `only` (terraform has not).
//! - `roll a b`, `recreate a b`: what the state remembers of a roll.
//! - `served a`, `failed b`: what else it remembers.
//! - `waited b 10m`, `healthy b 10m`: what the timers saw.
//! - `image missing`, `leftover b`, `turn taken`, `refused`, `proposed`, `by command`,
//!   `tried b 5m` (no capacity, next try then), `code changed`, `rewritten`,
//!   `stray c`, `draining a 20m` (since when), `told a` (of that drain),
//!   `wiring changed`, `gate open`, `gate closed`.
//!
//! Keys, images and group names are shown as the release's letter.

use amid_core::decide::{Plan, decide};
use amid_core::history::{AppHistory, Drain, Event, Proposed, Retry, Timer, later};
use amid_core::manifest::{
    Gate, Health, HealthKind, Manifest, OnDrift, OnFailure, Roll as Rolling, Seconds, Strategy,
    Suspend,
};
use amid_core::model::{
    AmiId, AppName, CommitId, Group, Instance, LaunchCause, LaunchFailure, Made, ReleaseKey,
    Settings, Targets,
};
use amid_core::observe::{Desired, GateFact, ImageFact, Leftover, Observed, Stray};
use amid_core::reason::Failure;
use amid_core::step::{Failed, RevertWay, Roll, Step, effective};
use jiff::{SignedDuration, Timestamp};

/// A world in words.
pub struct Case {
    pub desired: Desired,
    pub observed: Observed,
    pub history: AppHistory,
    pub now: Timestamp,
}

/// What is decided for a world in words.
pub fn plan(words: &str) -> Plan {
    let case = case(words);
    decide(
        &app(),
        &case.desired,
        &case.observed,
        &case.history,
        case.now,
    )
}

/// The same in sentences, one a line: phase, steps, state, holds.
pub fn told(words: &str) -> Vec<String> {
    let plan = plan(words);
    let mut lines = vec![plan.phase.label().to_owned()];
    for step in &plan.steps {
        lines.push(match step {
            Step::Apply(apply) => format!("{} {}: {}", apply.kind.label(), apply.key, apply.reason),
            Step::Revert(revert) => match revert.way {
                RevertWay::Push => format!("revert: {}", revert.reason),
                RevertWay::PullRequest => format!("propose: {}", revert.reason),
            },
        });
    }
    lines.extend(plan.state.iter().map(|state| format!("now: {state}")));
    lines.extend(plan.held.iter().map(|held| format!("held: {held}")));
    lines.extend(plan.notes.iter().map(|note| format!("note: {note}")));
    if plan.asks_gate {
        lines.push("asks the gate".to_owned());
    }
    lines.iter().map(|line| in_letters(line)).collect()
}

pub fn in_letters(line: &str) -> String {
    let mut line = line.to_owned();
    for letter in 'a'..='f' {
        let release = release(&letter.to_string());
        line = line.replace(release.key().as_str(), &letter.to_string());
        line = line.replace(ami(&letter.to_string()).as_str(), &format!("ami-{letter}"));
    }
    line
}

pub fn app() -> AppName {
    AppName::parse("web").unwrap()
}

fn ami(letter: &str) -> AmiId {
    AmiId::parse(&format!("ami-{}", letter.repeat(8))).unwrap()
}

pub fn release(letter: &str) -> Settings {
    manifest(letter).settings()
}

pub fn key(letter: &str) -> ReleaseKey {
    release(letter).key()
}

pub fn commit() -> CommitId {
    CommitId::parse(&"1".repeat(40)).unwrap()
}

fn noon() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

pub fn manifest(letter: &str) -> Manifest {
    Manifest {
        owner: None,
        unit: "live/web".to_owned(),
        ami: ami(letter),
        image: None,
        revision: None,
        instance_types: vec!["t3.micro".to_owned()],
        min_size: 2,
        max_size: 4,
        env: None,
        secrets: None,
        user_data: None,
        health: Health {
            kind: HealthKind::LoadBalancer,
            timeout: Seconds(15 * 60),
        },
        roll: Rolling::default(),
        on_failure: OnFailure::Revert,
        on_drift: OnDrift::Heal,
        gate: None,
        suspend: None,
    }
}

/// Reads the words.
pub fn case(words: &str) -> Case {
    let mut case = Case {
        desired: Desired::Missing,
        observed: Observed {
            has_state: true,
            image: ImageFact::Available {
                architecture: "x86_64".to_owned(),
                misfit: None,
            },
            code: Some("1".to_owned()),
            ..Observed::default()
        },
        history: AppHistory::default(),
        now: noon(),
    };
    for part in words.split('·') {
        let words: Vec<&str> = part.split_whitespace().collect();
        case.take(&words);
    }
    case
}

fn sizes(word: &str) -> (u32, u32) {
    let (min, max) = word.split_once('-').expect("sizes like 2-4");
    (min.parse().unwrap(), max.parse().unwrap())
}

fn minutes(word: &str) -> SignedDuration {
    SignedDuration::from_mins(word.trim_end_matches('m').parse().unwrap())
}

fn failed(letter: &str) -> Failed {
    Failed {
        key: key(letter),
        commit: commit(),
        failure: Failure::NeverHealthy {
            healthy: 0,
            required: 3,
            timeout: Seconds(900),
            detail: None,
        },
        at: noon(),
    }
}

impl Case {
    fn take(&mut self, words: &[&str]) {
        let memory = &mut self.observed.memory;
        match words {
            ["git", "deleted"] => self.desired = Desired::Missing,
            ["git", "invalid"] => {
                self.desired = Desired::Invalid {
                    problems: 1,
                    first: "unknown field `amy`".to_owned(),
                }
            }
            ["git", letter, rest @ ..] => self.git(letter, rest),
            ["live", letter, bounds, count, rest @ ..] => self.live(letter, bounds, count, rest),
            [kind @ ("roll" | "recreate"), from, to] => {
                memory.roll = Some(Roll {
                    from: key(from),
                    to: key(to),
                    commit: commit(),
                    recreate: *kind == "recreate",
                    carry: (*kind == "recreate").then_some(3),
                });
            }
            ["served", letter] => memory.served.push(key(letter)),
            ["failed", letter] => memory.failed.push(failed(letter)),
            ["waited", letter, time] => self.timer(letter).waited = minutes(time),
            ["healthy", letter, time] => {
                let since = later(noon(), -minutes(time));
                let timer = self.timer(letter);
                timer.first_healthy = Some(since);
                timer.healthy_since = Some(since);
            }
            ["image", "missing"] => self.observed.image = ImageFact::Missing,
            ["image", "pending"] => {
                self.observed.image = ImageFact::NotAvailable {
                    state: "pending".to_owned(),
                }
            }
            ["image", "arm"] => {
                self.observed.image = ImageFact::Available {
                    architecture: "arm64".to_owned(),
                    misfit: Some(("t3.micro".to_owned(), "x86_64".to_owned())),
                }
            }
            ["leftover", letter] => {
                let group = self.observed.group(&key(letter));
                self.observed.leftover = Some(Leftover {
                    template_id: "lt-1".to_owned(),
                    group_name: group.map(|group| group.name.clone()),
                    ami: None,
                });
            }
            ["stray", letter] => {
                let group = self.observed.group(&key(letter)).unwrap();
                self.observed.stray = Some(Stray {
                    key: key(letter),
                    settings: release(letter),
                    leftover: Leftover {
                        template_id: "lt-1".to_owned(),
                        group_name: Some(group.name.clone()),
                        ami: None,
                    },
                });
            }
            ["rewritten"] => {
                memory.accepted = Some(CommitId::parse(&"2".repeat(40)).unwrap());
                self.observed.head = Some(commit());
                self.observed.rewritten = true;
            }
            ["draining", letter, time] => {
                let drain = Drain {
                    since: later(noon(), -minutes(time)),
                    told: false,
                };
                self.history.drains.insert(key(letter), drain);
            }
            ["told", letter] => {
                self.history.drains.get_mut(&key(letter)).unwrap().told = true;
            }
            ["wiring", "changed"] => {
                for made in self.observed.made.values_mut() {
                    made.wiring = Some("0".to_owned());
                }
                self.observed.wiring = Some("1".to_owned());
            }
            ["gate", "open"] => self.observed.gate = GateFact::Open,
            ["gate", "closed"] => {
                self.observed.gate = GateFact::Closed {
                    said: "503 one member is behind".to_owned(),
                };
            }
            ["turn", "taken"] => self.observed.turn_taken = Some(2),
            ["code", "changed"] => self.history.checked = Some("0".to_owned()),
            ["refused"] => self.history.record(
                &Event::RevertRefused {
                    answers: commit(),
                    message: "the branch is protected".to_owned(),
                    branch: Some("amid/web".to_owned()),
                },
                noon(),
            ),
            ["proposed"] => self.history.record(
                &Event::RevertProposed {
                    answers: commit(),
                    proposed: Proposed {
                        branch: "amid/revert-web".to_owned(),
                        link: Some("https://forge/pulls/7".to_owned()),
                        problem: None,
                    },
                },
                noon(),
            ),
            ["by", "command"] => {
                self.history.suspended = Some(("Black Friday".to_owned(), None));
            }
            ["tried", letter, time] => {
                let failure = Failure::Unavailable {
                    cause: LaunchCause::Capacity,
                    message: "InsufficientInstanceCapacity".to_owned(),
                };
                let failed = Failed {
                    failure,
                    ..failed(letter)
                };
                let retry = Retry {
                    until: later(noon(), minutes(time)),
                    attempt: 1,
                    error: String::new(),
                };
                self.history.unavailable = Some((failed, retry));
            }
            other => panic!("no such words: {other:?}"),
        }
    }

    fn git(&mut self, letter: &str, rest: &[&str]) {
        let mut manifest = manifest(letter);
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            match *word {
                "canary" => manifest.roll.canary = rest.next().unwrap().parse().unwrap(),
                "recreate" => manifest.roll.strategy = Strategy::Recreate,
                "pull" => manifest.on_failure = OnFailure::PullRequest,
                "hold" => manifest.on_failure = OnFailure::Hold,
                "gate" => {
                    manifest.gate = Some(Gate {
                        url: "http://gate/".to_owned(),
                        timeout: Seconds(5),
                        retries: 3,
                    });
                }
                "report" => manifest.on_drift = OnDrift::Report,
                "suspended" => {
                    manifest.suspend = Some(Suspend {
                        reason: "Black Friday".to_owned(),
                        until: None,
                    });
                }
                bounds => (manifest.min_size, manifest.max_size) = sizes(bounds),
            }
        }
        self.desired = Desired::Wanted {
            manifest: Box::new(manifest),
            commit: commit(),
        };
    }

    fn live(&mut self, letter: &str, bounds: &str, count: &str, rest: &[&str]) {
        let (min_size, max_size) = sizes(bounds);
        let (healthy, all) = count.split_once('/').expect("healthy/all");
        let (healthy, all): (u32, u32) = (healthy.parse().unwrap(), all.parse().unwrap());
        let mut made = Made {
            settings: release(letter),
            min_size,
            max_size,
            desired: min_size,
            pin: 0,
            drain: false,
            wiring: None,
        };
        let mut group = Group {
            key: key(letter),
            name: app().group_name(&key(letter)),
            min: 0,
            max: 0,
            desired: all,
            instances: (0..all).map(|n| instance(letter, n, n < healthy)).collect(),
            target_groups: vec!["tg".to_owned()],
            template_version: Some("1".to_owned()),
            deleting: false,
            failures: Vec::new(),
        };
        let (mut by_hand, mut gone, mut known) = (None, false, true);
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            match *word {
                "pin" => made.pin = rest.next().unwrap().parse().unwrap(),
                "drained" => {
                    made.drain = true;
                    group.desired = 0;
                }
                "desired" => group.desired = rest.next().unwrap().parse().unwrap(),
                "hand" => by_hand = rest.next().map(|bounds| sizes(bounds)),
                "gone" => gone = true,
                "only" => known = false,
                "untargeted" => group.target_groups.clear(),
                "foreign" => group.instances[0].ami = Some(ami("f")),
                "failing" => {
                    let (cause, message) = match *rest.next().unwrap() {
                        "capacity" => (LaunchCause::Capacity, "InsufficientInstanceCapacity"),
                        _ => (LaunchCause::Release, "InvalidKeyPair.NotFound"),
                    };
                    group.failures.push(LaunchFailure {
                        at: noon(),
                        message: message.to_owned(),
                        cause,
                    });
                }
                other => panic!("no such word: {other}"),
            }
        }
        (group.min, group.max) = by_hand.unwrap_or(effective(&made));
        if known {
            self.observed.made.insert(key(letter), made);
        }
        if !gone {
            self.observed.groups.push(group);
        }
    }

    fn timer(&mut self, letter: &str) -> &mut Timer {
        self.history.timers.entry(key(letter)).or_insert(Timer {
            waited: SignedDuration::ZERO,
            first_healthy: None,
            healthy_since: None,
            required: 3,
            looked: noon(),
        })
    }
}

fn instance(letter: &str, n: u32, healthy: bool) -> Instance {
    Instance {
        id: format!("i-{n}"),
        in_service: true,
        lifecycle: "InService".to_owned(),
        targets: if healthy {
            Targets::Healthy
        } else {
            Targets::Not {
                state: "unhealthy".to_owned(),
                reason: Some("Target.FailedHealthChecks".to_owned()),
            }
        },
        ami: Some(ami(letter)),
    }
}

/// Shown where a case has other sentences than it should.
pub fn check(words: &str, expected: &[&str]) {
    let told = told(words);
    assert!(
        told == expected,
        "\n{words}\n\nexpected\n  {}\nfound\n  {}\n",
        expected.join("\n  "),
        told.join("\n  ")
    );
}

/// The labels of all that a plan says.
pub fn labels(plan: &Plan) -> Vec<&'static str> {
    let steps = plan.steps.iter().map(Step::reason);
    let reasons = steps
        .chain(&plan.state)
        .chain(&plan.held)
        .chain(&plan.notes);
    reasons.map(|reason| reason.label()).collect()
}
