//! A token bucket: so many at once, so many a second.
//!
//! The time is passed in, so that a test needs no waiting.

use std::time::Duration;

use tokio::time::Instant;

/// The state of one bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    burst: u32,
    /// The time that one token takes to come back.
    per_token: Duration,
    /// When the bucket is full again if nothing is taken.
    full_at: Option<Instant>,
}

impl Bucket {
    /// A full bucket of `burst` tokens that gets `per_second` back.
    pub(super) fn new(burst: u32, per_second: u32) -> Self {
        Self {
            burst,
            per_token: Duration::from_secs(1) / per_second.max(1),
            full_at: None,
        }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        // What is missing from a full bucket, measured in time.
        let missing = full_at.duration_since(now);
        if missing + self.per_token > self.per_token * self.burst {
            return false;
        }
        self.full_at = Some(full_at + self.per_token);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_only_what_comes_back() {
        let start = Instant::now();
        let mut bucket = Bucket::new(60, 20);
        let taken =
            |bucket: &mut Bucket, at: Instant| (0..1000).filter(|_| bucket.take(at)).count();
        assert_eq!(taken(&mut bucket, start), 60);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(49)), 0);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(1)), 20);
        // However long nobody asks, it holds no more than a burst.
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(90_000)), 60);
    }
}
