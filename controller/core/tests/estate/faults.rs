//! What goes wrong while the account is read, and mistakes that the laws have
//! to catch.

use amid_core::retention::{ImageState, Inventory, Listing, Source};

use super::rng::Rng;
use super::truth::{HERE, THERE, Truth};

/// A part of the truth that can be read late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Images,
    Things(Source),
    Templates,
    Parameters,
    Branches,
    History,
    GitTags,
    Copies,
}

const PARTS: &[Part] = &[
    Part::Images,
    Part::Things(Source::Instances),
    Part::Things(Source::LaunchConfigurations),
    Part::Things(Source::Groups),
    Part::Things(Source::InstanceRefreshes),
    Part::Things(Source::WarmPools),
    Part::Things(Source::SpotFleets),
    Part::Things(Source::Fleets),
    Part::Things(Source::TerraformState),
    Part::Things(Source::Volumes),
    Part::Templates,
    Part::Parameters,
    Part::Branches,
    Part::History,
    Part::GitTags,
    Part::Copies,
];

/// One part of the truth as it was a while ago.
pub fn stale(truth: &mut Truth, old: &Truth, rng: &mut Rng) -> Part {
    let part = rng.pick(PARTS);
    match part {
        Part::Images => {
            let young = old.images.len();
            truth.images.truncate(young);
            truth.images[..young].clone_from_slice(&old.images);
        }
        Part::Things(source) => {
            truth.things.retain(|thing| thing.source != source);
            let was = old.things.iter().filter(|thing| thing.source == source);
            truth.things.extend(was.cloned());
        }
        Part::Templates => truth.templates.clone_from(&old.templates),
        Part::Parameters => truth.parameters.clone_from(&old.parameters),
        Part::Branches => truth.branches.clone_from(&old.branches),
        Part::History => truth.changes.clone_from(&old.changes),
        Part::GitTags => truth.git_tags.clone_from(&old.git_tags),
        Part::Copies => truth.copies.clone_from(&old.copies),
    }
    part
}

/// Lets a list fail: not at all, cut, or with a page that came twice. The
/// adapter says so each time.
fn fail<T: Clone>(list: &mut Listing<T>, rng: &mut Rng) {
    let n = list.items.len();
    let why = match rng.below(4) {
        0 => {
            list.items.clear();
            "UnauthorizedOperation"
        }
        1 => {
            list.items.truncate(n / 2);
            "a page was cut off"
        }
        2 => {
            list.items.extend_from_within(..n / 2);
            "a page token came twice"
        }
        _ => {
            list.items.truncate(n.saturating_sub(1));
            "RequestLimitExceeded"
        }
    };
    list.incomplete = Some(why.to_owned());
}

/// One list cannot be read to its end.
pub fn incomplete(inventory: &mut Inventory, rng: &mut Rng) {
    let there = &mut inventory.elsewhere[0];
    match rng.below(6) {
        0 => fail(&mut inventory.images, rng),
        1 => fail(&mut inventory.snapshots, rng),
        2 => fail(&mut there.copies, rng),
        3 => {
            let source = rng.pick(Source::ELSEWHERE);
            fail(there.references.lists.get_mut(&source).unwrap(), rng);
        }
        4 => {
            let source = rng.pick(Source::ALL);
            inventory.references.lists.remove(&source);
        }
        _ => {
            let source = rng.pick(Source::ALL);
            fail(inventory.references.lists.get_mut(&source).unwrap(), rng);
        }
    }
}

/// A source of references that somebody forgot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    None,
    Forgets(usize, Source),
    ForgetsCopies,
    ForgetsShares,
    ForgetsLineage,
    ForgetsPendingImages,
    ForgetsUntaggedImages,
    /// A list that was not read to its end passes for complete.
    TrustsCutLists,
}

impl Mistake {
    pub fn all() -> Vec<Self> {
        let here = Source::ALL
            .iter()
            .map(|source| Self::Forgets(HERE, *source));
        let there = Source::ELSEWHERE
            .iter()
            .map(|source| Self::Forgets(THERE, *source));
        here.chain(there)
            .chain([
                Self::ForgetsCopies,
                Self::ForgetsShares,
                Self::ForgetsLineage,
                Self::ForgetsPendingImages,
                Self::ForgetsUntaggedImages,
                Self::TrustsCutLists,
            ])
            .collect()
    }

    /// What is left of an inventory.
    pub fn apply(self, inventory: &mut Inventory) {
        let forget = |lists: &mut std::collections::BTreeMap<Source, Listing<_>>, source| {
            if let Some(list) = lists.get_mut(&source) {
                list.items.clear();
            }
        };
        let images = &mut inventory.images.items;
        match self {
            Self::None => {}
            Self::Forgets(HERE, source) => forget(&mut inventory.references.lists, source),
            Self::Forgets(_, source) => {
                forget(&mut inventory.elsewhere[0].references.lists, source);
            }
            Self::ForgetsCopies => inventory.elsewhere[0].copies.items.clear(),
            Self::ForgetsShares => {
                for image in images {
                    image.permissions.clear();
                }
            }
            Self::ForgetsLineage => {
                for image in images {
                    image.source = None;
                    image.tags.remove(amid_core::retention::marks::BASE);
                }
            }
            Self::ForgetsPendingImages => {
                for image in images {
                    if image.state == ImageState::Pending {
                        image.state = ImageState::Available;
                    }
                }
            }
            Self::ForgetsUntaggedImages => {
                for image in images {
                    if image.tags.is_empty() {
                        image.tags.insert("Name".to_owned(), String::new());
                    }
                }
            }
            Self::TrustsCutLists => {
                inventory.images.incomplete = None;
                let there = &mut inventory.elsewhere[0];
                there.copies.incomplete = None;
                let lists = inventory.references.lists.values_mut();
                for list in lists.chain(there.references.lists.values_mut()) {
                    list.incomplete = None;
                }
            }
        }
    }
}
