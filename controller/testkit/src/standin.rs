//! A fast stand-in for the AWS API.
use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Result, bail};

use crate::cloud::Cloud;

/// Where the stand-in's cloud lies.
#[derive(Debug, Clone)]
pub enum Source {
    /// In memory.
    Memory(Cloud),
    /// In the stub terragrunt's directory (its `STUB_DIR`), read again for each request.
    StubDir(PathBuf),
}

/// A running stand-in; it stops when dropped.
#[derive(Debug)]
pub struct Standin {}

impl Standin {
    /// Starts a stand-in on a free loopback port, on a thread of its own.
    pub fn start(_source: Source) -> Result<Standin> {
        bail!("Not written yet")
    }

    /// Its URL, for `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> String {
        String::new()
    }

    /// How often each action was asked since the start or the last [`Standin::reset_counts`].
    pub fn counts(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }

    /// Sets all counts to zero.
    pub fn reset_counts(&self) {}
}
