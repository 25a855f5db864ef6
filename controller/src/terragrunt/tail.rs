//! Reads a file line by line while another process appends to it.
//!
//! Looking at the file now and then takes the place of a pipe: the writer
//! never waits for the reader, and never dies with it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::Context;

use super::output::Lines;

/// Reads a file that another process appends to.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    file: File,
    read: u64,
    pub lines: Lines,
    /// Part of the file was dropped.
    pub lost: bool,
}

impl Tail {
    /// Opens the file, which must exist.
    pub(super) fn open(path: PathBuf) -> anyhow::Result<Self> {
        let file =
            File::open(&path).with_context(|| format!("Failed to open `{}`", path.display()))?;
        Ok(Self {
            path,
            file,
            read: 0,
            lines: Lines::default(),
            lost: false,
        })
    }

    /// Its size now, in bytes; what was dropped does not count.
    pub(super) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }

    /// Reads at most `max` bytes; true if there may be more.
    pub(super) async fn read(&mut self, max: u64, mut line: impl FnMut(Option<&[u8]>)) -> bool {
        let mut buffer = vec![0; 256 * 1024];
        let mut left = max;
        while left > 0 {
            match self.file.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => {
                    self.read += count as u64;
                    left = left.saturating_sub(count as u64);
                    self.lines.feed(&buffer[..count], &mut line);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(%error, path = %self.path.display(), "Failed to read a run's output");
                    return false;
                }
            }
            tokio::task::yield_now().await;
        }
        true
    }

    /// Empties a file that grew too large, without the writer noticing: it
    /// appends.
    pub(super) fn shorten(&mut self) {
        let emptied = OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|file| file.set_len(0))
            .and_then(|()| self.file.seek(SeekFrom::Start(0)));
        match emptied {
            Ok(_) => {
                self.lost = true;
                self.lines.lost_some();
                tracing::warn!(path = %self.path.display(), "An apply printed too much: part of its output was dropped");
            }
            Err(error) => {
                tracing::warn!(%error, path = %self.path.display(), "Failed to empty a file")
            }
        }
    }
}
