//! The daemon's own memory, time and file descriptors, read at each scrape.
//!
//! They carry the names that every Prometheus client library gives them, so
//! that dashboards for processes work. Where `/proc` cannot be read they keep
//! their last value.

use std::fs;

use anyhow::Result;
use prometheus::{Counter, Gauge, IntGauge};

use super::make::Maker;

/// Clock ticks a second in `/proc`: the same on every Linux machine.
const TICKS: f64 = 100.0;

/// The process's own gauges.
pub(super) struct Gauges {
    resident: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    cpu: Counter,
    started: Gauge,
}

impl Gauges {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        Ok(Self {
            resident: make.gauge(
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
            )?,
            open_fds: make.gauge("process_open_fds", "Number of open file descriptors.")?,
            max_fds: make.gauge(
                "process_max_fds",
                "Maximum number of open file descriptors.",
            )?,
            cpu: make.register(Counter::new(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
            ))?,
            started: make.float(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
            )?,
        })
    }

    /// Takes new values.
    pub(super) fn read(&self) {
        if let Some(process) = read() {
            self.resident.set(process.resident);
            self.open_fds.set(process.open_fds);
            self.max_fds.set(process.max_fds);
            self.cpu.inc_by((process.cpu - self.cpu.get()).max(0.0));
            self.started.set(process.started);
        }
    }
}

/// What the kernel says of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Process {
    /// Resident memory, in bytes.
    resident: i64,
    /// Open file descriptors.
    open_fds: i64,
    /// The most that may be open.
    max_fds: i64,
    /// CPU time, in seconds.
    cpu: f64,
    /// When it was started, in seconds since 1970.
    started: f64,
}

/// Reads `/proc/self`.
fn read() -> Option<Process> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(Process {
        resident: resident(&status)?,
        open_fds: i64::try_from(open).ok()?,
        max_fds: max_fds(&limits)?,
        cpu: cpu(&stat)?,
        started: started(&stat, &machine)?,
    })
}

/// Bytes, from the line `VmRSS:     1234 kB`.
fn resident(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The soft limit, from the line `Max open files  1024  4096  files`.
fn max_fds(limits: &str) -> Option<i64> {
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(i64::MAX),
        number => number.parse().ok(),
    }
}

/// The field with this number, as `man proc` counts them. The program's name
/// is the second one and may hold anything.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let at = number.checked_sub(3)?;
    rest.split_ascii_whitespace().nth(at)?.parse().ok()
}

/// Seconds in user and kernel mode.
fn cpu(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS)
}

/// Boot time and ticks since then.
fn started(stat: &str, machine: &str) -> Option<f64> {
    let boot = machine.lines().find_map(|l| l.strip_prefix("btime "))?;
    let boot: f64 = boot.trim().parse().ok()?;
    Some(boot + field(stat, 22)? / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        assert_eq!(
            resident("Name:\tamid\nVmRSS:\t   2048 kB\n"),
            Some(2_097_152)
        );
        assert_eq!(resident("Name:\tamid\n"), None);
        let limits = "Limit  Soft  Hard  Units\nMax open files            1024                 4096                 files\n";
        assert_eq!(max_fds(limits), Some(1024));
        assert_eq!(max_fds("Max open files unlimited x files"), Some(i64::MAX));
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 0 0 0 0 0 250 50 0 0 20 0 1 0 4200 0";
        assert_eq!(cpu(stat), Some(3.0));
        assert_eq!(started(stat, "cpu 1\nbtime 1000\n"), Some(1042.0));
        assert_eq!(cpu("nonsense"), None);
    }

    #[test]
    fn this_process_has_memory_time_and_open_files() {
        let process = read().expect("/proc is there");
        assert!(process.resident > 0);
        assert!(process.open_fds > 0 && process.open_fds <= process.max_fds);
        assert!(process.started > 1e9 && process.cpu >= 0.0);
    }
}
