//! The journal: what amid did and saw, one checked line per entry.
//!
//! Files `NNNNNN.jsonl` hold lines of the form
//! `{"n":1,"at":"…","sum":"…","entry":…}`; the sum covers every other byte of
//! the line, so that no bit can change unseen. A last line without its end is
//! what a power cut leaves: it is cut off and said. A file with any other
//! damage is set aside for a person, and its lines that still check go on in a
//! new file. The journal is history, never truth, so it starts even then.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{OpenError, sync_dir};

/// The format that this version reads and writes.
const FORMAT: u64 = 1;
/// A file that has reached this size is followed by a new one.
const ROTATE_AT: u64 = 8 * 1024 * 1024;
/// How many files are kept; the oldest go first.
const FILES_KEPT: usize = 8;
/// The longest line that is written or read.
const LINE_MAX: usize = 1024 * 1024;
const SUM_MARK: &[u8] = b",\"sum\":\"";
const SUM_LEN: usize = 16;

/// One entry as it was read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its number; numbers rise by one and are never used again.
    pub n: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What was written.
    pub entry: Value,
}

/// What had to be mended while the journal was opened, in a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Repair(pub String);

impl std::fmt::Display for Repair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    number: u64,
    file: File,
    /// Bytes of the file that are known to be good.
    good: u64,
    /// A failed write may have left bytes beyond `good`.
    dirty: bool,
    next: u64,
    rotate_at: u64,
}

impl Journal {
    /// Opens the journal in `dir`, mends what can be mended, and gives every
    /// entry to `replay`, oldest first.
    pub(super) fn open(
        dir: &Path,
        now: Timestamp,
        mut replay: impl FnMut(Record),
    ) -> Result<(Self, Vec<Repair>), OpenError> {
        let mut repairs = Vec::new();
        let numbers = file_numbers(dir)?;
        // Look at every header before anything is changed.
        for &number in &numbers {
            refuse_newer(&file_path(dir, number))?;
        }
        let mut last = 0;
        for &number in &numbers {
            let path = file_path(dir, number);
            let newest = Some(&number) == numbers.last();
            let read = read_file(&path, &mut last, newest, &mut repairs, &mut replay)?;
            match read {
                FileState::Good => {}
                FileState::Torn { good } => cut(&path, good)?,
                FileState::Damaged => set_aside(&path, now, &mut repairs)?,
            }
        }
        let number = numbers.last().copied().unwrap_or(1);
        let (file, good) = open_for_append(dir, number)?;
        let journal = Self {
            dir: dir.to_path_buf(),
            number,
            file,
            good,
            dirty: false,
            next: last + 1,
            rotate_at: ROTATE_AT,
        };
        Ok((journal, repairs))
    }

    /// Adds an entry and waits until the disk has it. Returns its number. An
    /// error means that the entry is not in the journal and that nothing else
    /// was lost; the next call may succeed.
    pub fn append(&mut self, at: Timestamp, entry: &Value) -> anyhow::Result<u64> {
        self.write(at, entry, true)
    }

    /// Adds an entry that may be lost by a power cut (not by a crash of amid).
    pub fn append_relaxed(&mut self, at: Timestamp, entry: &Value) -> anyhow::Result<u64> {
        self.write(at, entry, false)
    }

    fn write(&mut self, at: Timestamp, entry: &Value, durable: bool) -> anyhow::Result<u64> {
        let line = line(self.next, at, entry)?;
        self.restore()?;
        if self.good >= self.rotate_at {
            self.rotate()?;
        }
        self.dirty = true;
        let written = self.file.write_all(&line).and_then(|()| {
            if durable {
                self.file.sync_data()
            } else {
                Ok(())
            }
        });
        if let Err(error) = written {
            // Best effort now; otherwise before the next write.
            let _ = self.restore();
            return Err(error).context("Failed to write to the journal");
        }
        self.dirty = false;
        self.good += line.len() as u64;
        self.next += 1;
        Ok(self.next - 1)
    }

    /// Cuts off what a failed write left behind.
    fn restore(&mut self) -> anyhow::Result<()> {
        if self.dirty {
            self.file
                .set_len(self.good)
                .context("Failed to cut off a half-written line of the journal")?;
            self.dirty = false;
        }
        Ok(())
    }

    fn rotate(&mut self) -> anyhow::Result<()> {
        self.file
            .sync_data()
            .context("Failed to finish a journal file")?;
        let (file, good) = open_for_append(&self.dir, self.number + 1)?;
        (self.file, self.good, self.number) = (file, good, self.number + 1);
        let numbers = file_numbers(&self.dir)?;
        for &old in numbers.iter().rev().skip(FILES_KEPT) {
            let path = file_path(&self.dir, old);
            fs::remove_file(&path)
                .with_context(|| format!("Failed to remove `{}`", path.display()))?;
        }
        Ok(())
    }
}

/// One line with its checksum and its end.
fn line(n: u64, at: Timestamp, entry: &Value) -> anyhow::Result<Vec<u8>> {
    let entry = serde_json::to_string(entry).context("Failed to write an entry as JSON")?;
    let head = format!("{{\"n\":{n},\"at\":\"{at}\"");
    let tail = format!("\",\"entry\":{entry}}}");
    let sum = sum(head.as_bytes(), tail.as_bytes());
    let line = format!("{head},\"sum\":\"{sum}{tail}\n").into_bytes();
    anyhow::ensure!(
        line.len() <= LINE_MAX,
        "A journal entry may have at most {LINE_MAX} bytes, this one has {}",
        line.len()
    );
    Ok(line)
}

fn sum(head: &[u8], tail: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(head);
    hash.update(tail);
    let mut text = hex::encode(hash.finalize());
    text.truncate(SUM_LEN);
    text
}

