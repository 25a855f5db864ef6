//! Brings every accepted commit to exactly one end, per app.

use std::sync::Arc;

use git2::Oid;

use amid_core::decide::{Phase, Plan};
use amid_core::history::{Event, Outcome};
use amid_core::model::CommitId;
use amid_core::observe::Desired;
use amid_core::reason::Reason;

use super::engine::{Engine, Slot};
use crate::desired::{Accepted, commit_id};
use crate::fault;
use crate::git::CommitInfo;

/// Ends the open commit, if this plan says that it came to its end.
pub(super) fn settle(
    engine: &Engine,
    slot: &Slot,
    accepted: &Accepted,
    desired: &Desired,
    plan: &Plan,
) -> anyhow::Result<()> {
    let Some(open) = slot.state().history.open.clone() else {
        return Ok(());
    };
    let Desired::Wanted { commit, .. } = desired else {
        return Ok(());
    };
    if *commit != open {
        return Ok(());
    }
    let is_live = plan.phase == Phase::Steady
        && plan.steps.is_empty()
        && matches!(plan.state, Some(Reason::AsDesired { .. }));
    // A revert that waits in a pull request is an end that is still to come.
    if plan
        .held
        .iter()
        .any(|reason| matches!(reason, Reason::RevertProposed { .. }))
    {
        return Ok(());
    }
    let failed = plan.held.iter().find(|reason| {
        matches!(
            reason,
            Reason::ReleaseFailed { .. } | Reason::FirstReleaseFailed { .. }
        )
    });
    let outcome = match (is_live, failed) {
        (true, _) => Outcome::Applied,
        (false, Some(_)) if plan.steps.is_empty() => Outcome::FailedNotReverted,
        _ => return Ok(()),
    };
    let _ = accepted;
    engine.journal(
        slot,
        Event::Ended {
            commit: open,
            outcome,
            why: failed.map(ToString::to_string),
        },
    )?;
    fault::point("ended");
    Ok(())
}

/// Writes down what the commits between two heads ask of an app: all but the
/// newest are superseded, an older open one too.
///
/// # Errors
///
/// When the journal cannot be written.
pub fn ask(
    engine: &Arc<Engine>,
    slot: &Slot,
    between: &[CommitInfo],
    accepted: &Accepted,
) -> anyhow::Result<()> {
    let Some(wish) = accepted.apps.get(&slot.app) else {
        return Ok(());
    };
    let newest = wish.info.as_ref().map(|info| info.id);
    let open = slot.state().history.open.clone();
    if let Some(open) = open
        && newest.is_some_and(|newest| newest.to_string() != open.as_str())
    {
        end_older(engine, slot, open, accepted)?;
    }
    // A crash may have come when some of them were written down already.
    let last = slot.state().history.last_asked.clone();
    let known = between
        .iter()
        .rposition(|info| {
            last.as_ref()
                .is_some_and(|last| last.as_str() == info.id.to_string())
        })
        .map_or(0, |at| at + 1);
    let missing = between.get(known..).unwrap_or_default();
    for info in missing.iter().filter(|info| Some(info.id) != newest) {
        engine.journal_soon(slot, asked(info, None)?)?;
        end(engine, slot, info.id, Outcome::Superseded, None)?;
        fault::point("superseded");
    }
    let Some(info) = &wish.info else {
        return Ok(());
    };
    engine.journal_soon(slot, asked(info, wish.manifest())?)?;
    fault::point("asked");
    Ok(())
}

/// Ends the open commit of an app as rejected, if its manifest has mistakes.
///
/// # Errors
///
/// When the journal cannot be written.
pub fn reject(engine: &Arc<Engine>, slot: &Slot, accepted: &Accepted) -> anyhow::Result<()> {
    let Some(wish) = accepted.apps.get(&slot.app) else {
        return Ok(());
    };
    let (Desired::Invalid { first, .. }, Some(info)) = (&wish.desired, &wish.info) else {
        return Ok(());
    };
    let open = slot.state().history.open.clone();
    if open.is_some_and(|open| open.as_str() == info.id.to_string()) {
        end(
            engine,
            slot,
            info.id,
            Outcome::Rejected,
            Some(first.clone()),
        )?;
    }
    Ok(())
}

/// The app's manifest went: what the open commit asked for is asked no more.
///
/// # Errors
///
/// When the journal cannot be written.
pub fn withdrawn(engine: &Engine, slot: &Slot) -> anyhow::Result<()> {
    let Some(commit) = slot.state().history.open.clone() else {
        return Ok(());
    };
    engine.journal_soon(
        slot,
        Event::Ended {
            commit,
            outcome: Outcome::Superseded,
            why: Some("the manifest is gone".to_owned()),
        },
    )
}

/// An open commit that a newer one came after: our own revert ends it as
/// failed and reverted, any other as superseded.
fn end_older(
    engine: &Engine,
    slot: &Slot,
    open: CommitId,
    accepted: &Accepted,
) -> anyhow::Result<()> {
    let failed = slot
        .state()
        .history
        .abandoned
        .iter()
        .rev()
        .find(|failed| failed.commit == open && failed.failure.blames_release())
        .map(|failed| failed.failure.to_string());
    let wish = accepted.apps.get(&slot.app);
    let reverted = wish
        .and_then(|wish| wish.info.as_ref())
        .is_some_and(|info| info.subject.starts_with("Revert "))
        // A merged pull request has the subject that its forge writes.
        || slot.state().history.proposed.contains_key(&open);
    let outcome = match &failed {
        Some(_) if reverted => Outcome::FailedReverted,
        Some(_) => Outcome::FailedNotReverted,
        None => Outcome::Superseded,
    };
    engine.journal_soon(
        slot,
        Event::Ended {
            commit: open,
            outcome,
            why: failed,
        },
    )
}

fn end(
    engine: &Engine,
    slot: &Slot,
    commit: Oid,
    outcome: Outcome,
    why: Option<String>,
) -> anyhow::Result<()> {
    engine.journal_soon(
        slot,
        Event::Ended {
            commit: commit_id(commit)?,
            outcome,
            why,
        },
    )
}

fn asked(
    info: &CommitInfo,
    manifest: Option<&amid_core::manifest::Manifest>,
) -> anyhow::Result<Event> {
    Ok(Event::Asked {
        commit: commit_id(info.id)?,
        key: manifest.map(|manifest| manifest.settings().key()),
        ami: manifest.map(|manifest| manifest.ami.clone()),
        committed: Some(info.time),
        author: Some(info.author.clone()),
        subject: Some(info.subject.clone()),
    })
}
