//! The benchmarks behind `make bench`: what is measured, and against which bar.
//!
//! Each measures an optimised `amid` as a child process and from the outside: by its socket, by the process
//! table, by AWS's answers. A bar that is missed is said and is no failure: a figure is to be read, not to be
//! made pass on one machine. What they need beyond the stub is found by [`crate::world::tools`].

mod cleaners;
mod cleanup;
pub mod fleet;
mod page;
mod real;
pub mod report;
mod scrape;
mod seen;

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};

use self::report::Row;

/// One benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bench {
    /// A push to a local repository until its commit is accepted.
    Push,
    /// A webhook until the commit is accepted.
    Webhook,
    /// A sweep of 1,000 apps that finds nothing to do.
    Sweep,
    /// A scrape of the metrics of 1,000 apps.
    Metrics,
    /// The start of the process until it is ready, with 100 apps.
    Start,
    /// A push until the new group exists, against terragrunt by hand.
    Group,
    /// The time of a whole roll in which nothing was done or waited for.
    Roll,
    /// The page's data, and those who watch it.
    Page,
    /// Clean-up's decision on a large account, git's part of it, and the requests of a run.
    Cleanup,
    /// Which needed images other cleaners would delete.
    Cleaners,
}

impl Bench {
    /// All of them.
    pub const ALL: [Bench; 10] = [
        Bench::Push,
        Bench::Webhook,
        Bench::Sweep,
        Bench::Metrics,
        Bench::Start,
        Bench::Group,
        Bench::Roll,
        Bench::Page,
        Bench::Cleanup,
        Bench::Cleaners,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Bench::Push => "push",
            Bench::Webhook => "webhook",
            Bench::Sweep => "sweep",
            Bench::Metrics => "metrics",
            Bench::Start => "start",
            Bench::Group => "group",
            Bench::Roll => "roll",
            Bench::Page => "page",
            Bench::Cleanup => "cleanup",
            Bench::Cleaners => "cleaners",
        }
    }

    /// The benchmark of this name.
    pub fn find(name: &str) -> Result<Bench> {
        let found = Bench::ALL.into_iter().find(|bench| bench.name() == name);
        let Some(found) = found else {
            let names = Bench::ALL.map(Bench::name).join(", ");
            bail!("There is no benchmark `{name}`; there are {names}")
        };
        Ok(found)
    }
}

/// Programs of other crates that measure what cannot be seen from outside of a daemon.
#[derive(Debug, Clone)]
pub struct Examples {
    /// Clean-up's decision, by `amid-core`.
    pub decision: PathBuf,
    /// The revert window, by `amid`'s own reading of git.
    pub history: PathBuf,
}

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Scale {
    /// The `amid` that is measured.
    pub amid: PathBuf,
    /// The examples that measure parts of clean-up.
    pub cleanup: Examples,
    /// Whether it is only to be seen that the benchmarks work.
    pub is_quick: bool,
    /// Images of the account that clean-up's requests are counted on.
    pub images: usize,
    /// Pushes that are timed.
    pub pushes: usize,
    /// Webhooks that are timed.
    pub webhooks: usize,
    /// Apps of the large fleet.
    pub apps: usize,
    /// Sweeps of it that are timed.
    pub sweeps: u64,
    /// Scrapes of it that are timed.
    pub scrapes: usize,
    /// Starts that are timed, and again as many with an empty state directory.
    pub starts: usize,
    /// Rolls with the real tools, and as many applies by hand.
    pub rolls: usize,
    /// Times that the page is asked for.
    pub pages: usize,
    /// How long the page is watched.
    pub watch: Duration,
}

impl Scale {
    /// What RESULTS.md shows.
    pub fn full(amid: PathBuf, cleanup: Examples) -> Scale {
        Scale {
            amid,
            cleanup,
            is_quick: false,
            images: 10_000,
            pushes: 200,
            webhooks: 100,
            apps: 1_000,
            sweeps: 12,
            scrapes: 200,
            starts: 10,
            rolls: 3,
            pages: 50,
            watch: Duration::from_secs(30),
        }
    }

    /// As little as shows that the benchmarks work.
    pub fn quick(amid: PathBuf, cleanup: Examples) -> Scale {
        Scale {
            amid,
            cleanup,
            is_quick: true,
            images: 500,
            pushes: 5,
            webhooks: 3,
            apps: 120,
            sweeps: 3,
            scrapes: 20,
            starts: 2,
            rolls: 1,
            pages: 5,
            watch: Duration::from_secs(5),
        }
    }
}

/// Measures; the rows come in the order of the table.
pub async fn measure(bench: &[Bench], scale: &Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for one in bench {
        let scale = scale.clone();
        let one = *one;
        match one {
            Bench::Group | Bench::Roll => continue,
            Bench::Push
            | Bench::Webhook
            | Bench::Sweep
            | Bench::Metrics
            | Bench::Start
            | Bench::Page
            | Bench::Cleanup
            | Bench::Cleaners => {}
        }
        eprintln!("measuring: {}", one.name());
        // The small worlds are blocking code.
        let measured = tokio::task::spawn_blocking(move || match one {
            Bench::Push => seen::push(&scale),
            Bench::Webhook => seen::webhook(&scale),
            Bench::Sweep => fleet::sweep(&scale),
            Bench::Page => page::measure(&scale),
            Bench::Cleanup => cleanup::measure(&scale),
            Bench::Cleaners => cleaners::compare(&scale),
            Bench::Metrics => scrape::metrics(&scale),
            _ => fleet::start(&scale),
        });
        rows.extend(measured.await??);
    }
    let (group, roll) = (bench.contains(&Bench::Group), bench.contains(&Bench::Roll));
    if group || roll {
        rows.extend(real::measure(scale, group, roll).await?);
    }
    Ok(rows)
}

/// In milliseconds, for a table.
fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
