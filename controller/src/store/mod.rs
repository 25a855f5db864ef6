//! The state directory: what one `amid` keeps on its own disk.
//!
//! It holds the lock that keeps a second process out, the journal, and the
//! evidence of failed releases. Everything here may be lost: what matters
//! lives in git, in AWS and in terraform's state, and the next pass starts
//! from there. So this module cares for never showing something false (checked
//! lines, atomic files), and knows nothing of what the entries mean.

mod journal;
mod lock;
mod recent;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use serde_json::Value;

pub use journal::{Journal, Record, Repair};
pub use recent::Recent;

use lock::DirLock;

/// How many evidence files of one app are kept; the oldest go first.
pub const EVIDENCE_KEPT: usize = 50;
/// The most that one evidence file may hold, in bytes.
pub const EVIDENCE_MAX_BYTES: usize = 1024 * 1024;

/// Why a state directory could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it open.
    Held {
        /// The directory.
        dir: PathBuf,
        /// The process that holds it, when its lock file says so.
        pid: Option<u32>,
    },
    /// A newer version of amid wrote the journal.
    NewerFormat {
        /// The journal file.
        file: PathBuf,
        /// The format that it names.
        format: u64,
    },
    /// Anything else, in a sentence.
    Other(anyhow::Error),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held {
                dir,
                pid: Some(pid),
            } => write!(
                f,
                "Another amid (process {pid}) already uses the state directory `{}`: stop it first, or give this one its own `state_dir`",
                dir.display()
            ),
            Self::Held { dir, pid: None } => write!(
                f,
                "Another process already uses the state directory `{}`: stop it first, or give this one its own `state_dir`",
                dir.display()
            ),
            Self::NewerFormat { file, format } => write!(
                f,
                "A newer amid wrote `{}` (format {format}): run that version again, or move the folder `journal` away to start without history",
                file.display()
            ),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<anyhow::Error> for OpenError {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// An opened and locked state directory.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: DirLock,
}

impl StateDir {
    /// Opens the directory, makes what is missing in it, and locks it until
    /// the value is dropped.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        make_dir(path)?;
        check_owner(path)?;
        let path = path
            .canonicalize()
            .with_context(|| format!("Failed to resolve `{}`", path.display()))?;
        let lock = DirLock::take(&path.join("lock"))?;
        for name in ["journal", "evidence", "units"] {
            make_dir(&path.join(name))?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// The directory itself, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the units' caches, exports and runs are.
    pub fn units(&self) -> PathBuf {
        self.path.join("units")
    }

    /// Opens the journal and gives every entry that it holds to `replay`,
    /// oldest first.
    pub fn journal(
        &self,
        now: Timestamp,
        replay: impl FnMut(Record),
    ) -> Result<(Journal, Vec<Repair>), OpenError> {
        Journal::open(&self.path.join("journal"), now, replay)
    }

    /// The folder with the evidence of one app, made if it is missing.
    pub fn evidence_dir(&self, app: &str) -> anyhow::Result<PathBuf> {
        let dir = self.path.join("evidence").join(folder_name(app)?);
        make_dir(&dir)?;
        Ok(dir)
    }

    /// Writes one evidence file and lets the oldest beyond [`EVIDENCE_KEPT`]
    /// go. `name` says what it is about (a release key, say).
    pub fn keep_evidence(
        &self,
        app: &str,
        at: Timestamp,
        name: &str,
        evidence: &Value,
    ) -> anyhow::Result<PathBuf> {
        let dir = self.evidence_dir(app)?;
        let bytes =
            serde_json::to_vec_pretty(evidence).context("Failed to write evidence as JSON")?;
        ensure!(
            bytes.len() <= EVIDENCE_MAX_BYTES,
            "The evidence for `{app}` is larger than {EVIDENCE_MAX_BYTES} bytes: {}",
            bytes.len()
        );
        // Sorted by name is sorted by time: the number has a fixed width.
        let path = dir.join(format!("{:016}-{}.json", at.as_microsecond(), plain(name)));
        write_atomic(&path, &bytes)?;
        for old in self.evidence(app)?.into_iter().skip(EVIDENCE_KEPT) {
            fs::remove_file(&old)
                .with_context(|| format!("Failed to remove `{}`", old.display()))?;
        }
        Ok(path)
    }

    /// The evidence files of one app, newest first.
    pub fn evidence(&self, app: &str) -> anyhow::Result<Vec<PathBuf>> {
        let dir = self.evidence_dir(app)?;
        let mut files = Vec::new();
        for entry in
            fs::read_dir(&dir).with_context(|| format!("Failed to list `{}`", dir.display()))?
        {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                files.push(path);
            }
        }
        files.sort_unstable_by(|a, b| b.cmp(a));
        Ok(files)
    }
}

