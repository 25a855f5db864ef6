//! SIGKILL at any instant loses nothing: the next start converges.
//!
//! The real `amid run` is killed at every named point of [`amid::fault`], in the middle of applies, alone and
//! with everything that it started, and is started again. Then the laws of ARCHITECTURE.md are checked by
//! asking the cloud, terraform's state and git. These tests take minutes and need a build with the feature
//! `faults`: run them by `make test-crash`.

#![allow(
    clippy::disallowed_methods,
    reason = "tests start programs and read clocks"
)]
#![cfg(feature = "faults")]

#[path = "crash/cleanup.rs"]
mod cleanup;
#[path = "cleanup/emulated.rs"]
mod cleanup_emulated;
#[path = "cleanup/world.rs"]
mod cleanup_world;
#[path = "crash/floor.rs"]
mod floor;
#[path = "crash/laws.rs"]
mod laws;
#[path = "crash/lives.rs"]
mod lives;
#[path = "crash/middle.rs"]
mod middle;
#[path = "crash/points.rs"]
mod points;
#[path = "crash/real.rs"]
mod real;
#[path = "crash/rig.rs"]
mod rig;
