//! Clean-up of images, without the daemon around it: reading everything that may
//! need an image, performing what [`amid_core::retention`] decides, bringing
//! images back, and how a run is reported. `cleaner` makes runs of it.
//!
//! How far each image is on its way out stands in its tags, so a run that is
//! killed between any two requests is gone on with by the next.

pub mod config;
pub(crate) mod gather;
mod handle;
mod heal;
pub(crate) mod named;
pub(crate) mod perform;
pub mod report;
pub(crate) mod settle;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use handle::{Handle, Order, Ordered, not_configured};
pub use heal::{Healer, Online, online};
pub use perform::{Clock, Done, Pace, verb};
pub use report::{Report, Run, RunResult};
