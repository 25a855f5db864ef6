//! What people do in the console, past all pipelines.

use amid_core::retention::marks::{BY, KEEP, PERMISSIONS, STALE};

use super::World;
use super::truth::State;

impl World {
    /// Somebody acts on an image in the console.
    pub fn by_hand(&mut self) {
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

    pub fn snapshot_by_hand(&mut self) {
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
}
