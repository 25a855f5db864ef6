//! What people and other programs do to an account and its repository.

use amid_core::retention::marks::{BASE, BY, KEEP, KIND, PERMISSIONS, STALE};
use amid_core::retention::{Permission, Source};
use jiff::Timestamp;

use super::World;
use super::model::US;
use super::rng::Rng;
use super::truth::{
    ACCOUNTS, Branch, Change, Disk, HERE, Img, Pin, Point, STRANGER, State, THERE, Thing, Tpl,
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

    fn any_image(&mut self) -> Option<usize> {
        let alive: Vec<usize> = (0..self.truth.images.len())
            .filter(|n| !self.truth.images[*n].gone)
            .collect();
        (!alive.is_empty()).then(|| self.rng.pick(&alive))
    }

    fn launchable(&mut self) -> Option<usize> {
        let n = self.any_image()?;
        (self.truth.images[n].state == State::Available).then_some(n)
    }

    /// A build begins: a pending image, or a volume from its base's snapshot
    /// first.
    pub fn build(&mut self) {
        if self.truth.images.len() >= 12 {
            return;
        }
        let (now, rng) = (self.now, &mut self.rng);
        let n = self.truth.images.len();
        let base = if rng.chance(50) {
            self.launchable()
        } else {
            None
        };
        let rng = &mut self.rng;
        let mut disks = vec![self.truth.disks.len()];
        self.truth.disks.push(disk(now, rng));
        // Two images may share a snapshot.
        if let Some(base) = base
            && rng.chance(20)
        {
            disks.extend(self.truth.images[base].disks.first().copied());
        }
        if let Some(base) = base {
            let id = self.truth.id();
            let disk = self.truth.images[base].disks[0];
            self.truth.things.push(Thing {
                id,
                source: Source::Volumes,
                place: HERE,
                point: Point::Disk(disk),
                created: now,
            });
        }
        let rng = &mut self.rng;
        let prefix = rng.pick(&["web", "web", "db", "foreign"]);
        self.truth.images.push(Img {
            gone: false,
            name: format!("{prefix} 20261125{n:02}"),
            state: State::Pending,
            created: now,
            launched: None,
            deprecated: None,
            protected: false,
            permissions: Default::default(),
            meant: Default::default(),
            meant_deprecated: None,
            tags: Default::default(),
            base,
            // Until it is tagged nobody can know, but what AWS records.
            base_by_aws: base.is_some(),
            disks,
        });
        self.note(|| format!("image {n} is being built from {base:?}"));
    }

    /// Pending images become available or fail; young ones get their tags.
    pub fn finish_builds(&mut self) {
        for n in 0..self.truth.images.len() {
            let rng = &mut self.rng;
            let now = self.now;
            let image = &mut self.truth.images[n];
            if image.gone {
                continue;
            }
            if image.state == State::Pending && rng.chance(70) {
                image.state = if rng.chance(85) {
                    State::Available
                } else {
                    State::Failed
                };
                if rng.chance(20) {
                    let at = now + jiff::SignedDuration::from_hours(rng.within(1, 3000).into());
                    image.deprecated = Some(at);
                    image.meant_deprecated = Some(at);
                }
            } else if image.state == State::Available && image.tags.is_empty() && rng.chance(70) {
                if rng.chance(50) {
                    image.tags.insert(KIND.to_owned(), "app".to_owned());
                } else {
                    image.tags.insert("Name".to_owned(), "app".to_owned());
                }
                if let Some(base) = image.base
                    && rng.chance(60)
                {
                    let base = super::truth::ami(base).to_string();
                    image.tags.insert(BASE.to_owned(), base);
                    image.base_by_aws = false;
                }
            }
        }
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

    /// Somebody acts on an image in the console.
    fn by_hand(&mut self) {
        let Some(n) = self.any_image() else {
            return;
        };
        let what = self.rng.below(9);
        let marked = self.truth.images[n].tags.contains_key(STALE);
        let image = &mut self.truth.images[n];
        match what {
            0 | 1 => {
                let value = if what == 0 { "" } else { "1960-01-01 long ago" };
                image.tags.insert(KEEP.to_owned(), value.to_owned());
            }
            2 => {
                image.tags.remove(KEEP);
            }
            3 => image.protected = !image.protected,
            4 if image.state == State::Disabled && image.tags.contains_key(PERMISSIONS) => {
                image.state = State::Available;
            }
            5 if marked && image.state == State::Available => image.deprecated = None,
            6 if image.state == State::Available && !image.tags.contains_key(PERMISSIONS) => {
                image.state = State::Disabled;
                image.permissions.clear();
                image.meant.clear();
            }
            7 if !marked => {
                image.tags.insert(BY.to_owned(), "another".to_owned());
                let at = format!("{:.0}", self.now);
                image.tags.insert(STALE.to_owned(), at);
            }
            8 if self.rng.chance(30) && !self.is_used(n) => self.truth.images[n].gone = true,
            _ => return,
        }
        self.note(|| format!("by hand: {what} to image {n}"));
    }

    fn is_used(&self, n: usize) -> bool {
        super::model::is_named(&self.truth, &self.policy, n, self.now)
    }

    fn snapshot_by_hand(&mut self) {
        if self.truth.disks.is_empty() {
            return;
        }
        let n = self.rng.below(self.truth.disks.len() as u32) as usize;
        let disk = &mut self.truth.disks[n];
        match self.rng.below(4) {
            0 => disk.shared = !disk.shared,
            1 => disk.locked = !disk.locked,
            2 => {
                disk.tags.insert(KEEP.to_owned(), "a backup".to_owned());
            }
            _ => {
                disk.tags.remove(KEEP);
            }
        }
        self.note(|| format!("by hand: snapshot {n}"));
    }

    /// Nothing begins any more; what was begun ends.
    pub fn settle(&mut self) {
        while self
            .truth
            .images
            .iter()
            .any(|image| image.state == State::Pending && !image.gone)
        {
            self.finish_builds();
        }
        for image in &mut self.truth.images {
            if image.tags.get(BY).is_some_and(|by| by != US) {
                image.tags.remove(BY);
                image.tags.remove(STALE);
            }
        }
    }
}

fn disk(created: Timestamp, rng: &mut Rng) -> Disk {
    let mut disk = Disk {
        gone: false,
        created,
        tags: Default::default(),
        shared: rng.chance(5),
        locked: rng.chance(5),
        backup: rng.chance(3),
    };
    if rng.chance(50) {
        disk.tags.insert(KIND.to_owned(), "app".to_owned());
    }
    disk
}
