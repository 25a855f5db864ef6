//! What a test starts ends with the test.
//!
//! A [`Guarded`] child leads a process group of its own, which is killed and waited for when the guard is
//! dropped, also by a panic. A SIGKILL of the test itself runs no destructor: a child that must not outlive
//! even that watches its standard input, see [`crate::moto`]. Children that a child puts into sessions of
//! their own, as amid does with terragrunt, are not reached.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How often a child is looked at while waiting for it.
const LOOK: Duration = Duration::from_millis(10);

/// A child process in a group of its own; dropping it kills the group and waits for the child.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    status: Option<ExitStatus>,
}

impl Guarded {
    /// Starts the command as the leader of a new process group.
    pub fn spawn(command: &mut Command) -> Result<Guarded> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("Failed to start `{program}`"))?;
        Ok(Guarded {
            child,
            status: None,
        })
    }

    /// The child's process id, which is its group's too.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the child alone; nothing happens where it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.status()?.is_none()
            && let Some(pid) = self.group()
        {
            kill_process(pid, signal).context("Failed to signal a child process")?;
        }
        Ok(())
    }

    /// Sends a signal to the child's whole group; nothing happens where the child has ended.
    pub fn signal_group(&mut self, signal: Signal) -> Result<()> {
        if self.status()?.is_none()
            && let Some(pid) = self.group()
        {
            kill_process_group(pid, signal).context("Failed to signal a process group")?;
        }
        Ok(())
    }

    /// How the child ended; none while it runs.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self
                .child
                .try_wait()
                .context("Failed to look at a child process")?;
        }
        Ok(self.status)
    }

    /// Waits for the child's end, at most this long; none where it still runs then.
    ///
    /// This blocks: call it from async code by `tokio::task::spawn_blocking`, or look at
    /// [`Guarded::status`] between sleeps.
    pub fn wait(&mut self, at_most: Duration) -> Result<Option<ExitStatus>> {
        let start = Instant::now();
        loop {
            let status = self.status()?;
            if status.is_some() || start.elapsed() >= at_most {
                return Ok(status);
            }
            thread::sleep(LOOK);
        }
    }

    fn group(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Once the child was waited for, its id may belong to somebody else.
        if self.status.is_none() {
            if let Some(group) = self.group() {
                // It fails where the group is gone already.
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, process::Stdio};

    use super::*;

    #[test]
    fn dropping_the_guard_ends_the_child_and_its_own_children() {
        let mut command = Command::new("sh");
        // The grandchild holds the pipe too: reading to the end proves that both are gone.
        command
            .args(["-c", "sleep 1000 & echo started; wait"])
            .stdout(Stdio::piped());
        let mut guarded = Guarded::spawn(&mut command).unwrap();
        let mut pipe = guarded.child.stdout.take().unwrap();
        let mut first = [0; 8];
        pipe.read_exact(&mut first).unwrap();
        drop(guarded);
        let mut rest = Vec::new();
        pipe.read_to_end(&mut rest).unwrap();
        assert_eq!(first, *b"started\n");
    }

    #[test]
    fn the_end_of_a_child_is_seen() {
        let mut guarded = Guarded::spawn(Command::new("sh").args(["-c", "exit 3"])).unwrap();
        let status = guarded.wait(Duration::from_secs(30)).unwrap();
        assert_eq!(status.and_then(|status| status.code()), Some(3));
    }
}
