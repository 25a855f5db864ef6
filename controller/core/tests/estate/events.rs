//! What people and other programs do to an account and its repository.

use amid_core::retention::marks::PERMISSIONS;
use amid_core::retention::{Permission, Source};

use super::World;
use super::truth::{
    ACCOUNTS, Branch, Change, HERE, Pin, Point, STRANGER, State, THERE, Thing, Tpl,
};

/// Sources whose things name one image each.
const THINGS: &[Source] = &[
    Source::Instances,
    Source::LaunchConfigurations,
    Source::Groups,
    Source::InstanceRefreshes,
    Source::WarmPools,
    Source::SpotFleets,
    Source::Fleets,
    Source::TerraformState,
    Source::Volumes,
];

impl World {
    /// One thing happens.
    pub fn event(&mut self) {
        match self.rng.below(100) {
            0..12 => self.build(),
            12..20 => self.finish_builds(),
            20..40 => self.name(),
            40..60 => self.forget(),
            60..70 => self.commit(),
            70..76 => self.branch(),
            76..82 => self.template(),
            82..86 => self.copy(),
            86..90 => self.share(),
            90..96 => self.by_hand(),
            _ => self.snapshot_by_hand(),
        }
    }

    pub fn any_image(&mut self) -> Option<usize> {
        let alive: Vec<usize> = (0..self.truth.images.len())
            .filter(|n| !self.truth.images[*n].gone)
            .collect();
        (!alive.is_empty()).then(|| self.rng.pick(&alive))
    }

    pub fn launchable(&mut self) -> Option<usize> {
        let n = self.any_image()?;
        (self.truth.images[n].state == State::Available).then_some(n)
    }

    /// Something begins to name an image.
    fn name(&mut self) {
        let source = self.rng.pick(THINGS);
        let place =
            if source != Source::TerraformState && source != Source::Volumes && self.rng.chance(20)
            {
                THERE
            } else {
                HERE
            };
        let Some(n) = (match source {
            Source::Instances | Source::WarmPools => self.launchable(),
            _ => self.any_image(),
        }) else {
            return;
        };
        let copied = self.truth.copies.contains(&n);
        let point = match (source, self.rng.below(10)) {
            (Source::Volumes, _) => Point::Disk(self.truth.images[n].disks[0]),
            (Source::Groups | Source::Fleets | Source::InstanceRefreshes, 0..4) => {
                let Some(t) = self.any_template(place) else {
                    return;
                };
                let tpl = &self.truth.templates[t];
                let numbers: Vec<u64> = tpl.versions.iter().map(|(n, ..)| *n).collect();
                let pin = match self.rng.below(3) {
                    0 => Pin::Default,
                    1 => Pin::Latest,
                    _ => Pin::Number(self.rng.pick(&numbers)),
                };
                Point::Template(t, pin)
            }
            (Source::Groups, 4) => match self.any_parameter(place) {
                Some(name) => Point::Parameter(name),
                None => return,
            },
            (Source::LaunchConfigurations | Source::TerraformState, 9) => {
                Point::Disk(self.truth.images[n].disks[0])
            }
            _ if place == THERE && copied && self.rng.chance(70) => Point::Copy(n),
            (_, 8) if source != Source::Instances => Point::Foreign,
            _ => Point::Image(n),
        };
        // What is launched in another account needs to be shared with it.
        if place == THERE && point == Point::Image(n) {
            let image = &mut self.truth.images[n];
            if image.state != State::Available || image.tags.contains_key(PERMISSIONS) {
                return;
            }
            let account = Permission::Account(ACCOUNTS[THERE].to_owned());
            image.permissions.insert(account.clone());
            image.meant.insert(account);
        }
        if matches!(source, Source::Instances | Source::WarmPools) {
            self.truth.images[n].launched = Some(self.now);
        }
        let (id, created) = (self.truth.id(), self.now);
        self.note(|| format!("{source} {id} in place {place} names {point:?}"));
        self.truth.things.push(Thing {
            id,
            source,
            place,
            point,
            created,
        });
    }

    fn any_template(&mut self, place: usize) -> Option<usize> {
        let there: Vec<usize> = (0..self.truth.templates.len())
            .filter(|t| self.truth.templates[*t].place == place)
            .collect();
        (!there.is_empty()).then(|| self.rng.pick(&there))
    }

    fn any_parameter(&mut self, place: usize) -> Option<String> {
        let there: Vec<&String> = self
            .truth
            .parameters
            .iter()
            .filter(|(_, (at, _))| *at == place)
            .map(|(name, _)| name)
            .collect();
        let index = self.rng.below(u32::try_from(there.len()).ok()?.max(1)) as usize;
        there.get(index).map(|name| (*name).clone())
    }

