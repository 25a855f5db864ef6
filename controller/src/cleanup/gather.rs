//! Puts together what one run decides on: a complete inventory of each account
//! and region, with what the others and git know about it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use amid_core::model::AmiId;
use amid_core::retention::{
    Circumstances, CopiedImage, Elsewhere, Image, Inventory, Listing, Place, Reference, References,
    Snapshot, Source,
};

use crate::aws::{Aws, ParameterCache};

/// The tag on a copy that names the image it was copied from, for builders
/// that register their copies and so leave no trace in AWS.
const COPY_OF: &str = "amid:copy-of";

/// What is known of parameters, by account and region: the same name means another parameter in each.
#[derive(Default)]
pub(crate) struct Parameters(Mutex<BTreeMap<Place, Arc<ParameterCache>>>);

impl Parameters {
    fn of(&self, place: &Place) -> Arc<ParameterCache> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(place.clone()).or_default())
    }
}

/// What was read of one account and region.
pub(crate) struct Read {
    pub place: Place,
    pub taken_at: Timestamp,
    pub images: Listing<Image>,
    pub snapshots: Listing<Snapshot>,
    pub references: References,
    pub recycle_bin: Vec<String>,
}

impl Read {
    /// Reads all of it.
    pub(crate) async fn all(
        aws: &Aws,
        place: Place,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Self {
        let cache = parameters.of(&place);
        let images = aws.own_images().await;
        let snapshots = aws.own_snapshots().await;
        Self {
            place,
            taken_at: now,
            images,
            snapshots,
            references: aws.references(&cache).await,
            recycle_bin: aws.recycle_bin().await,
        }
    }

    /// A place that could not be read at all.
    pub(crate) fn failed(place: Place, now: Timestamp, why: &str) -> Self {
        Self {
            place,
            taken_at: now,
            images: Listing::incomplete(Vec::new(), why),
            snapshots: Listing::incomplete(Vec::new(), why),
            references: References::default(),
            recycle_bin: Vec::new(),
        }
    }

    /// Whether any list is not complete.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.images.incomplete.is_some()
            || self.snapshots.incomplete.is_some()
            || self.references.lists.is_empty()
            || self
                .references
                .lists
                .values()
                .any(|list| list.incomplete.is_some())
    }

    /// What this place says about images of another one.
    fn as_elsewhere(&self) -> Elsewhere {
        let copies = self.images.items.iter().filter_map(|image| {
            let tagged = image.tags.get(COPY_OF);
            let of = tagged
                .and_then(|text| AmiId::parse(text).ok())
                .or_else(|| image.source.clone())?;
            Some(CopiedImage {
                ami: image.ami.clone(),
                of,
            })
        });
        let lists = self
            .references
            .lists
            .iter()
            .filter(|(source, _)| Source::ELSEWHERE.contains(source))
            .map(|(source, list)| (*source, list.clone()))
            .collect();
        Elsewhere {
            place: self.place.clone(),
            copies: Listing {
                items: copies.collect(),
                incomplete: self.images.incomplete.clone(),
            },
            references: References {
                lists,
                parameters: self.references.parameters.clone(),
            },
        }
    }
}

/// The inventory of each place, in the same order. `common` is what git and
/// terraform name: it counts everywhere.
pub(crate) fn inventories(
    reads: Vec<Read>,
    common: &BTreeMap<Source, Listing<Reference>>,
    circumstances: &Circumstances,
) -> Vec<Inventory> {
    let elsewhere: Vec<Elsewhere> = match reads.len() {
        1 => Vec::new(),
        _ => reads.iter().map(Read::as_elsewhere).collect(),
    };
    reads
        .into_iter()
        .map(|read| {
            let mut references = read.references;
            references.lists.extend(common.clone());
            Inventory {
                elsewhere: elsewhere
                    .iter()
                    .filter(|other| other.place != read.place)
                    .cloned()
                    .collect(),
                place: read.place,
                taken_at: read.taken_at,
                images: read.images,
                snapshots: read.snapshots,
                references,
                second_opinion: BTreeMap::new(),
                circumstances: Circumstances {
                    recycle_bin: read.recycle_bin,
                    ..circumstances.clone()
                },
            }
        })
        .collect()
}
