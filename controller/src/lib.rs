//! x
pub mod git;
pub mod watch;
