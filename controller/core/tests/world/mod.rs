//! A random world around one app: git, AWS, terraform, a clock and the
//! controller's loop, all small.
//!
//! [`World::turn`] lets something happen and runs one pass as the controller
//! does: look, decide, journal, perform. [`laws`] watches every step. What a
//! world does follows from its seed alone.

pub mod aws;
mod events;
pub mod laws;
pub mod mistake;
pub mod rng;
pub mod terraform;

use std::collections::BTreeMap;

use amid_core::decide::{Plan, decide, requirements};
use amid_core::history::{AppHistory, Event, Proposed, back_off, later};
use amid_core::manifest::{
    Gate, Health, HealthKind, Manifest, OnDrift, OnFailure, Roll, Seconds, Strategy,
};
use amid_core::model::{AmiId, AppName, CommitId, Made, ReleaseKey, Settings};
use amid_core::observe::{Desired, GateFact, ImageFact, Leftover, Observed, Stray};
use amid_core::reason::Reason;
use amid_core::step::{Apply, Revert, RevertWay, Step};
use jiff::{SignedDuration, Timestamp};

use aws::{Aws, Quality};
use laws::Laws;
use mistake::Mistake;
use rng::Rng;
use terraform::{End, Unit};

/// One app and all that it depends on.
pub struct World {
    pub rng: Rng,
    pub now: Timestamp,
    app: AppName,
    /// The manifest at HEAD; kept while it is deleted or damaged.
    pub manifest: Manifest,
    file: File,
    commit: CommitId,
    commits: u32,
    /// What git asks for, as the controller reads it; changes with a commit.
    desired: Desired,
    settings: Settings,
    key: ReleaseKey,
    /// Launch fields by what they make.
    launches: BTreeMap<Settings, Manifest>,
    images: Vec<(AmiId, Quality)>,
    pub aws: Aws,
    pub unit: Unit,
    pub history: AppHistory,
    journal: Vec<(Event, Timestamp)>,
    attempts: u32,
    /// Somebody protects the branch.
    protected: bool,
    /// What a pull request goes back to, until a person merges it.
    waiting: Option<Settings>,
    code: u32,
    /// What the app's gate would say.
    gate_open: bool,
    calm: bool,
    mistake: Mistake,
    pub laws: Laws,
    /// The last passes, for whoever reads a failure.
    pub log: Option<Vec<String>>,
}

/// What stands at HEAD.
#[derive(Clone, Copy, PartialEq, Eq)]
enum File {
    Fine,
    Damaged,
    Deleted,
}

