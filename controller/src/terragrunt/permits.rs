//! How many children may run at once, and who goes first.
//!
//! A provider takes some 620 MB, so the number follows from the memory that
//! the machine, or the control group, has left when the daemon starts. When
//! all permits are out, give-ups go before rolls: taking a bad release away
//! must not wait behind other apps' deployments.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The order in which waiting runs are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Rollbacks and give-ups: first.
    GiveUp,
    /// Everything else, in the order of asking.
    #[default]
    Roll,
}

#[derive(Debug, Default)]
struct Queues {
    free: usize,
    give_ups: VecDeque<oneshot::Sender<Permit>>,
    rolls: VecDeque<oneshot::Sender<Permit>>,
}

/// The permits of one runner.
#[derive(Debug, Clone)]
pub struct Permits {
    queues: Arc<Mutex<Queues>>,
}

/// The right to run one child; dropping it passes it on.
#[derive(Debug)]
pub struct Permit {
    /// `None` only while the permit is being dropped.
    home: Option<Permits>,
}

impl Permits {
    /// Permits for `count` children at once (at least one).
    pub fn new(count: usize) -> Self {
        let queues = Queues {
            free: count.max(1),
            ..Queues::default()
        };
        Self {
            queues: Arc::new(Mutex::new(queues)),
        }
    }

    /// Waits for a permit. Dropping the future gives the place up.
    pub async fn acquire(&self, priority: Priority) -> Permit {
        loop {
            let turn = {
                let mut queues = self.lock();
                if queues.free > 0 {
                    queues.free -= 1;
                    return self.permit();
                }
                let (sender, turn) = oneshot::channel();
                match priority {
                    Priority::GiveUp => queues.give_ups.push_back(sender),
                    Priority::Roll => queues.rolls.push_back(sender),
                }
                turn
            };
            if let Ok(permit) = turn.await {
                return permit;
            }
        }
    }

    /// How many wait for a permit.
    pub fn waiting(&self) -> usize {
        let queues = self.lock();
        let mut all = queues.give_ups.iter().chain(&queues.rolls);
        all.by_ref().filter(|one| !one.is_closed()).count()
    }

    fn permit(&self) -> Permit {
        Permit {
            home: Some(self.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self) {
        loop {
            let next = {
                let mut queues = self.lock();
                let next = queues.give_ups.pop_front();
                let next = next.or_else(|| queues.rolls.pop_front());
                if next.is_none() {
                    queues.free += 1;
                }
                next
            };
            let Some(waiting) = next else { return };
            match waiting.send(self.permit()) {
                Ok(()) => return,
                // The one who waited is gone: defuse the permit, ask the next.
                Err(mut unclaimed) => unclaimed.home = None,
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.give_back();
        }
    }
}

/// How many children fit: memory divided by `per_run` bytes, at least one, at
/// most two for each core.
pub(super) fn count_for(memory: Option<u64>, per_run: u64, cores: usize) -> usize {
    let fit = memory.map_or(1, |bytes| bytes / per_run.max(1));
    usize::try_from(fit)
        .unwrap_or(usize::MAX)
        .clamp(1, cores.max(1) * 2)
}

/// Memory that children may take now, in bytes: the least of what the machine
/// has left and what the control groups around this process allow.
pub(super) fn memory_available() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = meminfo.lines().find_map(|line| {
        let kib: u64 = line
            .strip_prefix("MemAvailable:")?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()?;
        Some(kib * 1024)
    });
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_left(Path::new("/sys/fs/cgroup"), &groups);
    [machine, group].into_iter().flatten().min()
}

/// The tightest limit on the way from a process's control group to the root,
/// less what is used there. `None` without any limit.
fn group_left(root: &Path, groups: &str) -> Option<u64> {
    let mut left = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next()?, parts.next()?);
        let (base, limit, used) = match controllers {
            "" => (root.to_path_buf(), "memory.max", "memory.current"),
            "memory" => (
                root.join("memory"),
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            ),
            _ => continue,
        };
        let mut dir: PathBuf = base.join(path.trim_start_matches('/'));
        while dir.starts_with(&base) {
            // "max", or a number near 2^63, stands for no limit.
            let number = |name: &str| {
                fs::read_to_string(dir.join(name))
                    .ok()?
                    .trim()
                    .parse::<u64>()
                    .ok()
            };
            if let Some(limit) = number(limit).filter(|limit| *limit < 1 << 60) {
                let rest = limit.saturating_sub(number(used).unwrap_or(0));
                left = Some(left.map_or(rest, |least: u64| least.min(rest)));
            }
            if !dir.pop() {
                break;
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn give_ups_go_before_rolls_that_asked_earlier() {
        let permits = Permits::new(1);
        let held = permits.acquire(Priority::Roll).await;
        let (order, orders) = mpsc::channel();
        let mut tasks = Vec::new();
        for (name, priority) in [
            ("roll 1", Priority::Roll),
            ("roll 2", Priority::Roll),
            ("give-up", Priority::GiveUp),
        ] {
            let (permits, order) = (permits.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let _permit = permits.acquire(priority).await;
                order.send(name).expect("send");
            }));
            // One thread: after the yield the task stands in its queue.
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in tasks {
            task.await.expect("task");
        }
        assert_eq!(
            orders.try_iter().collect::<Vec<_>>(),
            ["give-up", "roll 1", "roll 2"]
        );
    }

    #[tokio::test]
    async fn one_who_stopped_waiting_takes_no_permit_along() {
        let permits = Permits::new(1);
        let held = permits.acquire(Priority::Roll).await;
        let waiting = tokio::spawn({
            let permits = permits.clone();
            async move { permits.acquire(Priority::GiveUp).await }
        });
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(waiting.await.is_err());
        drop(held);
        let _free = permits.acquire(Priority::Roll).await;
        assert_eq!(permits.lock().free, 0);
    }

    #[tokio::test]
    async fn a_permit_that_was_sent_but_never_taken_comes_back() {
        let permits = Permits::new(1);
        let held = permits.acquire(Priority::Roll).await;
        let mut waiting = Box::pin(permits.acquire(Priority::Roll));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(held);
        drop(waiting);
        assert_eq!(permits.lock().free, 1);
    }

    #[test]
    fn the_count_follows_memory_and_cores() {
        let gib = 1 << 30;
        assert_eq!(count_for(Some(4 * gib), 700 << 20, 8), 5);
        assert_eq!(count_for(Some(64 * gib), 700 << 20, 2), 4);
        assert_eq!(count_for(Some(0), 700 << 20, 2), 1);
        assert_eq!(count_for(None, 0, 0), 1);
    }

    #[test]
    fn the_tightest_group_on_the_way_up_counts() {
        let root = tempfile::tempdir().expect("temp dir");
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).expect("dirs");
        let write =
            |dir: &Path, name: &str, text: &str| fs::write(dir.join(name), text).expect("write");
        write(&inner, "memory.max", "max\n");
        write(&root.path().join("a"), "memory.max", "1000\n");
        write(&root.path().join("a"), "memory.current", "400\n");
        assert_eq!(group_left(root.path(), "0::/a/b\n"), Some(600));
        assert_eq!(group_left(root.path(), "0::/\n"), None);
        assert_eq!(group_left(root.path(), "nonsense\n3:cpu:/a"), None);
    }
}
