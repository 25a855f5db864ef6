//! What runs on this machine on behalf of the world, read from /proc.
//!
//! The children of `amid` live in sessions of their own and outlive it, so the only way to find them again is
//! by what they are: their command line or working directory lies below the world's folder. [`Runs`] looks at
//! them ten times a second and remembers every terragrunt run, which is how scenes know, without asking
//! `amid`, that none was started, that one survived, or that never two applies ran at once. A run shorter than
//! a tenth of a second may be missed; terragrunt needs several.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinHandle;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One process, told apart from a later one with the same id by when it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
    /// Its command line.
    pub args: Vec<String>,
    /// Its working directory; none where it may not be read.
    pub folder: Option<PathBuf>,
}

impl Process {
    /// Whether the command line or the working directory lies below `folder`.
    pub fn belongs_to(&self, folder: &Path) -> bool {
        let in_folder = self
            .folder
            .as_ref()
            .is_some_and(|own| own.starts_with(folder));
        let text = folder.to_string_lossy();
        in_folder || self.args.iter().any(|arg| arg.contains(text.as_ref()))
    }

    /// Whether the very same process still runs; one that ended and was not waited for does not.
    pub fn alive(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && !stat.ended)
    }

    /// The program's name without its folder.
    pub fn program(&self) -> &str {
        name(&self.args)
    }

    /// Sends SIGKILL, if it is still the same process.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends a signal, if it is still the same process.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid)
            && self.alive()
        {
            // It may end between the look and the signal, which is what was wanted.
            let _ = kill_process(pid, signal);
        }
    }
}

struct Stat {
    parent: i32,
    started: u64,
    ended: bool,
}

/// Reads `/proc/PID/stat`; the name in parentheses may hold anything, so fields are counted behind it.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    Some(Stat {
        ended: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// One process by its id, none where it ended.
pub fn process(pid: i32) -> Option<Process> {
    with_args(pid, args(pid)?)
}

fn with_args(pid: i32, args: Vec<String>) -> Option<Process> {
    let stat = stat(pid).filter(|stat| !stat.ended)?;
    Some(Process {
        pid,
        parent: stat.parent,
        started: stat.started,
        args,
        folder: fs::read_link(format!("/proc/{pid}/cwd")).ok(),
    })
}

fn args(pid: i32) -> Option<Vec<String>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let args = line
        .split(|byte| *byte == 0)
        .filter(|arg| !arg.is_empty())
        .map(|arg| String::from_utf8_lossy(arg).into_owned());
    Some(args.collect())
}

/// The name of a program without its folder.
fn name(args: &[String]) -> &str {
    let first = args.first().map_or("", String::as_str);
    first.rsplit('/').next().unwrap_or(first)
}

/// The ids of all processes but this one.
fn pids() -> Vec<i32> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| u32::try_from(*pid) != Ok(own))
        .collect()
}

/// Every process that belongs to `folder`, except this one.
pub fn below(folder: &Path) -> Vec<Process> {
    let all = pids().into_iter().filter_map(process);
    all.filter(|process| process.belongs_to(folder)).collect()
}

/// Every terragrunt that belongs to `folder`. Asked ten times a second, so it reads no more than it has to.
fn terragrunts(folder: &Path) -> Vec<Process> {
    let all = pids().into_iter().filter_map(|pid| {
        let args = args(pid).filter(|args| name(args).starts_with("terragrunt"))?;
        with_args(pid, args)
    });
    all.filter(|process| process.belongs_to(folder)).collect()
}

