//! The lock that lets one `amid` at a time use a state directory.
//!
//! It is a `flock` on a file that stays where it is: the kernel lets go of it
//! when the process ends, however it ends, so there is never a stale lock to
//! clean up. The file's content, the holder's process id, is only for the
//! sentence that a second process prints. Children do not inherit it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

use super::OpenError;

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub(super) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock on `path` without waiting.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("Failed to open `{}`", path.display()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(OpenError::Held {
                    dir: path.parent().unwrap_or(path).to_path_buf(),
                    pid: holder(&mut file),
                });
            }
            Err(error) => {
                return Err(anyhow::Error::from(error)
                    .context(format!("Failed to lock `{}`", path.display()))
                    .into());
            }
        }
        // Only words for people from here on: a full disk must not keep the
        // daemon from starting.
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        if let Err(error) = written {
            tracing::warn!(%error, "Failed to write the process id into the lock file");
        }
        Ok(Self { _file: file })
    }
}

/// Who wrote the lock file last, if it says so.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
