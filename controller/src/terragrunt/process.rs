//! Facts about processes on this machine, read from `/proc`.
//!
//! A process is known by its id, its start time and the boot it belongs to,
//! because ids are used again. Every child also carries a tag in its
//! environment, which terraform inherits: so a terraform whose terragrunt is
//! gone is still found. Nothing here needs rights beyond those of the user.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The environment variable that marks the processes of a run.
pub(super) const TAG: &str = "AMID_RUN";

/// A process that carries a run's tag.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tagged {
    pub pid: u32,
    /// The file name of the program (for a script, of the script).
    pub program: String,
}

/// The id of the current boot; empty where the kernel does not tell.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// When the machine was started.
pub(super) fn boot_time() -> Option<Timestamp> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Timestamp::from_second(line.trim().parse().ok()?).ok()
}

/// The machine's name, as terraform writes it into locks.
pub(super) fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The start time of a living process in clock ticks since boot. A zombie is
/// not living.
pub(super) fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat_fields(&stat)?;
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// How long a living process is there already; the longest time where the
/// kernel does not tell.
pub(super) fn age(pid: u32) -> Duration {
    let known = || {
        let text = fs::read_to_string("/proc/uptime").ok()?;
        let uptime = text.split_ascii_whitespace().next()?.parse().ok()?;
        let uptime = Duration::try_from_secs_f64(uptime).ok()?;
        // Linux counts in hundredths of a second here, on every machine.
        let started = Duration::from_millis(start_ticks(pid)?.saturating_mul(10));
        Some(uptime.saturating_sub(started))
    };
    known().unwrap_or(Duration::MAX)
}

/// The fields after the program's name, which may itself hold anything.
fn stat_fields(stat: &str) -> Option<Vec<&str>> {
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_ascii_whitespace().collect())
}

/// All process ids of the machine.
fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The living processes that carry `tag`, oldest first.
pub(super) fn tagged(tag: &str) -> Vec<Tagged> {
    let wanted = format!("{TAG}={tag}");
    let mut found: Vec<(u64, Tagged)> = Vec::new();
    for pid in pids() {
        // The tag first: most processes are not ours and end here.
        let environment = read(&format!("/proc/{pid}/environ"));
        if !environment
            .split(|byte| *byte == 0)
            .any(|var| var == wanted.as_bytes())
        {
            continue;
        }
        if let Some(ticks) = start_ticks(pid) {
            found.push((
                ticks,
                Tagged {
                    pid,
                    program: program(pid),
                },
            ));
        }
    }
    found.sort_unstable_by_key(|(ticks, process)| (*ticks, process.pid));
    found.into_iter().map(|(_, process)| process).collect()
}

/// Living processes of the whole machine whose program has one of `names` and
/// that carry no tag of any run, with the time of their start.
pub(super) fn untagged(names: &[&str]) -> Vec<(u32, Option<Timestamp>)> {
    let boot = boot_time();
    pids()
        .into_iter()
        .filter(|pid| names.contains(&program(*pid).as_str()))
        .filter(|pid| {
            let environment = read(&format!("/proc/{pid}/environ"));
            let mark = format!("{TAG}=");
            !environment
                .split(|byte| *byte == 0)
                .any(|var| var.starts_with(mark.as_bytes()))
        })
        .filter_map(|pid| {
            // Linux counts in hundredths of a second here, on every machine.
            let since_boot = SignedDuration::from_millis(
                i64::try_from(start_ticks(pid)?).ok()?.checked_mul(10)?,
            );
            Some((pid, boot.and_then(|boot| boot.checked_add(since_boot).ok())))
        })
        .collect()
}

/// A script runs as `/bin/sh /path/script …`, so a shell's first argument
/// counts as the program.
fn program(pid: u32) -> String {
    let line = read(&format!("/proc/{pid}/cmdline"));
    let mut words = line
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned());
    let base = |word: String| {
        Path::new(&word)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let first = words.next().map(base).unwrap_or_default();
    match first.as_str() {
        "sh" | "bash" | "dash" => words.next().map(base).unwrap_or(first),
        _ => first,
    }
}

fn read(path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(4 * 1024 * 1024).read_to_end(&mut bytes);
    }
    bytes
}

/// Resident memory of all processes of a group together, in bytes.
pub(super) fn group_memory(group: u32) -> u64 {
    let mut total = 0;
    for pid in pids() {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let in_group = stat_fields(&stat)
            .and_then(|fields| fields.get(2)?.parse::<u32>().ok())
            .is_some_and(|found| found == group);
        if in_group {
            total += status(pid).get("VmRSS").copied().unwrap_or(0);
        }
    }
    total
}

/// The sizes in `/proc/PID/status`, in bytes.
fn status(pid: u32) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let kib: u64 = value.trim().strip_suffix(" kB")?.trim().parse().ok()?;
            Some((name.to_owned(), kib * 1024))
        })
        .collect()
}

/// Kills the group that `leader` leads. Harmless when it is gone.
pub(super) fn kill_group(leader: u32) {
    let Some(pid) = pid(leader) else { return };
    if kill_process_group(pid, Signal::KILL).is_err() {
        // Before `setsid` ran, the child is in our group and must go alone.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Kills one process.
pub(super) fn kill(process: u32) {
    if let Some(pid) = pid(process) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Asks one process to stop, as Ctrl-C does. False when it is gone.
pub(super) fn interrupt(process: u32) -> bool {
    pid(process).is_some_and(|pid| kill_process(pid, Signal::INT).is_ok())
}

fn pid(raw: u32) -> Option<Pid> {
    i32::try_from(raw).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_an_impossible_one_does_not() {
        assert!(start_ticks(std::process::id()).is_some());
        assert!(start_ticks(u32::MAX).is_none());
        assert!(group_memory(0) == 0 || boot_time().is_some());
    }

    #[test]
    fn a_program_name_with_brackets_and_spaces_is_read() {
        let stat = "12 (a) b (c)) S 1 7 12 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0";
        let fields = stat_fields(stat).expect("fields");
        assert_eq!((fields[2], fields[19]), ("7", "4242"));
    }
}