/// Kills whatever belongs to `folder` until nothing does, for at most five seconds.
pub fn end_all_below(folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let left = below(folder);
        if left.is_empty() || Instant::now() > deadline {
            return;
        }
        left.iter().for_each(Process::kill);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One run of terragrunt, as seen from outside.
#[derive(Debug, Clone)]
pub struct Run {
    /// The terragrunt process.
    pub process: Process,
    /// `plan`, `apply`, `show`, `output`, …; empty for one that is none of terraform's commands.
    pub verb: String,
    /// When it was seen first.
    pub began: Instant,
    /// When it was found gone.
    pub ended: Option<Instant>,
}

/// Watches the terragrunt runs below a folder until dropped.
#[derive(Debug)]
pub struct Runs {
    seen: Arc<Mutex<BTreeMap<(i32, u64), Run>>>,
    task: JoinHandle<()>,
}

impl Runs {
    /// Starts to watch.
    pub fn watch(folder: &Path) -> Runs {
        let seen = Arc::default();
        let task = tokio::spawn(keep_looking(folder.to_owned(), Arc::clone(&seen)));
        Runs { seen, task }
    }

    /// Every run since the start, oldest first.
    pub fn all(&self) -> Vec<Run> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut runs: Vec<Run> = seen.values().cloned().collect();
        runs.sort_by_key(|run| run.began);
        runs
    }

    /// The runs that began after this moment, oldest first.
    pub fn since(&self, moment: Instant) -> Vec<Run> {
        let mut runs = self.all();
        runs.retain(|run| run.began >= moment);
        runs
    }

    /// The apply that runs right now, if one does.
    pub fn applying(&self) -> Option<Run> {
        self.all()
            .into_iter()
            .find(|run| run.verb == "apply" && run.ended.is_none() && run.process.alive())
    }

    /// Two applies that ran at once at some moment, in words; none where there never were.
    pub fn overlap(&self) -> Option<String> {
        let applies: Vec<Run> = self
            .all()
            .into_iter()
            .filter(|run| run.verb == "apply")
            .collect();
        let pair = applies.windows(2).find(|pair| {
            let ended = pair[0].ended;
            ended.is_none_or(|ended| ended > pair[1].began)
        })?;
        Some(format!("{:?} and {:?}", pair[0], pair[1]))
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_looking(folder: PathBuf, seen: Arc<Mutex<BTreeMap<(i32, u64), Run>>>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        let mut running = terragrunts(&folder);
        // A child of terragrunt is terragrunt by name until it has become terraform.
        let pids: BTreeSet<i32> = running.iter().map(|process| process.pid).collect();
        running.retain(|process| !pids.contains(&process.parent));
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for run in seen.values_mut().filter(|run| run.ended.is_none()) {
            if !running.iter().any(|process| {
                process.pid == run.process.pid && process.started == run.process.started
            }) {
                run.ended = Some(now);
            }
        }
        for process in running {
            let verb = verb(&process.args).unwrap_or_default();
            let run = seen
                .entry((process.pid, process.started))
                .or_insert_with(|| Run {
                    process: process.clone(),
                    verb: String::new(),
                    began: now,
                    ended: None,
                });
            run.verb = verb;
        }
    }
}

/// The terraform command in a terragrunt command line, whatever flags stand around it.
fn verb(args: &[String]) -> Option<String> {
    const VERBS: [&str; 10] = [
        "apply",
        "plan",
        "show",
        "output",
        "init",
        "validate",
        "import",
        "state",
        "force-unlock",
        "destroy",
    ];
    args.iter()
        .skip(1)
        .find(|arg| VERBS.contains(&arg.as_str()))
        .cloned()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_found_by_its_working_directory_and_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("cat")
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // What it was given comes back only when it is itself: a child has its
        // parent's name until its exec is done.
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"x").unwrap();
        let mut back = [0];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut back)
            .unwrap();
        let found = below(folder.path());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].program(), "cat");
        assert_eq!(u32::try_from(found[0].pid), Ok(child.id()));

        end_all_below(folder.path());
        assert!(
            !found[0].alive(),
            "a dead child that nobody waited for is dead"
        );
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn the_command_is_found_among_terragrunts_flags() {
        let line = "terragrunt run --working-dir /x --non-interactive -- plan -input=false -out=/y";
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        assert_eq!(verb(&args).as_deref(), Some("plan"));
        assert_eq!(verb(&args[..2]), None);
    }
}
