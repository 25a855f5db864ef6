//! Lets the cleaner loose on random accounts and holds it to the laws: no
//! image that the model needs is ever taken past a stage, and with faults
//! gone everything that nothing needs is gone in the end.
//!
//! A failing seed is printed with what happened last. It is replayed with
//! `AMID_SEED=… cargo test -p amid-core --test estates -- --nocapture`.
//! `AMID_WORLDS` says how many worlds are made, 20,000 without it;
//! `AMID_FIRST` with which seed they begin.

#![allow(missing_docs, clippy::cast_possible_truncation)]

mod estate;

use std::sync::atomic::{AtomicU64, Ordering};

use estate::World;
use estate::faults::Mistake;

/// Turns with faults, at most.
const STORMY: u32 = 24;

/// One world from its beginning to its end. Says what went wrong in it.
fn live(seed: u64, mistake: Mistake, log: bool) -> Result<(), (String, Vec<String>)> {
    let mut world = World::new(seed, mistake, log);
    let result = run(&mut world);
    result.map_err(|law| (law, world.log.take().unwrap_or_default()))
}

fn run(world: &mut World) -> Result<(), String> {
    for _ in 0..world.rng.within(4, STORMY) {
        world.turn();
        if let Some(broken) = world.broken.take() {
            return Err(broken);
        }
    }
    world.rest()
}

/// The first of `seeds` in which a law is broken that `counts`.
fn first_failure(
    seeds: std::ops::Range<u64>,
    mistake: Mistake,
    counts: fn(&str) -> bool,
) -> Option<u64> {
    let next = AtomicU64::new(seeds.start);
    let found = AtomicU64::new(u64::MAX);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end.min(found.load(Ordering::Relaxed)) {
                        return;
                    }
                    if live(seed, mistake, false).is_err_and(|(law, _)| counts(&law)) {
                        found.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let found = found.into_inner();
    (found < u64::MAX).then_some(found)
}

fn told(seed: u64, mistake: Mistake, lines: usize) -> String {
    match live(seed, mistake, true) {
        Ok(()) => format!("world {seed} is fine"),
        Err((law, log)) => {
            let from = log.len().saturating_sub(lines);
            format!(
                "world {seed}: {law}\n{}\n\nReplay it with\n  AMID_SEED={seed} cargo test -p amid-core --test estates -- --nocapture",
                log[from..].join("\n")
            )
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the seed and the number of worlds of one run"
)]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.replace('_', "").parse().ok()
}

#[test]
fn nothing_needed_is_taken_and_nothing_else_stays() {
    if let Some(seed) = number("AMID_SEED") {
        let told = told(seed, Mistake::None, 1000);
        println!("{told}");
        assert!(told.ends_with("is fine"));
        return;
    }
    let first = number("AMID_FIRST").unwrap_or(0);
    let worlds = number("AMID_WORLDS").unwrap_or(20_000);
    if let Some(seed) = first_failure(first..first + worlds, Mistake::None, |_| true) {
        panic!("{}", told(seed, Mistake::None, 60));
    }
}

#[test]
fn a_forgotten_source_is_caught() {
    for mistake in Mistake::all() {
        let caught = first_failure(0..20_000, mistake, |law| law.contains("needed and goes on"));
        let Some(seed) = caught else {
            panic!("{mistake:?} breaks no law in 20,000 worlds");
        };
        let told = told(seed, mistake, 0);
        println!("{mistake:?}: {}", told.lines().next().unwrap_or_default());
    }
}
