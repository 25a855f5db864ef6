//! The command line: what was typed, turned into what is meant.

pub mod args;
pub mod bump;
mod deliver;
pub mod doctor;
pub mod gc;
pub mod online;
pub mod plan;
pub mod preview;
pub mod promote;
pub mod restart;
pub mod rollback;
pub mod show;
pub mod validate;
