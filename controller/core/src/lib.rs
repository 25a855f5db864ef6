//! The pure half of amid: what a manifest means, what a look at AWS means, and
//! what to do next.
//!
//! Nothing here reads a clock, a file, an environment variable or a socket.
//! Everything that decides takes what it needs as arguments, the time
//! included, so that every rule can be tested by a table.
//!
//! Start with [`decide::decide`]: the whole policy is on that page.

pub mod ahead;
pub mod bump;
pub mod course;
pub mod decide;
pub mod history;
pub mod manifest;
pub mod memory;
pub mod mentions;
pub mod model;
pub mod notice;
pub mod observe;
pub mod preview;
pub mod reason;
pub mod retention;
pub mod step;
