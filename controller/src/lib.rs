//! amid rolls Auto Scaling groups to the image that a git repository names.
//!
//! The deciding is in `amid-core`; this crate looks ([`status`] and the
//! adapters) and acts.

pub mod client;
pub mod http;
pub mod metrics;
pub mod socket;
pub mod status;
pub mod systemd;
pub mod telemetry;
pub mod webhook;
