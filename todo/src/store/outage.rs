//! How long the database has been away, so that nobody waits for it in vain.
//!
//! Pings tell. A short outage may be a failover, which requests sit out; after
//! that they are refused at once, so that they cannot pile up. The first ping
//! that is answered ends it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Failure, StoreError};

/// After how long an outage requests are refused at once. Until then it may be
/// a failover, which nobody should notice.
const PATIENCE: Duration = Duration::from_secs(6);

/// How long the database has been away, by its pings.
#[derive(Debug)]
pub(super) struct Outage {
    started: Instant,
    /// Milliseconds after `started` of the first failed ping; 0 while it is up.
    since: AtomicU64,
}

impl Default for Outage {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            since: AtomicU64::new(0),
        }
    }
}

impl Outage {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).map_or(u64::MAX, |now| now.max(1))
    }

    /// Takes note of a ping.
    pub(super) fn record(&self, up: bool) {
        if up {
            self.since.store(0, Ordering::Relaxed);
        } else {
            // Only the first failure counts.
            let _ =
                self.since
                    .compare_exchange(0, self.now(), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Fails when it has been away for long.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.since.load(Ordering::Relaxed) {
            0 => Ok(()),
            since if Duration::from_millis(self.now() - since.min(self.now())) < PATIENCE => Ok(()),
            _ => Err(StoreError::Unavailable(Failure::Down)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_outage_refuses_requests_at_once() {
        let outage = Outage::default();
        outage.record(false);
        assert_eq!(outage.check(), Ok(()));
        let long_ago = Instant::now().checked_sub(PATIENCE + PATIENCE);
        let outage = Outage {
            started: long_ago.expect("a clock that has run for a while"),
            since: AtomicU64::new(1),
        };
        assert!(outage.check().is_err());
        outage.record(true);
        assert_eq!(outage.check(), Ok(()));
    }
}
