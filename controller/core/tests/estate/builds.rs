//! Images come into being: pending first, then without tags, with what they
//! were built from.

use amid_core::retention::Source;
use amid_core::retention::marks::{BASE, BY, KIND, STALE};
use jiff::Timestamp;

use super::World;
use super::model::US;
use super::rng::Rng;
use super::truth::{Disk, HERE, Img, Point, State, Thing};

impl World {
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
            disabled: None,
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
