//! What the daemon tells the service manager: ready, alive, stopping.
//!
//! Under `Type=notify` systemd sets `NOTIFY_SOCKET`; without it nothing here
//! does anything. A message that cannot be sent is logged and forgotten: the
//! rolls do not depend on it. The watchdog is fed by the loop itself, never by
//! a timer of its own, because only the loop knows that it moves.

use std::time::Duration;

use sd_notify::NotifyState;

/// The longest status line, in characters.
const MAX_STATUS: usize = 200;

/// The daemon is up: `READY=1`.
pub fn ready() {
    send(&NotifyState::Ready);
}

/// The daemon is on its way out: `STOPPING=1`.
pub fn stopping() {
    send(&NotifyState::Stopping);
}

/// What `systemctl status` shows: `STATUS=…`.
pub fn status(text: &str) {
    send(&NotifyState::Status(&one_line(text)));
}

/// A running apply is waited for: the stop may take so much longer.
pub fn extend_timeout(by: Duration) {
    let micros = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
    send(&NotifyState::ExtendTimeoutUsec(micros));
}

/// The service manager's watchdog, if it has one on us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    limit: Option<Duration>,
}

impl Watchdog {
    /// Asks what the unit file says (`WatchdogSec=`).
    pub fn new() -> Self {
        Self {
            limit: sd_notify::watchdog_enabled(),
        }
    }

    /// How often [`Self::tick`] has to come, with room to spare.
    pub fn interval(&self) -> Option<Duration> {
        self.limit.map(|limit| limit / 3)
    }

    /// The loop moved: `WATCHDOG=1`.
    pub fn tick(&self) {
        if self.limit.is_some() {
            send(&NotifyState::Watchdog);
        }
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::new()
    }
}

fn send(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "the service manager was not reached");
    }
}

/// Without line ends, behind which a text could carry messages of its own.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_STATUS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_cannot_carry_a_second_message() {
        assert_eq!(one_line("rolling\nMAINPID=1\r\0x"), "rolling MAINPID=1  x");
        assert_eq!(one_line(&"ä".repeat(500)).chars().count(), MAX_STATUS);
    }

    #[test]
    fn the_watchdog_is_fed_three_times_within_its_limit() {
        let watchdog = Watchdog {
            limit: Some(Duration::from_secs(30)),
        };
        assert_eq!(watchdog.interval(), Some(Duration::from_secs(10)));
        assert_eq!(Watchdog { limit: None }.interval(), None);
    }

    #[test]
    fn without_a_service_manager_nothing_happens() {
        ready();
        status("fine");
        Watchdog { limit: None }.tick();
        stopping();
    }

    /// Runs in a process of its own, with a service manager: see below.
    #[test]
    #[ignore = "the test below runs it"]
    fn all_messages() {
        ready();
        status("rolling `todo`");
        Watchdog::new().tick();
        extend_timeout(Duration::from_secs(2));
        stopping();
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test's own child")]
    fn the_service_manager_gets_every_message() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notify");
        let manager = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
        let child = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["--ignored", "--exact", "systemd::tests::all_messages"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "30000000")
            .env_remove("WATCHDOG_PID")
            .output()
            .expect("it runs");
        assert!(child.status.success(), "{child:?}");
        manager.set_nonblocking(true).expect("a socket");
        let mut messages = String::new();
        let mut buffer = [0; 512];
        while let Ok(length) = manager.recv(&mut buffer) {
            messages.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        assert_eq!(
            messages,
            "READY=1\nSTATUS=rolling `todo`\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC=2000000\nSTOPPING=1\n"
        );
    }
}
