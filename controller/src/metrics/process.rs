//! The daemon's own memory and file descriptors, read at each scrape.
//!
//! They carry the names that every Prometheus client library gives them, so
//! that dashboards for processes work. Where `/proc` cannot be read they keep
//! their last value.

use std::fs;

/// What the kernel says of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Resident memory, in bytes.
    pub(super) resident: i64,
    /// Open file descriptors.
    pub(super) open_fds: i64,
    /// The most that may be open.
    pub(super) max_fds: i64,
}

/// Reads `/proc/self`.
pub(super) fn read() -> Option<Process> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(Process {
        resident: resident(&status)?,
        open_fds: i64::try_from(open).ok()?,
        max_fds: max_fds(&limits)?,
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
    }

    #[test]
    fn this_process_has_memory_and_open_files() {
        let process = read().expect("/proc is there");
        assert!(process.resident > 0);
        assert!(process.open_fds > 0 && process.open_fds <= process.max_fds);
    }
}
