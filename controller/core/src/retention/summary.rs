//! The figures of a run, counted from its verdicts.

use std::collections::BTreeSet;

use super::cleaning::{SnapshotVerdict, Summary, Verdict};
use super::fleet::Fleet;
use super::inventory::{ImageState, Inventory};
use super::needs::Needs;
use super::policy::Policy;

/// Counts.
pub fn summary(
    inventory: &Inventory,
    fleet: &Fleet<'_>,
    needs: &Needs<'_>,
    policy: &Policy,
    images: &[Verdict],
    snapshots: &[SnapshotVerdict],
) -> Summary {
    let mut summary = Summary::default();
    for (n, verdict) in images.iter().enumerate() {
        let app = verdict
            .app
            .as_ref()
            .map_or_else(String::new, ToString::to_string);
        if fleet.images[n].state == ImageState::Available
            && let Some(created) = verdict.created
        {
            let newest = summary.newest.entry(app.clone()).or_insert(created);
            *newest = created.max(*newest);
        }
        let stages = summary.images.entry(app).or_default();
        *stages.entry(verdict.stage).or_default() += 1;
        let labels: BTreeSet<_> = verdict.keeps.iter().map(|keep| keep.label()).collect();
        for label in labels {
            *summary.protected.entry(label.to_owned()).or_default() += 1;
        }
        if verdict.keeps.is_empty() {
            summary.waiting_bytes += verdict.bytes;
        } else if needs.old_templates[n] == verdict.keeps.len() {
            summary.only_old_templates += 1;
            summary.only_old_templates_bytes += verdict.bytes;
        } else if needs.old_branches[n] == verdict.keeps.len() {
            summary.only_old_branches += 1;
            summary.only_old_branches_bytes += verdict.bytes;
        }
    }
    for verdict in snapshots {
        if verdict.keeps.is_empty() {
            summary.waiting_bytes += verdict.bytes;
        }
    }
    summary.waiting_cost_upper_bound = cost(summary.waiting_bytes, policy);
    summary.notes = notes(&summary, inventory, policy);
    summary
}

/// What so many bytes cost a month at the most.
pub fn cost(bytes: u64, policy: &Policy) -> f64 {
    gib(bytes) * policy.price_per_gib_month
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a figure for people; 2^53 bytes are 8 PiB"
)]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

fn notes(summary: &Summary, inventory: &Inventory, policy: &Policy) -> Vec<String> {
    let mut notes = Vec::new();
    let mut only = |count: u32, bytes: u64, what: &str, option: &str, act: &str| {
        if count > 0 {
            notes.push(format!(
                "{count} images with {:.1} GiB, at most ${:.2} a month, are kept by {what} alone: {act}, or set `{option}`",
                gib(bytes),
                cost(bytes, policy),
            ));
        }
    };
    only(
        summary.only_old_templates,
        summary.only_old_templates_bytes,
        "launch template versions that nothing uses",
        "weak.template_versions",
        "delete those versions",
    );
    only(
        summary.only_old_branches,
        summary.only_old_branches_bytes,
        "branches without a commit for long",
        "weak.branches",
        "delete those branches",
    );
    for rule in &inventory.circumstances.recycle_bin {
        notes.push(format!(
            "a Recycle Bin rule keeps what is deleted for a while, and it costs on: {rule}"
        ));
    }
    notes
}