/// The record in a line without its end, if every byte of it checks.
fn parse(line: &[u8]) -> Option<Record> {
    let mark = line
        .windows(SUM_MARK.len())
        .position(|bytes| bytes == SUM_MARK)?;
    let start = mark + SUM_MARK.len();
    let (head, given, tail) = (
        line.get(..mark)?,
        line.get(start..start + SUM_LEN)?,
        line.get(start + SUM_LEN..)?,
    );
    if sum(head, tail).as_bytes() != given {
        return None;
    }
    let mut value: Value = serde_json::from_slice(line).ok()?;
    Some(Record {
        n: value.get("n")?.as_u64()?,
        at: value.get("at")?.as_str()?.parse().ok()?,
        entry: value.get_mut("entry")?.take(),
    })
}

fn header() -> String {
    format!("{{\"format\":{FORMAT}}}\n")
}

/// The format that a file's first line names.
fn format_of(first_line: &[u8]) -> Option<u64> {
    let value: Value = serde_json::from_slice(first_line).ok()?;
    value.get("format")?.as_u64()
}

fn refuse_newer(path: &Path) -> Result<(), OpenError> {
    let file = File::open(path).with_context(|| format!("Failed to open `{}`", path.display()))?;
    let mut first = Vec::new();
    BufReader::new(file.take(256))
        .read_until(b'\n', &mut first)
        .with_context(|| format!("Failed to read `{}`", path.display()))?;
    match format_of(&first) {
        Some(format) if format > FORMAT => Err(OpenError::NewerFormat {
            file: path.to_path_buf(),
            format,
        }),
        _ => Ok(()),
    }
}

enum FileState {
    Good,
    /// The last line has no end; this many bytes before it are good.
    Torn {
        good: u64,
    },
    Damaged,
}

fn read_file(
    path: &Path,
    last: &mut u64,
    newest: bool,
    repairs: &mut Vec<Repair>,
    replay: &mut impl FnMut(Record),
) -> Result<FileState, OpenError> {
    let file = File::open(path).with_context(|| format!("Failed to open `{}`", path.display()))?;
    let mut reader = BufReader::new(file);
    let (mut good, mut damaged, mut first, mut torn) = (0_u64, false, true, false);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = (&mut reader)
            .take(LINE_MAX as u64 + 1)
            .read_until(b'\n', &mut bytes)
            .with_context(|| format!("Failed to read `{}`", path.display()))?;
        if read == 0 {
            break;
        }
        let ended = bytes.last() == Some(&b'\n');
        if ended {
            bytes.pop();
        }
        let at_end = reader.fill_buf().is_ok_and(<[u8]>::is_empty);
        if !ended && at_end && newest && !damaged {
            repairs.push(Repair(format!(
                "The last line of `{}` was cut short, as a power cut does: {read} bytes were removed",
                path.display()
            )));
            torn = true;
            break;
        }
        if std::mem::take(&mut first) {
            damaged |= !ended || format_of(&bytes) != Some(FORMAT);
        } else {
            match parse(&bytes).filter(|record| ended && record.n > *last) {
                Some(record) => {
                    if *last != 0 && record.n != *last + 1 && !damaged {
                        repairs.push(Repair(format!(
                            "Entries {} to {} are missing before `{}`",
                            *last + 1,
                            record.n - 1,
                            path.display()
                        )));
                    }
                    *last = record.n;
                    replay(record);
                }
                None => damaged = true,
            }
        }
        good += read as u64;
    }
    Ok(match (damaged, torn) {
        (true, _) => FileState::Damaged,
        (false, true) => FileState::Torn { good },
        (false, false) => FileState::Good,
    })
}

fn cut(path: &Path, good: u64) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(good)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("Failed to mend `{}`", path.display()))
}

/// Moves a damaged file out of the way and keeps its good lines in use.
fn set_aside(path: &Path, now: Timestamp, repairs: &mut Vec<Repair>) -> anyhow::Result<()> {
    let mut kept = header().into_bytes();
    let mut reader = BufReader::new(File::open(path)?);
    let (mut bytes, mut last) = (Vec::new(), 0);
    loop {
        bytes.clear();
        if (&mut reader)
            .take(LINE_MAX as u64 + 1)
            .read_until(b'\n', &mut bytes)?
            == 0
        {
            break;
        }
        let Some(line) = bytes.strip_suffix(b"\n") else {
            continue;
        };
        if let Some(record) = parse(line).filter(|record| record.n > last) {
            last = record.n;
            kept.extend_from_slice(&bytes);
        }
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".damaged-{}", now.as_second()));
    let aside = PathBuf::from(aside);
    fs::rename(path, &aside)
        .with_context(|| format!("Failed to set `{}` aside", path.display()))?;
    super::write_atomic(path, &kept)?;
    repairs.push(Repair(format!(
        "The journal file `{}` was damaged: it is kept as `{}`, and its readable entries stay in use",
        path.display(),
        aside.display()
    )));
    Ok(())
}

fn open_for_append(dir: &Path, number: u64) -> anyhow::Result<(File, u64)> {
    let path = file_path(dir, number);
    let failed = || format!("Failed to open `{}`", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .with_context(failed)?;
    let mut length = file.metadata().with_context(failed)?.len();
    if length == 0 {
        let header = header();
        let written = file
            .write_all(header.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_dir(dir));
        if let Err(error) = written {
            // Half a header would read as damage at the next start.
            let _ = file.set_len(0);
            return Err(error).with_context(failed);
        }
        length = header.len() as u64;
    }
    Ok((file, length))
}

fn file_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:06}.jsonl"))
}

fn file_numbers(dir: &Path) -> anyhow::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("Failed to list `{}`", dir.display()))? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(".jsonl"))
            .and_then(|number| number.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
