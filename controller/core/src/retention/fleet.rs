//! The images of an inventory, joined once with everything that is asked of
//! them again and again.

use std::collections::{BTreeMap, HashMap};

use super::claims::{Claimed, claim};
use super::inventory::{Image, ImageState, Inventory, Snapshot, SnapshotId};
use super::marks::{BASE, Standing};
use super::policy::Policy;
use crate::model::AmiId;

/// Images by number, in the order of their ids.
pub struct Fleet<'a> {
    /// Every image that is registered, or is being made.
    pub images: Vec<&'a Image>,
    /// The policy's word on each.
    pub claimed: Vec<Option<Claimed>>,
    /// How each one stands.
    pub standing: Vec<Standing>,
    /// Which image each one was built from, by its tag or by AWS's record.
    pub bases: Vec<Vec<usize>>,
    /// The snapshots of the account.
    pub snapshots: HashMap<&'a SnapshotId, &'a Snapshot>,
    /// An image that is listed twice: no list that was read well has that.
    pub twice: Option<&'a AmiId>,
    numbers: HashMap<&'a AmiId, usize>,
    by_snapshot: HashMap<&'a SnapshotId, Vec<usize>>,
}

impl<'a> Fleet<'a> {
    /// Joins what was read.
    pub fn new(inventory: &'a Inventory, policy: &Policy) -> Self {
        let mut unique = BTreeMap::new();
        let mut twice = None;
        for image in &inventory.images.items {
            if image.state != ImageState::Deregistered && unique.insert(&image.ami, image).is_some()
            {
                twice = Some(&image.ami);
            }
        }
        let images: Vec<&Image> = unique.into_values().collect();
        let numbers: HashMap<_, _> = images
            .iter()
            .enumerate()
            .map(|(n, image)| (&image.ami, n))
            .collect();
        let mut by_snapshot: HashMap<_, Vec<_>> = HashMap::new();
        for (n, image) in images.iter().enumerate() {
            for snapshot in &image.snapshots {
                by_snapshot.entry(snapshot).or_default().push(n);
            }
        }
        let bases = images
            .iter()
            .enumerate()
            .map(|(n, image)| bases(image, n, &numbers))
            .collect();
        Self {
            claimed: images.iter().map(|image| claim(image, policy)).collect(),
            standing: images.iter().map(|image| Standing::of(image)).collect(),
            bases,
            snapshots: inventory
                .snapshots
                .items
                .iter()
                .map(|snapshot| (&snapshot.id, snapshot))
                .collect(),
            twice,
            numbers,
            by_snapshot,
            images,
        }
    }

    /// The number of an image; `None` when it is not one of ours.
    pub fn number(&self, ami: &AmiId) -> Option<usize> {
        self.numbers.get(ami).copied()
    }

    /// The images that have a snapshot.
    pub fn with_snapshot(&self, snapshot: &SnapshotId) -> &[usize] {
        self.by_snapshot.get(snapshot).map_or(&[], Vec::as_slice)
    }

    /// The snapshots that an image has alone.
    pub fn own_snapshots(&self, n: usize) -> impl Iterator<Item = &'a Snapshot> {
        self.images[n]
            .snapshots
            .iter()
            .filter(|id| self.with_snapshot(id).len() == 1)
            .filter_map(|id| self.snapshots.get(id).copied())
    }
}

/// What the image says it was built from, as far as it is ours.
fn bases(image: &Image, n: usize, numbers: &HashMap<&AmiId, usize>) -> Vec<usize> {
    let tag = image.tags.get(BASE).map_or("", String::as_str);
    let mut bases: Vec<usize> = tag
        .split([' ', ','])
        .filter_map(|text| AmiId::parse(text).ok())
        .chain(image.source.clone())
        .filter_map(|ami| numbers.get(&ami).copied())
        .filter(|base| *base != n)
        .collect();
    bases.sort_unstable();
    bases.dedup();
    bases
}