impl World {
    pub fn new(seed: u64, mistake: Mistake, log: bool) -> Self {
        let mut rng = Rng::new(seed);
        let images = (1..=5)
            .map(|n| {
                let quality = match rng.below(10) {
                    0..6 => Quality::Good,
                    6..8 => Quality::Bad,
                    8 => Quality::Flapping,
                    _ => Quality::Unlaunchable,
                };
                (ami(n), quality)
            })
            .collect();
        let min = rng.below(4);
        let manifest = Manifest {
            owner: None,
            unit: "live/app".to_owned(),
            ami: ami(1),
            image: None,
            revision: None,
            instance_types: vec!["t3.micro".to_owned()],
            min_size: min,
            max_size: min.max(1) + rng.below(4),
            env: None,
            secrets: None,
            user_data: None,
            health: Health {
                kind: rng.pick(&[
                    HealthKind::LoadBalancer,
                    HealthKind::LoadBalancer,
                    HealthKind::None,
                ]),
                timeout: Seconds(300),
            },
            roll: Roll {
                strategy: match rng.below(5) {
                    0 => Strategy::Recreate,
                    _ => Strategy::SideBySide,
                },
                canary: rng.pick(&[0, 0, 1, 2, 9]),
                bake: Seconds(rng.pick(&[0, 60, 120])),
                drain: Seconds(60),
            },
            on_failure: rng.pick(&[
                OnFailure::Revert,
                OnFailure::Revert,
                OnFailure::PullRequest,
                OnFailure::Hold,
            ]),
            on_drift: rng.pick(&[OnDrift::Heal, OnDrift::Heal, OnDrift::Report]),
            gate: rng.chance(20).then(|| Gate {
                url: "http://gate/".to_owned(),
                timeout: Seconds(5),
                retries: 0,
            }),
            suspend: None,
        };
        let mut world = Self {
            rng,
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365),
            app: AppName::parse("prod/app").unwrap(),
            manifest,
            file: File::Fine,
            commit: commit(0),
            commits: 0,
            desired: Desired::Missing,
            settings: Settings::from_canonical(""),
            key: Settings::from_canonical("").key(),
            launches: BTreeMap::new(),
            images,
            aws: Aws {
                slow: 100,
                ..Aws::default()
            },
            unit: Unit::default(),
            history: AppHistory::default(),
            journal: Vec::new(),
            attempts: 0,
            protected: false,
            waiting: None,
            code: 0,
            gate_open: true,
            calm: false,
            mistake,
            laws: Laws::default(),
            log: log.then(Vec::new),
        };
        world.commit();
        world
    }

    /// Whether the image that git asks for is of this quality.
    pub fn quality(&self) -> Quality {
        quality(&self.images, &self.manifest.ami)
    }

    /// Something happens, time passes, and the controller makes a pass.
    pub fn turn(&mut self) -> Plan {
        if !self.calm && self.rng.chance(35) {
            self.event();
        }
        let seconds = self.rng.within(5, 55);
        self.aws.pass(seconds, &mut self.rng);
        self.now = later(self.now, SignedDuration::from_secs(seconds.into()));
        self.pass()
    }

    /// From now on nothing fails, and a person frees what only people free.
    pub fn calm_down(&mut self) {
        self.calm = true;
        self.aws.closed = None;
        self.aws.slow = 100;
        self.protected = false;
        self.gate_open = true;
        self.history.suspended = None;
        self.history.refused.clear();
        self.file = File::Fine;
        self.manifest.suspend = None;
        self.manifest.on_drift = OnDrift::Heal;
        self.commit();
    }

    /// A person reads a hold and does what it names.
    pub fn person(&mut self, plan: &Plan) {
        for reason in &plan.held {
            match reason {
                // "merge the pull request".
                Reason::RevertProposed { .. } => {
                    let to = self.waiting.take();
                    if let Some(older) = to.and_then(|to| self.launches.get(&to)).cloned() {
                        launch_fields(&mut self.manifest, &older);
                        self.commit();
                    }
                }
                // "… or try it again with `amid restart`": it was the weather.
                Reason::ReleaseFailed { .. } if self.quality() == Quality::Good && self.calm => {
                    self.commit();
                }
                _ => {}
            }
        }
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(log) = &mut self.log {
            let text = text();
            let same = log.last().is_some_and(|last| last.ends_with(&text));
            if same {
                log.pop();
            }
            let again = if same { "… " } else { "" };
            log.push(format!("{now:.0} {again}{text}"));
        }
    }

    /// A commit that changes the manifest.
    fn commit(&mut self) {
        self.commits += 1;
        self.commit = commit(self.commits);
        self.settings = self.manifest.settings();
        self.key = self.settings.key();
        self.desired = match self.file {
            File::Fine => Desired::Wanted {
                manifest: Box::new(self.manifest.clone()),
                commit: self.commit.clone(),
            },
            File::Damaged => Desired::Invalid {
                problems: 1,
                first: String::new(),
            },
            File::Deleted => Desired::Missing,
        };
        self.launches
            .insert(self.settings.clone(), self.manifest.clone());
        self.asked();
    }

    fn asked(&mut self) {
        let key = (self.file == File::Fine).then(|| self.key.clone());
        let m = &self.manifest;
        let text = if self.log.is_none() {
            String::new()
        } else {
            format!(
                "commit {} asks for {key:?}: {} {}-{} canary {} {:?} bake {}, {:?} {:?}, suspended {}, {}",
                self.commit.short(),
                m.ami,
                m.min_size,
                m.max_size,
                m.roll.canary,
                m.roll.strategy,
                m.roll.bake,
                m.on_failure,
                m.health.kind,
                m.suspend.is_some(),
                match self.file {
                    File::Fine => "fine",
                    File::Damaged => "damaged",
                    File::Deleted => "deleted",
                },
            )
        };
        self.note(|| text);
        self.record(Event::Asked {
            commit: self.commit.clone(),
            key,
            ami: None,
            committed: None,
            author: None,
            subject: None,
        });
    }

    fn record(&mut self, event: Event) {
        self.history.record(&event, self.now);
        self.journal.push((event, self.now));
    }

    fn observe(&self) -> Observed {
        let (settings, key) = (&self.settings, &self.key);
        let live = self
            .unit
            .releases
            .values()
            .any(|made| made.settings == *settings);
        let mut observed = Observed {
            groups: self
                .aws
                .look(&self.app, self.manifest.health.kind, self.now),
            has_state: self.unit.exists,
            code: Some(self.code.to_string()),
            head: Some(self.commit.clone()),
            ..Observed::default()
        };
        if self.file != File::Fine {
            return observed;
        }
        observed.made = self.unit.releases.clone();
        observed.memory = self.unit.memory.clone();
        observed.stray = self.stray();
        if !live {
            observed.image = ImageFact::Available {
                architecture: "x86_64".to_owned(),
                misfit: None,
            };
            if self.aws.templates.contains(key) {
                observed.leftover = Some(Leftover {
                    template_id: format!("lt-{key}"),
                    group_name: self
                        .aws
                        .groups
                        .contains_key(key)
                        .then(|| self.app.group_name(key)),
                    ami: None,
                });
            }
        }
        observed
    }

    /// What an interrupted apply made of another release that git knows.
    fn stray(&self) -> Option<Stray> {
        let unknown =
            |key: &&ReleaseKey| !self.unit.releases.contains_key(*key) && **key != self.key;
        let key = self.aws.groups.keys().find(unknown)?;
        let settings = self.launches.keys().find(|made| made.key() == *key)?;
        Some(Stray {
            key: key.clone(),
            settings: settings.clone(),
            leftover: Leftover {
                template_id: format!("lt-{key}"),
                group_name: Some(self.app.group_name(key)),
                ami: None,
            },
        })
    }

    /// What the gate says, as an adapter that asked it.
    fn gate(&self) -> GateFact {
        if self.gate_open {
            GateFact::Open
        } else {
            GateFact::Closed {
                said: String::new(),
            }
        }
    }

    /// One pass, as the controller makes it.
    fn pass(&mut self) -> Plan {
        let desired = self.desired.clone();
        let mut observed = self.observe();
        self.mistake.look(&mut observed);
        let required = requirements(&desired, &observed);
        for event in self.history.look(&observed, &required, self.now) {
            self.record(event);
        }
        let history = self.mistake.history(&self.history, self.now);
        let mut plan = decide(&self.app, &desired, &observed, &history, self.now);
        if plan.asks_gate {
            observed.gate = self.gate();
            plan = decide(&self.app, &desired, &observed, &history, self.now);
            self.laws.answered(&plan);
        }
        self.mistake.plan(&mut plan);
        if self.log.is_some() {
            let groups: Vec<String> = self
                .aws
                .groups
                .iter()
                .map(|(key, g)| {
                    format!(
                        "{key} {}-{} of {} {:?}: {} healthy of {}",
                        g.min,
                        g.max,
                        g.desired,
                        g.quality,
                        g.healthy(),
                        g.machines.len()
                    )
                })
                .collect();
            let steps: Vec<String> = plan.steps.iter().map(|s| s.reason().to_string()).collect();
            let held: Vec<String> = plan.held.iter().map(ToString::to_string).collect();
            let state = plan
                .state
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let phase = plan.phase.label();
            self.note(|| {
                format!(
                    "[{}] {phase}: do {steps:?} state \"{state}\" held {held:?}",
                    groups.join(" · ")
                )
            });
        }
        self.laws.plan(
            &plan,
            &desired,
            &observed,
            &self.history,
            &self.key,
            self.now,
        );
        self.laws
            .gate(&plan, &desired, &observed, &self.key, self.gate_open);
        for event in plan.record.clone() {
            self.record(event);
        }
        if self.retry_waits() {
            return plan;
        }
        for step in plan.steps.clone() {
            let goes_on = match step {
                Step::Apply(apply) => self.perform(&desired, &apply),
                Step::Revert(revert) => self.revert(&revert),
            };
            if !goes_on || self.laws.broken.is_some() {
                break;
            }
        }
        plan
    }

    fn retry_waits(&self) -> bool {
        self.history
            .retry
            .as_ref()
            .is_some_and(|retry| retry.is_ahead(self.now))
    }

    fn perform(&mut self, desired: &Desired, apply: &Apply) -> bool {
        // Our own revert came first.
        if self.desired != *desired {
            return false;
        }
        let planned = match self.unit.plan(&self.aws, &self.app, apply) {
            Ok(planned) => planned,
            Err(refusal) => {
                self.laws.refused(apply, &refusal);
                return false;
            }
        };
        let unexpected = apply.expected.unexpected(&planned.changes);
        self.laws.expected(apply, &unexpected);
        if !planned.changes.is_empty() {
            // The plan took its time.
            if !self.calm && self.rng.chance(15) {
                self.note(|| "instances die or fall ill meanwhile".to_owned());
                self.aws.harm(&mut self.rng);
            }
            if !self.calm && self.rng.chance(5) {
                self.scale();
            }
            let mut again = self.observe();
            again.gate = self.gate();
            self.mistake.look(&mut again);
            if !self.mistake.skips_guard() && !apply.guard.holds(&again) {
                self.note(|| "the guard does not hold".to_owned());
                return false;
            }
        }
        let end = match self.rng.below(40) {
            _ if self.calm => End::Well,
            0 => End::Before,
            1 | 2 => End::Failed,
            3 => End::Killed,
            4 => End::Unseen,
            _ => End::Well,
        };
        // A group that somebody deleted and that a killed apply made again is
        // one disaster too many: nobody can tell it from a stranger's.
        let again = |key: &ReleaseKey| {
            self.unit.releases.contains_key(key) && !self.aws.groups.contains_key(key)
        };
        let end = match end {
            End::Killed if apply.releases.keys().any(again) => End::Failed,
            end => end,
        };
        let images = &self.images;
        let before = self.aws.clone();
        let quality = |made: &Made| {
            made.settings
                .ami()
                .map_or(Quality::Bad, |ami| quality(images, &ami))
        };
        let done = self
            .unit
            .apply(&mut self.aws, apply, planned, end, quality, &mut self.rng);
        self.note(|| format!("{} {} ends {end:?}", apply.kind.label(), apply.key));
        self.laws.applied(apply, &before, &self.aws, desired);
        let seen = matches!(end, End::Well | End::Before | End::Failed);
        if seen {
            self.record(Event::Finished {
                step: apply.kind,
                key: apply.key.clone(),
                millis: 1,
                error: (!done).then(|| "it failed".to_owned()),
            });
            if done {
                self.attempts = 0;
                self.record(Event::Checked {
                    code: self.code.to_string(),
                });
            } else {
                self.attempts += 1;
                self.record(Event::Retry {
                    until: later(self.now, back_off(self.attempts)),
                    attempt: self.attempts,
                    error: "it failed".to_owned(),
                });
            }
        } else {
            // The process ended with it.
            self.attempts = 0;
            self.history = AppHistory::default();
            for (event, at) in &self.journal {
                self.history.record(event, *at);
            }
        }
        done
    }

    /// Writes the revert commit.
    fn revert(&mut self, revert: &Revert) -> bool {
        if revert.way == RevertWay::PullRequest {
            if self.history.proposed.contains_key(&revert.answers) {
                self.laws
                    .broken("a second pull request for one revert".to_owned());
                return false;
            }
            self.note(|| "a pull request is opened".to_owned());
            self.waiting = Some(revert.to.clone());
            self.record(Event::RevertProposed {
                answers: revert.answers.clone(),
                proposed: Proposed {
                    branch: "revert".to_owned(),
                    link: None,
                    problem: None,
                },
            });
            return true;
        }
        if self.protected {
            self.note(|| "the revert is refused".to_owned());
            self.record(Event::RevertRefused {
                answers: revert.answers.clone(),
                message: "protected".to_owned(),
                branch: None,
            });
            return true;
        }
        if !self.calm && self.rng.chance(10) {
            self.note(|| "the branch moved".to_owned());
            if self.rng.chance(50) {
                self.change_manifest();
            }
            return true;
        }
        let Some(older) = self.launches.get(&revert.to).cloned() else {
            self.laws
                .broken("a revert to what git never asked for".to_owned());
            return false;
        };
        launch_fields(&mut self.manifest, &older);
        self.note(|| "git goes back".to_owned());
        self.commit();
        true
    }
}

fn launch_fields(to: &mut Manifest, from: &Manifest) {
    to.ami = from.ami.clone();
    to.env = from.env.clone();
    to.revision = from.revision;
    to.instance_types.clone_from(&from.instance_types);
}

fn quality(images: &[(AmiId, Quality)], ami: &AmiId) -> Quality {
    images
        .iter()
        .find(|(id, _)| id == ami)
        .map_or(Quality::Bad, |(_, quality)| *quality)
}

fn ami(n: u32) -> AmiId {
    AmiId::parse(&format!("ami-{n:08x}")).unwrap()
}

fn commit(n: u32) -> CommitId {
    CommitId::parse(&format!("{n:08x}{:032x}", 0)).unwrap()
}
