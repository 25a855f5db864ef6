//! What a runner tells about its runs to whoever counts them. It knows no
//! metrics; the one who made the runner passes a function in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Finished, Operation, RunError};

/// Something that happened in a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A run ended.
    Run {
        /// What it was for.
        operation: Operation,
        /// How it ended.
        end: End,
        /// How long it took, without its wait for memory.
        took: Duration,
        /// The most memory that its processes had at one look, in bytes.
        peak_memory: u64,
    },
    /// A state lock stood in the way.
    Lock {
        /// It was our own dead child's and is gone; otherwise it was left.
        broken: bool,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Ok,
    /// Past its limit of time.
    TimedOut,
    /// In any other way.
    Failed,
}

/// Called with everything that is told.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(Told) + Send + Sync>);

impl Observer {
    /// Tells `told`.
    pub fn new(told: impl Fn(Told) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }

    pub(super) fn run(&self, finished: &Finished, result: Result<&(), &RunError>) {
        let end = match result {
            Ok(()) => End::Ok,
            Err(RunError::Timeout) => End::TimedOut,
            Err(_) => End::Failed,
        };
        (self.0)(Told::Run {
            operation: finished.record.operation,
            end,
            took: finished.duration,
            peak_memory: finished.peak_memory,
        });
    }

    pub(super) fn lock(&self, broken: bool) {
        (self.0)(Told::Lock { broken });
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
