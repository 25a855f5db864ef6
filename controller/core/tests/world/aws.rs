//! The part of AWS that an app sees: groups that launch, lose and replace
//! instances. Time passes in [`Aws::pass`] only.

use std::collections::{BTreeMap, BTreeSet};

use amid_core::manifest::HealthKind;
use amid_core::model::{AppName, Group, Instance, LaunchCause, LaunchFailure, ReleaseKey, Targets};
use jiff::Timestamp;

use super::rng::Rng;

/// How an image behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Healthy some time after its launch.
    Good,
    /// Launches and never becomes healthy.
    Bad,
    /// Healthy now and then.
    Flapping,
    /// Cannot be launched.
    Unlaunchable,
}

/// One instance.
#[derive(Clone, Debug)]
pub struct Machine {
    id: u32,
    /// Seconds until it serves.
    boot: u32,
    /// Seconds for which it fails its health checks.
    pub sick: u32,
    /// Seconds until it is gone, once it has to go.
    leaving: Option<u32>,
}

/// One Auto Scaling group.
#[derive(Clone, Debug)]
pub struct Asg {
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    pub quality: Quality,
    pub machines: Vec<Machine>,
    /// The newest launch failed for this.
    pub failing: Option<LaunchCause>,
    pub version: &'static str,
    /// Whether a flapping image is healthy now.
    pub up: bool,
}

impl Asg {
    pub fn new(min: u32, max: u32, desired: u32, quality: Quality) -> Self {
        Self {
            min,
            max,
            desired: desired.max(min).min(max),
            quality,
            machines: Vec::new(),
            failing: None,
            version: "1",
            up: false,
        }
    }

    /// As AWS does it: the desired capacity follows the bounds.
    pub fn resize(&mut self, min: u32, max: u32) {
        (self.min, self.max) = (min, max);
        self.desired = self.desired.max(min).min(max);
    }

    fn serves(&self, machine: &Machine) -> bool {
        machine.boot == 0
            && machine.sick == 0
            && machine.leaving.is_none()
            && match self.quality {
                Quality::Good => true,
                Quality::Bad | Quality::Unlaunchable => false,
                Quality::Flapping => self.up,
            }
    }

    /// Instances that really serve now.
    pub fn healthy(&self) -> u32 {
        self.machines.iter().filter(|m| self.serves(m)).count() as u32
    }
}

/// The account.
#[derive(Clone, Debug, Default)]
pub struct Aws {
    pub groups: BTreeMap<ReleaseKey, Asg>,
    pub templates: BTreeSet<ReleaseKey>,
    /// Nothing can be launched, for this reason.
    pub closed: Option<LaunchCause>,
    /// How slow new instances are, in percent.
    pub slow: u32,
    pub launched: u32,
}

impl Aws {
    /// `seconds` go by.
    pub fn pass(&mut self, seconds: u32, rng: &mut Rng) {
        let (closed, slow) = (self.closed, self.slow);
        for asg in self.groups.values_mut() {
            for machine in &mut asg.machines {
                machine.boot = machine.boot.saturating_sub(seconds);
                machine.sick = machine.sick.saturating_sub(seconds);
                if let Some(left) = &mut machine.leaving {
                    *left = left.saturating_sub(seconds);
                }
            }
            asg.machines.retain(|machine| machine.leaving != Some(0));
            if asg.quality == Quality::Flapping {
                asg.up = rng.chance(70);
            }
            let staying = asg.machines.iter().filter(|m| m.leaving.is_none()).count() as u32;
            for machine in asg
                .machines
                .iter_mut()
                .filter(|m| m.leaving.is_none())
                .take(staying.saturating_sub(asg.desired) as usize)
            {
                machine.leaving = Some(rng.within(1, 90));
            }
            let cause = match asg.quality {
                Quality::Unlaunchable => Some(LaunchCause::Release),
                _ => closed,
            };
            if staying < asg.desired {
                asg.failing = cause;
            }
            if cause.is_none() {
                for _ in staying..asg.desired {
                    self.launched += 1;
                    asg.machines.push(Machine {
                        id: self.launched,
                        boot: rng.within(1, 40) * slow / 100,
                        sick: 0,
                        leaving: None,
                    });
                }
            }
        }
    }

    /// Instances die, are interrupted or fall ill.
    pub fn harm(&mut self, rng: &mut Rng) {
        for asg in self.groups.values_mut() {
            if !rng.chance(50) {
                continue;
            }
            if rng.chance(50) {
                let spared = rng.below(3) as usize;
                asg.machines.truncate(spared);
            } else {
                for machine in &mut asg.machines {
                    if rng.chance(40) {
                        machine.sick = rng.within(10, 200);
                    }
                }
            }
        }
    }

    /// What a look finds.
    pub fn look(&self, app: &AppName, kind: HealthKind, now: Timestamp) -> Vec<Group> {
        let group = |(key, asg): (&ReleaseKey, &Asg)| Group {
            key: key.clone(),
            name: app.group_name(key),
            min: asg.min,
            max: asg.max,
            desired: asg.desired,
            instances: asg.machines.iter().map(|m| machine(asg, m, kind)).collect(),
            target_groups: vec![String::new()],
            template_version: Some(asg.version.to_owned()),
            deleting: false,
            failures: asg
                .failing
                .iter()
                .map(|cause| LaunchFailure {
                    at: now,
                    message: String::new(),
                    cause: *cause,
                })
                .collect(),
        };
        self.groups.iter().map(group).collect()
    }
}

fn machine(asg: &Asg, machine: &Machine, kind: HealthKind) -> Instance {
    let serves = asg.serves(machine);
    let started = machine.boot == 0 && machine.leaving.is_none();
    let targets = match kind {
        HealthKind::None => Targets::NotAsked,
        HealthKind::LoadBalancer if serves => Targets::Healthy,
        HealthKind::LoadBalancer if !started => Targets::Missing,
        HealthKind::LoadBalancer => Targets::Not {
            state: "unhealthy".to_owned(),
            reason: None,
        },
    };
    Instance {
        id: format!("i-{}", machine.id),
        in_service: match kind {
            HealthKind::LoadBalancer => started,
            HealthKind::None => serves,
        },
        lifecycle: String::new(),
        targets,
        ami: None,
    }
}
