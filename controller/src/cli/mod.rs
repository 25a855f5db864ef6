//! The command line: what was typed, turned into what is meant.

pub mod args;
pub mod doctor;
pub mod gc;
pub mod online;
pub mod plan;
pub mod restart;
pub mod show;
pub mod validate;
