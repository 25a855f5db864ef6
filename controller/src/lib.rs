//! amid rolls Auto Scaling groups to the image that a git repository names.
//!
//! The deciding is in `amid-core`; this crate looks ([`status`] and the
//! adapters) and acts.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests start programs and read clocks"
    )
)]

pub mod alone;
pub mod aws;
pub mod cleaner;
pub mod cleanup;
pub mod cli;
pub mod client;
pub mod config;
pub mod daemon;
pub mod desired;
pub mod fault;
pub mod forge;
pub mod gate;
pub mod git;
pub mod http;
pub mod metrics;
pub mod notify;
pub mod reconcile;
pub mod run;
pub mod socket;
pub mod status;
pub mod store;
pub mod systemd;
pub mod telemetry;
pub mod terragrunt;
pub mod watch;
pub mod webhook;