    /// Something ends that named an image.
    fn forget(&mut self) {
        let truth = &mut self.truth;
        match self.rng.below(8) {
            0 if !truth.git_tags.is_empty() => {
                truth.git_tags.remove(0);
            }
            1 if !truth.branches.is_empty() => {
                truth.branches.remove(0);
            }
            2 => {
                // A parameter that something follows stays.
                let unused = truth.parameters.keys().find(|name| {
                    let names = |point: &Point| *point == Point::Parameter((*name).clone());
                    !truth.things.iter().any(|thing| names(&thing.point))
                        && !truth
                            .templates
                            .iter()
                            .any(|tpl| tpl.versions.iter().any(|(_, point, _)| names(point)))
                });
                if let Some(name) = unused.cloned() {
                    truth.parameters.remove(&name);
                }
            }
            3 => {
                let Some(t) = self.any_template(HERE) else {
                    return;
                };
                // A version that something launches from stays.
                let tpl = &self.truth.templates[t];
                let used = |number: u64| {
                    self.truth.things.iter().any(|thing| {
                        matches!(thing.point, Point::Template(at, pin)
                            if at == t && (pin == Pin::Latest || tpl.number(pin) == number))
                    })
                };
                let free = tpl
                    .versions
                    .iter()
                    .map(|(number, ..)| *number)
                    .find(|number| *number != tpl.default && !used(*number));
                if let Some(free) = free {
                    self.truth.templates[t]
                        .versions
                        .retain(|(number, ..)| *number != free);
                }
            }
            _ if !truth.things.is_empty() => {
                let n = self.rng.below(truth.things.len() as u32) as usize;
                let thing = self.truth.things.remove(n);
                self.note(|| format!("{} {} is gone", thing.source, thing.id));
            }
            _ => {}
        }
    }

    /// A commit on the accepted branch: a bump, or a revert to an image that
    /// may be on its way out.
    fn commit(&mut self) {
        let Some(image) = self.any_image() else {
            return;
        };
        if self.truth.changes.len() >= 16 {
            self.truth.changes.remove(0);
        }
        let (at, app) = (self.now, self.rng.below(2) as usize);
        self.note(|| format!("app {app} asks for image {image}"));
        self.truth.changes.push(Change { at, app, image });
    }

    fn branch(&mut self) {
        let Some(image) = self.any_image() else {
            return;
        };
        let name = self.truth.id().to_string();
        self.note(|| format!("branch or tag {name} names image {image}"));
        if self.rng.chance(50) {
            self.truth.git_tags.push((name, image));
        } else {
            self.truth.branches.push(Branch {
                name,
                committed: self.now,
                names: vec![image],
            });
        }
    }

    /// A template, a version of one, or a parameter.
    fn template(&mut self) {
        let Some(n) = self.any_image() else {
            return;
        };
        let place = if self.rng.chance(15) { THERE } else { HERE };
        let point = match self.rng.below(6) {
            0 => Point::Nothing,
            1 => match self.any_parameter(place) {
                Some(name) => Point::Parameter(name),
                None => Point::Foreign,
            },
            _ if place == THERE && self.truth.copies.contains(&n) => Point::Copy(n),
            _ if place == THERE => Point::Foreign,
            _ => Point::Image(n),
        };
        let now = self.now;
        match self.rng.below(4) {
            0 if point == Point::Image(n) || point == Point::Copy(n) => {
                let name = format!("/ami/{}", self.rng.below(3));
                if self
                    .truth
                    .parameters
                    .get(&name)
                    .is_none_or(|(at, _)| *at == place)
                {
                    self.note(|| format!("parameter {name} in place {place} is {point:?}"));
                    self.truth.parameters.insert(name, (place, point));
                }
            }
            1 => {
                self.note(|| format!("a new template in place {place} names {point:?}"));
                self.truth.templates.push(Tpl {
                    place,
                    versions: vec![(1, point, now)],
                    default: 1,
                });
            }
            _ => {
                let Some(t) = self.any_template(place) else {
                    return;
                };
                let as_default = self.rng.chance(40);
                let tpl = &mut self.truth.templates[t];
                let number = tpl.latest() + 1;
                tpl.versions.push((number, point.clone(), now));
                if as_default {
                    tpl.default = number;
                }
                self.note(|| format!("template {t} version {number} names {point:?}"));
            }
        }
    }

    fn copy(&mut self) {
        if let Some(n) = self.launchable()
            && !self.truth.copies.contains(&n)
        {
            self.note(|| format!("image {n} is copied"));
            self.truth.copies.push(n);
        }
    }

    fn share(&mut self) {
        let Some(n) = self.launchable() else {
            return;
        };
        let who = match self.rng.below(4) {
            0 => Permission::Everybody,
            1 => Permission::Account(STRANGER.to_owned()),
            _ => Permission::Account(ACCOUNTS[THERE].to_owned()),
        };
        let image = &mut self.truth.images[n];
        if image.tags.contains_key(PERMISSIONS) {
            return;
        }
        if !image.permissions.remove(&who) {
            image.permissions.insert(who.clone());
        }
        image.meant.clone_from(&image.permissions);
        self.note(|| format!("image {n} is shared with {who}, or not any more"));
    }
}
