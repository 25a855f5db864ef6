//! Takes a new head in, or holds it: only fast-forwards are followed.

use std::sync::Arc;

use git2::Oid;
use serde_json::json;
use tokio::time::Instant;

use super::{Loop, Rewritten};
use crate::desired::Accepted;
use crate::fault;
use crate::git::CommitInfo;
use crate::reconcile::{ask, reject, withdrawn};

impl Loop {
    /// Acts on `head` from now on, unless the branch was rewritten.
    pub(super) fn accept(&mut self, head: Oid) -> anyhow::Result<()> {
        let before = self.engine.accepted();
        let known = before
            .as_ref()
            .map(|accepted| accepted.commit)
            .or(self.schedule_base());
        if before
            .as_ref()
            .is_some_and(|accepted| accepted.commit == head)
        {
            self.rewritten = None;
            return Ok(());
        }
        if let Some(known) = known
            && !self.engine.mirror.is_ancestor(known, head)?
        {
            let rewritten = Rewritten {
                accepted: known,
                found: head,
            };
            let approved = self
                .engine
                .approved_heads
                .lock()
                .is_ok_and(|heads| heads.contains(&head));
            if !approved {
                if self
                    .rewritten
                    .as_ref()
                    .is_none_or(|before| before.found != head)
                {
                    tracing::warn!(
                        hold = rewritten.id(),
                        "The branch was rewritten from {known} to {head}: nothing of it is applied before `amid approve {}`",
                        rewritten.id()
                    );
                }
                self.rewritten = Some(rewritten);
                // What was accepted before goes on counting, also after a restart.
                return if before.is_none() {
                    self.take(known, None)
                } else {
                    Ok(())
                };
            }
        }
        self.rewritten = None;
        self.take(head, known)
    }

    /// Reads what `head` asks for and journals what changed since `known`.
    fn take(&mut self, head: Oid, known: Option<Oid>) -> anyhow::Result<()> {
        let engine = Arc::clone(&self.engine);
        let before = engine.accepted();
        let accepted = Arc::new(Accepted::read(
            &engine.mirror,
            head,
            &engine.config.terragrunt.root,
        )?);
        let at = engine.now();
        for problem in &accepted.problems {
            tracing::warn!("{problem}");
        }
        engine.metrics.repository_head(at);
        for (app, wish) in &accepted.apps {
            let slot = engine.slot(app);
            let newest = wish.info.as_ref().map(|info| info.id);
            let asked_before = before
                .as_ref()
                .and_then(|before| before.apps.get(app))
                .and_then(|wish| wish.info.as_ref())
                .map(|info| info.id);
            let ended = slot.state().history.last_asked.clone();
            let is_new = newest.is_some()
                && newest != asked_before
                && newest.map(|id| id.to_string()) != ended.map(|id| id.to_string());
            if is_new {
                let between: Vec<CommitInfo> = match known.filter(|known| *known != head) {
                    Some(known) => engine
                        .mirror
                        .commits_between(known, head, &wish.path)
                        .unwrap_or_default(),
                    None => Vec::new(),
                };
                ask(&engine, &slot, &between, &accepted)?;
                if let Some(info) = &wish.info {
                    let subject = &info.subject;
                    tracing::info!(app = %app, commit = %info.id, "{app}: {} asks: {subject}", &info.id.to_string()[..8]);
                }
                for problem in &wish.problems {
                    tracing::warn!(app = %app, "{problem}");
                }
            }
            reject(&engine, &slot, &accepted)?;
            let changed = before
                .as_ref()
                .and_then(|before| before.apps.get(app))
                .is_none_or(|before| before.desired != wish.desired);
            if changed && before.is_some() {
                self.schedule.due(app, Instant::now());
            }
        }
        {
            // After what it asks for: a crash in between has to find the same
            // commits again.
            let mut journal = engine
                .journal
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            journal.append(at, &json!({ "accepted": head.to_string() }))?;
        }
        fault::point("accepted");
        // Also those whose manifest went while no daemon ran.
        for slot in engine.all_slots() {
            if !accepted.apps.contains_key(&slot.app) {
                self.schedule.due(&slot.app, Instant::now());
                withdrawn(&engine, &slot)?;
            }
        }
        if before.is_none() {
            self.next_sweep = Instant::now();
        }
        if before
            .as_ref()
            .is_some_and(|before| before.code != accepted.code)
        {
            self.next_sweep = Instant::now();
        }
        engine.accepted.send_replace(Some(accepted));
        self.dirty = true;
        Ok(())
    }

    /// The commit that an earlier run accepted last, if the journal knows it
    /// and the mirror still has it.
    fn schedule_base(&self) -> Option<Oid> {
        let last = self.engine.last_accepted?;
        self.engine
            .mirror
            .is_ancestor(last, last)
            .ok()
            .map(|_| last)
    }
}
