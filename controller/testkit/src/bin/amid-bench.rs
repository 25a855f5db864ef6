//! Measures an optimised `amid` against its bars and writes bench/RESULTS.md; see [`amid_testkit::bench`].
//!
//! `amid-bench` measures everything, `amid-bench push sweep` only these two. A missed bar is printed and is no
//! failure; only a benchmark that could not be measured is one.

#![allow(
    clippy::disallowed_methods,
    reason = "a tool for tests: it starts programs and reads clocks and the environment"
)]

use std::{path::PathBuf, process::ExitCode};

use amid_testkit::bench::{self, Bench, Examples, Scale, report};
use anyhow::{Context, Result, ensure};
use clap::Parser;

/// Measure amid against its bars.
#[derive(Debug, Parser)]
struct Args {
    /// push, webhook, sweep, metrics, start, group, roll, page, cleanup, cleaners; all without any
    names: Vec<String>,
    /// Only a few samples of each, to see that the benchmarks work; nothing is written
    #[arg(long)]
    quick: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(args: Args) -> Result<()> {
    let mut wanted = Vec::new();
    for name in &args.names {
        wanted.push(Bench::find(name)?);
    }
    if wanted.is_empty() {
        wanted = Bench::ALL.to_vec();
    }
    let cleanup = Examples {
        decision: beside("examples/retention_bench")?,
        history: beside("examples/history_bench")?,
    };
    let amid = amid()?;
    let scale = if args.quick {
        Scale::quick(amid, cleanup)
    } else {
        Scale::full(amid, cleanup)
    };
    let path = PathBuf::from("bench/RESULTS.md");
    let order = Bench::ALL.map(Bench::name);
    let mut rows = Vec::new();
    // One that cannot be measured costs none of the others its figures.
    let mut broken = None;
    for part in parts(&wanted) {
        match bench::measure(&part, &scale).await {
            Ok(measured) => {
                if !args.quick {
                    report::write(&path, &measured, &order)?;
                }
                rows.extend(measured);
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                broken = Some(error);
            }
        }
    }
    println!("{}", report::table(&rows));
    let missed = rows.iter().filter(|row| row.met() == Some(false)).count();
    println!("bars missed: {missed}");
    match broken {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// What is measured together: the two that need the real tools share one world.
fn parts(wanted: &[Bench]) -> Vec<Vec<Bench>> {
    let is_real = |bench: &Bench| matches!(bench, Bench::Group | Bench::Roll);
    let (real, small): (Vec<Bench>, Vec<Bench>) = wanted.iter().partition(|bench| is_real(bench));
    let mut parts: Vec<Vec<Bench>> = small.into_iter().map(|bench| vec![bench]).collect();
    if !real.is_empty() {
        parts.push(real);
    }
    parts
}

/// A program that was built with this one.
fn beside(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe().context("Failed to learn where this program lies")?;
    Ok(this.with_file_name(name))
}

fn amid() -> Result<PathBuf> {
    let amid = std::env::var_os("AMID_BIN").map_or(beside("amid")?, PathBuf::from);
    ensure!(
        amid.is_file(),
        "There is no amid at {}: run `make bench`, which builds it",
        amid.display()
    );
    Ok(amid)
}
