//! The todo app: a small, fast and well-behaved server behind a load balancer.
//!
//! It is the workload that `amid` rolls from image to image, so it is written
//! as a model of what a machine in an Auto Scaling group should do: probes
//! that tell the truth, a drain that loses no request, bounded everything, and
//! answers that say which release gave them.
//!
//! `main` reads the configuration and wires the parts; [`service`] builds the
//! router, [`routes`] and [`compat`] are the two interfaces over the one model
//! in [`mod@todo`], and [`store`] is the only place that knows MongoDB.

pub mod answer;
pub mod api;
pub mod app;
pub mod compat;
pub mod config;
pub mod door;
pub mod error;
pub mod metrics;
pub mod observe;
pub mod openapi;
pub mod page;
pub mod probes;
pub mod proxy;
pub mod release;
pub mod request_id;
pub mod routes;
pub mod serve;
pub mod service;
pub mod store;
pub mod todo;
