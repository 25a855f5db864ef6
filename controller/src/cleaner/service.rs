//! When a run begins: by the timer, by hand, and at once when git moves while
//! anything is on its way out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use amid_core::retention::Place;

use super::{Cleaner, anything_marked, run};
use crate::cleanup::{Order, Ordered, Run};
use crate::reconcile::Engine;

/// After git moved: a push is seldom alone.
const SOON: Duration = Duration::from_secs(5);

/// Runs until the daemon stops.
pub async fn serve(
    engine: Arc<Engine>,
    cleaner: Cleaner,
    shown: watch::Sender<Option<Arc<Run>>>,
    mut orders: mpsc::Receiver<Ordered>,
) {
    let interval = Duration::from_secs(cleaner.config.interval.0);
    let mut accepted = engine.accepted.subscribe();
    let mut stopping = engine.stopping.subscribe();
    let mut next: Option<Instant> = engine.accepted().map(|_| Instant::now());
    let mut by_hand = false;
    // A daemon that starts blind must not look like one that never ran.
    let places = engine.config.targets.iter().map(|target| Place {
        account: target.account_id.clone(),
        region: target.region.clone(),
    });
    if let Some(at) = cleaner.last_complete(places) {
        engine.metrics.cleanup().complete(at);
    }
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
