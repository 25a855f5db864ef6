//! What a test starts ends with the test.
use std::process::{Child, Command};

use anyhow::{Context, Result};

/// A child process in a group of its own; dropping it kills the group and waits for the child.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
}

impl Guarded {
    /// Starts the command as the leader of a new process group.
    pub fn spawn(command: &mut Command) -> Result<Guarded> {
        use std::os::unix::process::CommandExt;
        let child = command
            .process_group(0)
            .spawn()
            .context("Failed to start a child process")?;
        Ok(Guarded { child })
    }

    /// The child's process id, which is its group's too.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}
