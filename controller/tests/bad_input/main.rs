//! Bad input of every kind, through the real `amid`: a clear error each, no
//! panic, bounded memory, and a good neighbour that deploys all the same.
//!
//! Terragrunt and AWS are the test kit's stub and stand-in. Each test has a
//! world of its own, so that they run side by side.

#![allow(
    clippy::disallowed_methods,
    reason = "tests start programs and read clocks"
)]

mod git;
mod manifests;
mod output;
mod webhook;

use std::path::Path;

use amid_testkit::small::{IMAGE, Options, Small};

/// The good neighbour.
const GOOD: &str = "demo/good";

/// What `amid` may have resident at most, in bytes. An idle debug build has
/// some 50 MiB, so that anything kept whole would show: a manifest of 10 MiB
/// ten times over, 200 MiB of blob, 300 MiB of line, 1 GiB of output.
const MEMORY: u64 = 160 << 20;

fn options() -> Options {
    Options::of(Path::new(env!("CARGO_BIN_EXE_amid")))
}

/// The files of the good neighbour.
fn good() -> Vec<(String, Vec<u8>)> {
    Small::app_files(GOOD, IMAGE)
}

/// What has to be true at the end of every test: the neighbour is deployed,
/// nothing panicked, memory stayed bounded.
fn all_is_well(small: &mut Small) {
    small.until_deployed(GOOD, IMAGE).unwrap();
    small.still_well().unwrap();
    let peak = small.peak_memory().unwrap();
    assert!(peak < MEMORY, "amid had {} MiB resident", peak >> 20);
}
