//! Drives the decision through random worlds and holds it to the laws.
//!
//! A failing seed is printed with what happened last. It is replayed with
//! `AMID_SEED=… cargo test -p amid-core --test worlds -- --nocapture`.
//! `AMID_WORLDS` says how many worlds are made, 100,000 without it.

#![allow(missing_docs, clippy::cast_possible_truncation)]

mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use amid_core::decide::{Phase, Plan};
use amid_core::manifest::OnFailure;
use amid_core::reason::Reason;

use world::World;
use world::aws::Quality;
use world::mistake::Mistake;

/// Turns with faults, at most.
const STORMY: u32 = 60;
/// Turns without faults within which an app comes to rest.
const CALM: u32 = 160;
/// Applies that these turns may take.
const APPLIES: u32 = 24;
/// Turns that it has to stay so.
const REST: u32 = 6;

/// One world from its beginning to its end. Says what went wrong in it.
fn live(seed: u64, mistake: Mistake, log: bool) -> Result<(), (String, Vec<String>)> {
    let mut world = World::new(seed, mistake, log);
    let result = run(&mut world);
    result.map_err(|law| (law, world.log.take().unwrap_or_default()))
}

fn run(world: &mut World) -> Result<(), String> {
    let turns = world.rng.within(4, STORMY);
    for _ in 0..turns {
        let plan = world.turn();
        check(world)?;
        if world.rng.chance(20) {
            world.person(&plan);
        }
    }
    world.calm_down();
    let (applies, mut rest) = (world.laws.applies, 0);
    let mut last = None;
    for _ in 0..CALM {
        let plan = world.turn();
        check(world)?;
        if world.laws.applies > applies + APPLIES {
            return Err("it never comes to rest, though nothing fails".to_owned());
        }
        world.person(&plan);
        rest = if is_at_rest(&plan, world) {
            rest + 1
        } else {
            0
        };
        if rest == REST {
            return Ok(());
        }
        last = plan.reason().map(ToString::to_string);
    }
    Err(format!("it does not come to rest: {last:?}"))
}

fn check(world: &mut World) -> Result<(), String> {
    world.laws.broken.take().map_or(Ok(()), Err)
}

/// Whether the app is where it has to be in the end.
fn is_at_rest(plan: &Plan, world: &World) -> bool {
    if !plan.steps.is_empty() {
        return false;
    }
    let as_desired = plan.phase == Phase::Steady
        && plan.held.is_empty()
        && matches!(plan.state, Some(Reason::AsDesired { .. }));
    let has = |is: fn(&Reason) -> bool| plan.held.iter().any(is);
    match world.quality() {
        Quality::Good => as_desired,
        Quality::Flapping if as_desired => true,
        _ => {
            // What git asks for is bad, and git stays there.
            let reverts = world.manifest.on_failure == OnFailure::Revert;
            let first = has(|r| matches!(r, Reason::FirstReleaseFailed { .. }));
            let failed = has(|r| matches!(r, Reason::ReleaseFailed { .. }));
            let nothing = has(|r| matches!(r, Reason::NothingToRevertTo));
            let waits = world.manifest.min_size == 0
                || matches!(plan.state, Some(Reason::WaitSteady { .. }));
            first || (failed && (!reverts || nothing)) || (waits && plan.phase == Phase::Steady)
        }
    }
}

/// The first of `seeds` in which something goes wrong.
fn first_failure(seeds: std::ops::Range<u64>, mistake: Mistake) -> Option<u64> {
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
                    if live(seed, mistake, false).is_err() {
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
                "world {seed}: {law}\n{}\n\nReplay it with\n  AMID_SEED={seed} cargo test -p amid-core --test worlds -- --nocapture",
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
fn the_laws_hold_in_every_world() {
    if let Some(seed) = number("AMID_SEED") {
        let told = told(seed, Mistake::None, 1000);
        println!("{told}");
        assert!(told.ends_with("is fine"));
        return;
    }
    let worlds = number("AMID_WORLDS").unwrap_or(100_000);
    if let Some(seed) = first_failure(0..worlds, Mistake::None) {
        panic!("{}", told(seed, Mistake::None, 30));
    }
}

#[test]
fn planted_mistakes_are_caught() {
    for mistake in Mistake::ALL {
        let caught = first_failure(0..5_000, *mistake);
        let Some(seed) = caught else {
            panic!("{mistake:?} breaks no law in 5,000 worlds");
        };
        let told = told(seed, *mistake, 0);
        println!("{mistake:?}: {}", told.lines().next().unwrap_or_default());
    }
}
