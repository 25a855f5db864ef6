//! Decides, asks what the decision wants to know, and decides again, until
//! nothing is left to ask.
//!
//! Some things cost a request for each image, so they are asked only about
//! those that are about to go: AWS's second opinion, who may launch an image,
//! whom a snapshot is shared with, and terraform's states as they are now. An
//! answer that does not come makes its list incomplete, and so the run only
//! report.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;

use amid_core::model::AmiId;
use amid_core::retention::{
    ActionKind, Cleaning, Inventory, Listing, Memory, Policy, Reference, SnapshotId, Source, Stage,
    decide,
};

use super::perform::Clock;
use crate::aws::Aws;

/// More rounds than there are stages to fall through.
const MAX_ROUNDS: usize = 100;

/// What is still to be asked before a decision stands.
pub(crate) struct Questions<'a> {
    /// The account and region.
    pub aws: &'a Aws,
    /// Reads every terraform state again; asked at the most once.
    pub states: BoxFuture<'a, Listing<Reference>>,
    /// The time.
    pub clock: &'a Clock,
}

/// Decides on `inventory`, which is completed on the way.
pub(crate) async fn settle(
    inventory: &mut Inventory,
    policy: &Policy,
    memory: &Memory,
    questions: Questions<'_>,
) -> Cleaning {
    let Questions { aws, states, clock } = questions;
    let mut states = Some(states);
    let mut shared_known: BTreeSet<SnapshotId> = BTreeSet::new();
    for _ in 0..MAX_ROUNDS {
        let cleaning = decide(inventory, policy, memory, clock());
        let snapshots = unknown_sharing(&cleaning, inventory, &shared_known);
        if cleaning.ask.is_empty() && snapshots.is_empty() {
            return cleaning;
        }
        if takes_use_away(&cleaning)
            && let Some(states) = states.take()
        {
            let list = states.await;
            inventory
                .references
                .lists
                .insert(Source::TerraformState, list);
            continue;
        }
        if let Err(error) = ask(aws, inventory, &cleaning.ask, &snapshots).await {
            // Whatever it was about, half an answer is none.
            inventory.images.incomplete = Some(format!("{error:#}"));
            return decide(inventory, policy, memory, clock());
        }
        shared_known.extend(snapshots);
    }
    inventory.images.incomplete = Some(format!(
        "the decision did not settle in {MAX_ROUNDS} rounds"
    ));
    decide(inventory, policy, memory, clock())
}

async fn ask(
    aws: &Aws,
    inventory: &mut Inventory,
    images: &[AmiId],
    snapshots: &BTreeSet<SnapshotId>,
) -> anyhow::Result<()> {
    for image in &mut inventory.images.items {
        if images.contains(&image.ami) {
            image.permissions = aws.permissions(&image.ami).await?;
        }
    }
    for snapshot in &mut inventory.snapshots.items {
        if snapshots.contains(&snapshot.id) {
            snapshot.shared_with = aws.snapshot_sharing(&snapshot.id).await?;
        }
    }
    let opinion = aws.second_opinion(images).await?;
    inventory.second_opinion.extend(opinion);
    Ok(())
}

/// Snapshots that would be deleted and of which nobody asked yet whom they are
/// shared with.
fn unknown_sharing(
    cleaning: &Cleaning,
    inventory: &Inventory,
    known: &BTreeSet<SnapshotId>,
) -> BTreeSet<SnapshotId> {
    let orphans = cleaning
        .snapshots
        .iter()
        .filter(|verdict| verdict.action == Some(ActionKind::DeleteSnapshot))
        .map(|verdict| verdict.id.clone());
    let leaving: BTreeSet<&AmiId> = cleaning
        .images
        .iter()
        .filter(|verdict| {
            verdict.stage == Stage::Disabled || verdict.action == Some(ActionKind::Deregister)
        })
        .filter(|verdict| verdict.keeps.is_empty())
        .map(|verdict| &verdict.ami)
        .collect();
    let of_images = inventory
        .images
        .items
        .iter()
        .filter(|image| cleaning.ask.contains(&image.ami) && leaving.contains(&image.ami))
        .flat_map(|image| image.snapshots.iter().cloned());
    orphans
        .chain(of_images)
        .filter(|id| !known.contains(id))
        .collect()
}

/// Whether anything that waits for the second opinion would be disabled or
/// deleted.
fn takes_use_away(cleaning: &Cleaning) -> bool {
    let images = cleaning
        .images
        .iter()
        .any(|verdict| verdict.stage >= Stage::Deprecated && cleaning.ask.contains(&verdict.ami));
    images
        || cleaning
            .snapshots
            .iter()
            .any(|verdict| verdict.action == Some(ActionKind::DeleteSnapshot))
}
