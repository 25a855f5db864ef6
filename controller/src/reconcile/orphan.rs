//! Takes in an apply that outlived an earlier run of the controller.

use std::sync::Arc;

use amid_core::observe::Desired;

use super::Passed;
use super::engine::{Engine, Slot};
use crate::desired::Accepted;
use crate::reconcile::look;

impl Engine {
    /// Waits for an apply that an earlier controller began, if there is one.
    /// Gives what this pass came to then; nothing, when there was none.
    pub(super) async fn adopt_orphan(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        _accepted: &Arc<Accepted>,
        desired: &Desired,
    ) -> anyhow::Result<Option<Passed>> {
        let Desired::Wanted { manifest, .. } = desired else {
            return Ok(None);
        };
        let unit = self.unit(&slot.app, &manifest.unit);
        let Some(orphan) = self.runner.orphan(&unit) else {
            return Ok(None);
        };
        match orphan.pid() {
            Some(pid) => tracing::warn!(
                app = %slot.app, pid, started = %orphan.started_at(),
                "{}: an apply outlived the controller that began it, waiting for it", slot.app
            ),
            None => tracing::warn!(
                app = %slot.app, started = %orphan.started_at(),
                "{}: an apply died with the controller that began it, looking at what it left", slot.app
            ),
        }
        slot.state().running = Some("apply of an earlier run".to_owned());
        let ended = orphan.wait().await;
        let mut state = slot.state();
        state.running = None;
        state.made = None;
        match ended {
            Ok(applied) => {
                tracing::info!(app = %slot.app, "{}: the apply of an earlier run ended well", slot.app);
                state.made = look::made(&applied.outputs, self.now()).ok();
            }
            Err(error) => {
                tracing::warn!(app = %slot.app, "{}: the apply of an earlier run: {error}", slot.app)
            }
        }
        Ok(Some(Passed {
            phase: state.phase,
            acted: true,
            wake: None,
        }))
    }
}
