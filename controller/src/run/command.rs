//! What people ask of the running daemon.

use jiff::SignedDuration;
use tokio::time::Instant;

use amid_core::history::{Event, later};
use amid_core::model::AppName;

use super::Loop;
use crate::reconcile::Slot;
use crate::status::{Asked, Command};

/// How long an approval stands.
const APPROVED_FOR: SignedDuration = SignedDuration::from_hours(1);

impl Loop {
    /// Does what was asked, or says why not.
    pub(super) fn command(&mut self, asked: Asked) -> anyhow::Result<()> {
        let (command, answer) = asked;
        let said = match command {
            Command::Reconcile { app: None } => {
                self.next_fetch = Instant::now();
                self.next_sweep = Instant::now();
                Ok("looking at everything".to_owned())
            }
            Command::Reconcile { app: Some(app) } => self.known(&app).map(|slot| {
                self.next_fetch = Instant::now();
                self.schedule.due(&slot.app, Instant::now());
                format!("looking at {app}")
            }),
            Command::Approve { hold, user } => self.approve(&hold, &user),
            Command::Suspend {
                app,
                reason,
                until,
                user,
            } => self.tell(
                &app,
                |_| Event::Suspended {
                    reason,
                    until,
                    user,
                },
                "is suspended",
            ),
            Command::Resume { app, user } => {
                self.tell(&app, |_| Event::Resumed { user }, "goes on")
            }
        };
        self.dirty = true;
        // Whoever asked may have gone meanwhile.
        let _ = answer.send(said);
        Ok(())
    }

    fn known(&self, app: &str) -> Result<std::sync::Arc<Slot>, String> {
        let name = AppName::parse(app)?;
        self.engine
            .all_slots()
            .into_iter()
            .find(|slot| slot.app == name)
            .ok_or_else(|| format!("there is no app `{app}`; `amid status` lists them"))
    }

    fn tell(
        &mut self,
        app: &str,
        event: impl FnOnce(&Slot) -> Event,
        words: &str,
    ) -> Result<String, String> {
        let slot = self.known(app)?;
        self.engine
            .journal(&slot, event(&slot))
            .map_err(|error| format!("Failed to write the journal: {error:#}"))?;
        self.schedule.due(&slot.app, Instant::now());
        Ok(format!("{app} {words}"))
    }

    fn approve(&mut self, hold: &str, user: &str) -> Result<String, String> {
        if let Some(rewritten) = self.rewritten.clone()
            && rewritten.id() == hold
        {
            self.approve_head(hold, user, rewritten.found)?;
            tracing::warn!(
                hold,
                user,
                "{user} approved the rewritten branch at {}",
                rewritten.found
            );
            self.accept(rewritten.found)
                .map_err(|error| format!("{error:#}"))?;
            return Ok(format!("the branch is followed from {}", rewritten.found));
        }
        if let Some(accepted) = self.engine.accepted()
            && hold == super::rewritten_id(accepted.commit)
        {
            // Without a journal only the units' memories tell of the rewriting.
            self.approve_head(hold, user, accepted.commit)?;
            for app in accepted.apps.keys() {
                self.schedule.due(app, Instant::now());
            }
            return Ok(format!("the branch is followed from {}", accepted.commit));
        }
        if let Some(app) = hold.strip_prefix("errored-state:") {
            let slot = self.known(app)?;
            self.write_down(hold, user)?;
            return self.clear_errored(&slot);
        }
        let slot = self
            .engine
            .all_slots()
            .into_iter()
            .find(|slot| {
                slot.state()
                    .history
                    .held
                    .as_ref()
                    .is_some_and(|held| held.id == hold)
            })
            .ok_or_else(|| {
                format!("there is no hold `{hold}`; `amid status` shows what is held")
            })?;
        let until = later(self.engine.now(), APPROVED_FOR);
        self.engine
            .journal(
                &slot,
                Event::Approved {
                    id: hold.to_owned(),
                    user: user.to_owned(),
                    until,
                },
            )
            .map_err(|error| format!("Failed to write the journal: {error:#}"))?;
        tracing::warn!(hold, user, app = %slot.app, "{user} approved {hold}");
        self.schedule.due(&slot.app, Instant::now());
        Ok(format!(
            "{hold} of {} is approved until {until:.0}, for exactly that plan",
            slot.app
        ))
    }

    /// A rewritten branch may be followed, also after a restart.
    fn approve_head(&self, hold: &str, user: &str, head: git2::Oid) -> Result<(), String> {
        self.journalled(&serde_json::json!({
            "approved": hold,
            "user": user,
            "approved_head": head.to_string(),
        }))?;
        if let Ok(mut heads) = self.engine.approved_heads.lock() {
            heads.push(head);
        }
        Ok(())
    }

    /// An approval that is about no plan of an app.
    fn write_down(&self, hold: &str, user: &str) -> Result<(), String> {
        self.journalled(&serde_json::json!({ "approved": hold, "user": user }))
    }

    fn journalled(&self, entry: &serde_json::Value) -> Result<(), String> {
        let mut journal = self
            .engine
            .journal
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        journal
            .append(self.engine.now(), entry)
            .map(|_| ())
            .map_err(|error| format!("Failed to write the journal: {error:#}"))
    }

    fn clear_errored(&mut self, slot: &std::sync::Arc<Slot>) -> Result<String, String> {
        let accepted = self.engine.accepted().ok_or("no commit was read yet")?;
        let unit = accepted
            .apps
            .get(&slot.app)
            .and_then(|wish| wish.manifest())
            .map(|manifest| self.engine.unit(&slot.app, &manifest.unit))
            .ok_or_else(|| format!("{} has no manifest without mistakes", slot.app))?;
        let (engine, app) = (std::sync::Arc::clone(&self.engine), slot.app.clone());
        tokio::spawn(async move {
            if let Err(error) = engine.runner.clear_errored(&unit).await {
                tracing::warn!(app = %app, "Failed to clear the state that could not be saved: {error:#}");
            }
        });
        self.schedule.due(&slot.app, Instant::now());
        Ok(format!("{} may run again", slot.app))
    }
}
