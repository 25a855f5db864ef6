//! When a run begins: by the timer, by hand, and at once when git moves while
//! anything is on its way out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::report::{Report, Run};
use super::{Cleaner, anything_marked, run};
use crate::reconcile::Engine;

/// After git moved: a push is seldom alone.
const SOON: Duration = Duration::from_secs(5);

/// What a person asks of the cleaner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Begin a run now; with `apply` it may act where the config only reports.
    Run {
        /// Whether it may act.
        apply: bool,
    },
    /// Change nothing from now on.
    Stop {
        /// Why.
        reason: String,
        /// Who asked.
        user: String,
    },
    /// Take that back.
    Start {
        /// Who asked.
        user: String,
    },
}

/// An order on its way, and the way back of its answer.
pub type Ordered = (Order, oneshot::Sender<Result<String, String>>);

/// How others see the cleaner: what the last run came to, and the way to it.
#[derive(Clone)]
pub struct Handle {
    shown: watch::Receiver<Option<Arc<Run>>>,
    orders: Option<mpsc::Sender<Ordered>>,
}

impl Handle {
    /// A handle of no cleaner: the config has no section `cleanup`.
    pub fn off() -> Self {
        Self {
            shown: watch::channel(None).1,
            orders: None,
        }
    }

    /// A handle that shows what the sender says, and the receiver of its
    /// orders.
    pub fn new(shown: watch::Receiver<Option<Arc<Run>>>) -> (Self, mpsc::Receiver<Ordered>) {
        let (orders, ordered) = mpsc::channel(8);
        let handle = Self {
            shown,
            orders: Some(orders),
        };
        (handle, ordered)
    }

    /// What the last run came to.
    pub fn report(&self) -> Option<Report> {
        self.last().map(|run| run.report())
    }

    /// The last run, where there was one since the start.
    pub fn last(&self) -> Option<Arc<Run>> {
        self.shown.borrow().clone()
    }

    /// To be told of runs.
    pub fn runs(&self) -> watch::Receiver<Option<Arc<Run>>> {
        self.shown.clone()
    }

    /// Whether there is a cleaner at all.
    pub fn is_on(&self) -> bool {
        self.orders.is_some()
    }

    /// Passes an order on and waits for its sentence.
    ///
    /// # Errors
    ///
    /// A sentence that says why it is not carried out.
    pub async fn order(&self, order: Order) -> Result<String, String> {
        let orders = self.orders.as_ref().ok_or_else(not_configured)?;
        let (back, answer) = oneshot::channel();
        orders.try_send((order, back)).map_err(|_| {
            "clean-up has too many orders waiting, try again in a moment".to_owned()
        })?;
        answer
            .await
            .unwrap_or_else(|_| Err("the daemon is stopping".to_owned()))
    }
}

/// What is said where there is no section `cleanup`.
pub fn not_configured() -> String {
    "clean-up is not configured: add a section `cleanup` to the config, `{}` is one that only reports"
        .to_owned()
}

/// Runs until the daemon stops.
pub async fn serve(
    engine: Arc<Engine>,
    cleaner: Arc<Cleaner>,
    shown: watch::Sender<Option<Arc<Run>>>,
    mut orders: mpsc::Receiver<Ordered>,
) {
    let interval = Duration::from_secs(cleaner.config.interval.0);
    let mut accepted = engine.accepted.subscribe();
    let mut stopping = engine.stopping.subscribe();
    let mut next: Option<Instant> = engine.accepted().map(|_| Instant::now());
    let mut by_hand = false;
    loop {
        tokio::select! {
            biased;
            _ = stopping.changed() => return,
            Some((order, answer)) = orders.recv() => {
                let said = carry_out(&cleaner, order, &mut next, &mut by_hand);
                // Whoever asked may have gone meanwhile.
                let _ = answer.send(said);
            }
            moved = accepted.changed() => {
                if moved.is_err() {
                    return;
                }
                let marked = shown.borrow().as_ref().is_some_and(|run| anything_marked(run));
                if next.is_none() || marked {
                    let soon = Instant::now() + if marked { SOON } else { Duration::ZERO };
                    next = Some(next.map_or(soon, |at| at.min(soon)));
                }
            }
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                next = Some(Instant::now() + interval);
                let hand = std::mem::take(&mut by_hand);
                // Reads are dropped at a stop; requests that change something
                // are written down in AWS before and after.
                let running = run(&engine, &cleaner, hand);
                tokio::pin!(running);
                let run = loop {
                    tokio::select! {
                        biased;
                        _ = stopping.changed() => return,
                        Some((order, answer)) = orders.recv() => {
                            let said = carry_out(&cleaner, order, &mut next, &mut by_hand);
                            let _ = answer.send(said);
                        }
                        run = &mut running => break run,
                    }
                };
                tracing::info!(
                    result = run.result.label(),
                    done = run.done.len(),
                    "Clean-up: a run ended, {}, actions: {}",
                    run.result.label(),
                    run.done.len()
                );
                shown.send_replace(Some(Arc::new(run)));
            }
        }
    }
}

fn carry_out(
    cleaner: &Cleaner,
    order: Order,
    next: &mut Option<Instant>,
    by_hand: &mut bool,
) -> Result<String, String> {
    match order {
        Order::Run { apply } => {
            if apply && let Some(reason) = cleaner.stopped() {
                return Err(format!(
                    "clean-up was stopped by hand: {reason}; `amid gc --start` takes that back"
                ));
            }
            if apply && cleaner.config.policy.mode == amid_core::retention::Mode::Off {
                return Err("`cleanup.policy.mode` in the config is `off`".to_owned());
            }
            *next = Some(Instant::now());
            *by_hand |= apply;
            Ok("a run begins".to_owned())
        }
        Order::Stop { reason, user } => {
            let text = format!("{user}: {reason}");
            cleaner
                .set_stop(Some(&text))
                .map_err(|error| format!("{error:#}"))?;
            tracing::warn!(user, "{user} stopped clean-up: {reason}");
            Ok("clean-up changes nothing any more; `amid gc --start` takes that back".to_owned())
        }
        Order::Start { user } => {
            cleaner
                .set_stop(None)
                .map_err(|error| format!("{error:#}"))?;
            tracing::warn!(user, "{user} lets clean-up go on");
            Ok("clean-up goes on with its next run".to_owned())
        }
    }
}
