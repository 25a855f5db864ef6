//! When a run begins: by the timer, by hand, and at once when git moves while
//! anything is on its way out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Cleaner, anything_marked, place_of, run, stopped_by_hand};
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
    let places = engine.config.targets.iter().map(place_of);
    if let Some(at) = cleaner.last_complete(places) {
        engine.metrics.cleanup().complete(at);
    }
    loop {
        tokio::select! {
            biased;
            _ = stopping.changed() => return,
            Some(ordered) = orders.recv() => {
                carry_out(&cleaner, ordered, &mut next, &mut by_hand);
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
                        Some(ordered) = orders.recv() => {
                            carry_out(&cleaner, ordered, &mut next, &mut by_hand);
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
    (order, answer): Ordered,
    next: &mut Option<Instant>,
    by_hand: &mut bool,
) {
    // Whoever asked may have gone meanwhile.
    let _ = answer.send(done(cleaner, order, next, by_hand));
}

fn done(
    cleaner: &Cleaner,
    order: Order,
    next: &mut Option<Instant>,
    by_hand: &mut bool,
) -> Result<String, String> {
    match order {
        Order::Run { apply } => {
            if apply && let Some(reason) = cleaner.stopped() {
                return Err(stopped_by_hand(&reason));
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