/// Replaces the file at `path` so that a reader, or the next start after a
/// power cut, sees either all of the old content or all of the new.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = path
        .file_name()
        .with_context(|| format!("`{}` names no file", path.display()))?;
    let mut temp_name = std::ffi::OsString::from(".");
    temp_name.push(name);
    temp_name.push(format!(".{}.new", std::process::id()));
    let temp = dir.join(temp_name);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, path)?;
        sync_dir(dir)
    })();
    if written.is_err() {
        // Half a file on a full disk helps nobody; the first error counts.
        let _ = fs::remove_file(&temp);
    }
    written.with_context(|| format!("Failed to write `{}`", path.display()))
}

/// Reads a file that may hold at most `max` bytes.
pub fn read_bounded(path: &Path, max: u64) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("Failed to open `{}`", path.display()))?;
    let mut bytes = Vec::new();
    file.take(max + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("Failed to read `{}`", path.display()))?;
    ensure!(
        bytes.len() as u64 <= max,
        "`{}` is larger than {max} bytes",
        path.display()
    );
    Ok(bytes)
}

/// Makes a rename or a new file in `dir` survive a power cut.
fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a directory that only its owner can enter.
fn make_dir(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("Failed to create the folder `{}`", path.display()))
}

/// A state directory that others can write to would let them choose what amid
/// believes and runs.
fn check_owner(path: &Path) -> anyhow::Result<()> {
    let meta =
        fs::metadata(path).with_context(|| format!("Failed to look at `{}`", path.display()))?;
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me {
        bail!(
            "The state directory `{}` belongs to user id {}, but amid runs as {me}: `chown` it or choose another `state_dir`",
            path.display(),
            meta.uid()
        );
    }
    if meta.mode() & 0o022 != 0 {
        bail!(
            "Others can write to the state directory `{}` (mode {:o}): run `chmod go-w` on it",
            path.display(),
            meta.mode() & 0o7777
        );
    }
    Ok(())
}

/// `demo/todo` becomes `demo-todo`; a name that could leave the folder is
/// refused (manifests cannot hold one, so this is only a second lock).
fn folder_name(app: &str) -> anyhow::Result<String> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '/';
    ensure!(
        !app.is_empty() && app.len() <= 128 && app.chars().all(fine),
        "An app name cannot be `{app}`"
    );
    Ok(app.replace('/', "-"))
}

fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time in range")
    }

    #[test]
    fn a_second_opener_is_told_who_holds_the_directory() {
        let dir = tempfile::tempdir().expect("temp dir");
        let first = StateDir::open(dir.path()).expect("first open");
        let error = StateDir::open(dir.path()).expect_err("second open is refused");
        assert!(
            error
                .to_string()
                .contains(&format!("process {}", std::process::id())),
            "{error}"
        );
        drop(first);
        StateDir::open(dir.path()).expect("free again");
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("temp dir");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("chmod");
        let error = StateDir::open(dir.path()).expect_err("refused");
        assert!(error.to_string().contains("chmod go-w"), "{error}");
    }

    #[test]
    fn new_folders_are_closed_to_others() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("a/state");
        let state = StateDir::open(&path).expect("open");
        for dir in [path.clone(), state.units(), path.join("journal")] {
            let mode = fs::metadata(&dir).expect("metadata").mode();
            assert_eq!(mode & 0o777, 0o700, "{}", dir.display());
        }
    }

    #[test]
    fn evidence_keeps_the_newest_fifty_and_no_half_files() {
        let dir = tempfile::tempdir().expect("temp dir");
        let state = StateDir::open(dir.path()).expect("open");
        for second in 0..60 {
            state
                .keep_evidence(
                    "demo/todo",
                    at(second),
                    "k/../1",
                    &json!({ "second": second }),
                )
                .expect("kept");
        }
        let files = state.evidence("demo/todo").expect("list");
        assert_eq!(files.len(), EVIDENCE_KEPT);
        let newest = read_bounded(&files[0], 4096).expect("read");
        assert_eq!(
            serde_json::from_slice::<Value>(&newest).expect("JSON"),
            json!({ "second": 59 })
        );
        let all = fs::read_dir(state.evidence_dir("demo/todo").expect("dir"))
            .expect("list")
            .count();
        assert_eq!(all, EVIDENCE_KEPT, "no temporary files are left");
    }

    #[test]
    fn an_app_name_cannot_leave_the_evidence_folder() {
        let dir = tempfile::tempdir().expect("temp dir");
        let state = StateDir::open(dir.path()).expect("open");
        assert!(state.evidence_dir("../x").is_err());
        assert!(state.evidence_dir("").is_err());
    }

    #[test]
    fn evidence_that_is_too_large_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().expect("temp dir");
        let state = StateDir::open(dir.path()).expect("open");
        let large = Value::String("x".repeat(EVIDENCE_MAX_BYTES));
        assert!(state.keep_evidence("a", at(0), "k", &large).is_err());
        assert!(state.evidence("a").expect("list").is_empty());
    }

    #[test]
    fn a_failed_atomic_write_keeps_the_old_content() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("f");
        write_atomic(&path, b"old").expect("write");
        let blocked = dir.path().join(format!(".f.{}.new", std::process::id()));
        fs::create_dir(&blocked).expect("block the temporary file");
        assert!(write_atomic(&path, b"new").is_err());
        assert_eq!(fs::read(&path).expect("read"), b"old");
    }
}
