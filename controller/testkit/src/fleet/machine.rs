//! One machine: a process, and the health check that the load balancer makes of it.

use std::{
    fs::File,
    io::Read,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio::{task::JoinHandle, time::timeout};

use super::image::Image;
use crate::{
    lifetime::Guarded,
    proxy::{ImageHealth, Rules},
    world::daemon::http_get,
};

/// Between two checks.
const INTERVAL: Duration = Duration::from_millis(500);
/// What a check may take; long, because this machine does ten other things.
const TIMEOUT: Duration = Duration::from_secs(5);
/// So many checks in a row change what is thought of a machine.
const THRESHOLD: u32 = 2;
/// The line with the address comes before this much was logged.
const MAX_HEAD: u64 = 256 << 10;

/// A machine that runs; its process is killed when dropped.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) version: String,
    process: Guarded,
    seen: Arc<Mutex<Seen>>,
    check: JoinHandle<()>,
}

/// What the health check has found.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    addr: Option<SocketAddr>,
    health: Health,
}

/// The load balancer's opinion, and what it rests upon.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Health {
    good: u32,
    bad: u32,
    healthy: Option<bool>,
}

impl Health {
    /// Takes in the outcome of a check; answers the opinion if it has changed.
    fn take(&mut self, ready: bool) -> Option<bool> {
        (self.good, self.bad) = if ready {
            (self.good.saturating_add(1), 0)
        } else {
            (0, self.bad.saturating_add(1))
        };
        let count = if ready { self.good } else { self.bad };
        if count < THRESHOLD || self.healthy == Some(ready) {
            return None;
        }
        self.healthy = Some(ready);
        Some(ready)
    }
}

impl Machine {
    /// Starts the process and its health check.
    pub(super) fn start(
        id: &str,
        image: &Image,
        known: &[(&str, String)],
        folder: &Path,
        rules: Rules,
    ) -> Result<Machine> {
        let path = folder.join(format!("{id}.log"));
        let log = File::create(&path).context("Failed to make a machine's log")?;
        let errors = log.try_clone().context("Failed to share a log")?;
        let mut command = image.command(known);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let process = Guarded::spawn(&mut command)
            .with_context(|| format!("Failed to start the machine {id}"))?;
        let seen = Arc::default();
        let check = tokio::spawn(keep_checking(id.to_owned(), path, Arc::clone(&seen), rules));
        Ok(Machine {
            version: image.version().to_owned(),
            process,
            seen,
            check,
        })
    }

    /// Where it answers, if its own checks say that it is healthy.
    pub(super) fn healthy_at(&self) -> Option<SocketAddr> {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.addr.filter(|_| seen.health.healthy == Some(true))
    }

    /// As EC2 stops a machine: the service gets SIGTERM.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.check.abort();
        self.process.signal(Signal::TERM)
    }

    /// Whether its process ended, and if so whether by itself and well.
    pub(super) fn ended(&mut self) -> Result<Option<bool>> {
        Ok(self.process.status()?.map(|status| status.success()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.check.abort();
    }
}

async fn keep_checking(id: String, log: PathBuf, seen: Arc<Mutex<Seen>>, rules: Rules) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let known = seen.lock().unwrap_or_else(PoisonError::into_inner).addr;
        let addr = known.or_else(|| announced(&log));
        let ready = match addr {
            Some(addr) => {
                let answer = timeout(TIMEOUT, http_get(addr, "/readyz")).await;
                matches!(answer, Ok(Ok((200, _))))
            }
            None => false,
        };
        let news = {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.addr = addr;
            seen.health.take(ready)
        };
        match news {
            Some(true) => rules.instance_health(&id, ImageHealth::Healthy),
            Some(false) => rules.instance_health(&id, ImageHealth::Unhealthy),
            None => {}
        }
    }
}

/// The address in the line with which the app says that it serves.
fn announced(log: &Path) -> Option<SocketAddr> {
    let mut bytes = Vec::new();
    File::open(log)
        .and_then(|file| file.take(MAX_HEAD).read_to_end(&mut bytes))
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.find_map(|line| line["listen"].as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_check_changes_nothing_and_two_do() {
        let mut health = Health::default();
        let news: Vec<_> = [true, true, true, false, true, false, false, true]
            .into_iter()
            .map(|ready| health.take(ready))
            .collect();
        let mut expected = vec![None; 8];
        expected[1] = Some(true);
        expected[6] = Some(false);
        assert_eq!(news, expected);
    }

    #[test]
    fn the_address_is_read_from_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "not json\n{\"level\":\"INFO\"}\n").unwrap();
        assert_eq!(announced(&log), None);
        std::fs::write(
            &log,
            "{\"listen\":\"127.0.0.1:4711\",\"level\":\"INFO\"}\n{\"li",
        )
        .unwrap();
        assert_eq!(announced(&log), "127.0.0.1:4711".parse().ok());
    }
}
