//! The world that amid is tested in.
//!
//! A reverse proxy in front of moto_server that plays what moto lacks, moto_server itself as a child, git
//! fixtures, a stand-in for the terragrunt command and a stand-in for the AWS API; above them the world of
//! the demo, its scenes and its sampler. Nothing here is part of the shipped binary, and nothing here reaches
//! beyond loopback.

#![allow(
    clippy::disallowed_methods,
    reason = "a tool for tests: it starts programs and reads clocks and the environment"
)]

pub mod bench;
pub mod cloud;
pub mod fleet;
pub mod forge;
pub mod git_http;
pub mod lifetime;
pub mod moto;
pub mod permissions;
pub mod pipeline;
pub mod proxy;
pub mod receiver;
pub mod repo;
pub mod sampler;
pub mod scenes;
pub mod scrape;
mod server;
pub mod small;
pub mod standin;
pub mod stub_terragrunt;
pub mod timeline;
pub mod watched;
mod wire;
pub mod world;
