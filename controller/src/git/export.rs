//! Writing a commit's whole tree as plain files, for terragrunt to run in.
//!
//! The new tree is written beside the old one and the two are swapped in one step, so that the folder always holds one
//! commit's tree entirely, whenever the process dies. Nothing that the repository names is followed while writing:
//! every folder is made by us, every file is new, and a symlink is kept only if it cannot lead out of the tree.
//! Filters, attributes, submodules and large-file storage are not applied.

use std::fs::{self, FileTimes, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use git2::{ObjectType, Odb, Oid, Repository};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::read::{Refused, mode};
use super::{Mirror, read, upkeep};

/// Bytes of one file: libgit2 loads a file whole.
const MAX_FILE: usize = 64 << 20;
/// Bytes of all files.
const MAX_TOTAL: u64 = 2 << 30;
/// Files, symlinks and folders.
const MAX_ENTRIES: usize = 200_000;
/// Folders inside each other.
const MAX_DEPTH: usize = 64;
/// Bytes of a symlink's target.
const MAX_TARGET: usize = 4096;
/// Remembers in an export which tree it holds.
const TREE_FILE: &str = ".git/amid-tree";

/// What an export left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Symlinks that lead out of the tree, submodules, files that are too large, names that git itself would not write.
    pub left_out: Vec<Refused>,
}

impl Mirror {
    /// Makes the folder `to` hold the tree of `commit`, with a `.git` that makes it a repository's root (and whose
    /// `HEAD` is the commit) but holds no objects. A folder that holds that tree unharmed is left as it is. Modification
    /// times follow from the content, so that a file that did not change looks unchanged in every export.
    pub fn export(&self, commit: Oid, to: &Path) -> Result<Exported> {
        // A handle of its own: a large export must not keep others from reading.
        let result = Repository::open_bare(&self.dir)
            .map_err(Into::into)
            .and_then(|repo| export(&repo, commit, to));
        self.watched(&[commit], result)
            .with_context(|| format!("Failed to export commit {commit} to `{}`", to.display()))
    }
}

fn export(repo: &Repository, commit: Oid, to: &Path) -> Result<Exported> {
    let tree = repo.find_commit(commit)?.tree_id();
    let mut listing = Listing {
        repo,
        odb: repo.odb()?,
        entries: Vec::new(),
        bytes: 0,
        left_out: Vec::new(),
    };
    listing.folder(tree, Path::new(""), 0)?;
    let name = to
        .file_name()
        .context("The folder to export to has no name")?
        .to_string_lossy();
    let (new, old) = (
        to.with_file_name(format!(".{name}.new")),
        to.with_file_name(format!(".{name}.old")),
    );
    // A killed export leaves these.
    upkeep::remove(&new)?;
    upkeep::remove(&old)?;
    if fs::read_to_string(to.join(TREE_FILE)).is_ok_and(|held| held == tree.to_string())
        && listing.entries.iter().all(|entry| entry.stands_in(to))
    {
        write_head(to, commit)?;
        return Ok(Exported {
            left_out: listing.left_out,
        });
    }
    fs::create_dir_all(&new)?;
    for entry in &listing.entries {
        entry
            .write(&listing.odb, &new)
            .with_context(|| format!("Failed to write `{}`", entry.path.display()))?;
    }
    write_marker(&new, tree)?;
    write_head(&new, commit)?;
    swap(&new, to, &old)?;
    Ok(Exported {
        left_out: listing.left_out,
    })
}

/// Puts `new` in the place of `to`, in one step where the file system can.
fn swap(new: &Path, to: &Path, old: &Path) -> Result<()> {
    if fs::symlink_metadata(to).is_err() {
        return Ok(fs::rename(new, to)?);
    }
    match renameat_with(CWD, new, CWD, to, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(upkeep::remove(new)?),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            fs::rename(to, old)?;
            fs::rename(new, to)?;
            Ok(upkeep::remove(old)?)
        }
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// The least that git takes for a repository.
fn write_marker(root: &Path, tree: Oid) -> io::Result<()> {
    for folder in [".git", ".git/objects", ".git/refs"] {
        fs::create_dir(root.join(folder))?;
    }
    fs::write(
        root.join(".git/config"),
        "[core]\n\trepositoryformatversion = 0\n\tbare = false\n",
    )?;
    fs::write(root.join(TREE_FILE), tree.to_string())
}

fn write_head(root: &Path, commit: Oid) -> io::Result<()> {
    let (head, new) = (root.join(".git/HEAD"), root.join(".git/HEAD.new"));
    fs::write(&new, format!("{commit}\n"))?;
    fs::rename(new, head)
}

/// Something to write.
struct Entry {
    /// From the root.
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Folder,
    File {
        blob: Oid,
        size: usize,
        executable: bool,
    },
    Symlink {
        target: PathBuf,
    },
}

impl Entry {
    fn write(&self, odb: &Odb<'_>, root: &Path) -> Result<()> {
        let path = root.join(&self.path);
        match &self.kind {
            Kind::Folder => fs::create_dir(path)?,
            Kind::Symlink { target } => symlink(target, path)?,
            Kind::File {
                blob, executable, ..
            } => {
                let bits = if *executable { 0o755 } else { 0o644 };
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(bits)
                    .open(path)?;
                file.write_all(odb.read(*blob)?.data())?;
                file.set_times(FileTimes::new().set_modified(time_of(*blob)))?;
            }
        }
        Ok(())
    }

    /// Whether this entry stands under `root` as it would be written. An edited file has another time.
    fn stands_in(&self, root: &Path) -> bool {
        let path = root.join(&self.path);
        let Ok(found) = fs::symlink_metadata(&path) else {
            return false;
        };
        match &self.kind {
            Kind::Folder => found.is_dir(),
            Kind::Symlink { target } => fs::read_link(path).is_ok_and(|there| there == *target),
            Kind::File {
                blob,
                size,
                executable,
            } => {
                found.is_file()
                    && found.len() == *size as u64
                    && (found.permissions().mode() & 0o100 != 0) == *executable
                    && found.modified().is_ok_and(|time| time == time_of(*blob))
            }
        }
    }
}

/// A modification time that says nothing but "the same content": terragrunt judges by it whether a copy is stale.
fn time_of(blob: Oid) -> SystemTime {
    let start = blob
        .as_bytes()
        .iter()
        .take(4)
        .fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    // Some second between 2001 and 2018.
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + (start >> 3))
}

/// Everything to write, checked before the first file is written.
struct Listing<'a> {
    repo: &'a Repository,
    odb: Odb<'a>,
    entries: Vec<Entry>,
    bytes: u64,
    left_out: Vec<Refused>,
}

impl Listing<'_> {
    fn folder(&mut self, id: Oid, path: &Path, depth: usize) -> Result<()> {
        ensure!(
            depth <= MAX_DEPTH,
            "More than {MAX_DEPTH} folders are inside each other at `{}`",
            path.display()
        );
        let tree = read::load_tree(self.repo, id)?
            .with_context(|| format!("The folder `{}` has too many files", path.display()))?;
        for entry in &tree {
            let name = entry.name_bytes();
            let path = path.join(std::ffi::OsStr::from_bytes(name));
            if !is_plain(name) {
                self.leave_out(&path, "Git does not write a file of this name");
                continue;
            }
            match (entry.kind(), entry.filemode()) {
                (_, mode::SUBMODULE) => self.leave_out(&path, "Submodules are not fetched"),
                (_, mode::SYMLINK) => self.symlink(entry.id(), path)?,
                (Some(ObjectType::Tree), _) => {
                    self.add(path.clone(), Kind::Folder)?;
                    self.folder(entry.id(), &path, depth + 1)?;
                }
                (Some(ObjectType::Blob), bits) => {
                    self.file(entry.id(), path, bits == mode::EXECUTABLE)?
                }
                _ => bail!("`{}` is neither a file nor a folder", path.display()),
            }
        }
        Ok(())
    }

    fn file(&mut self, blob: Oid, path: PathBuf, executable: bool) -> Result<()> {
        let (size, _) = self.odb.read_header(blob)?;
        if size > MAX_FILE {
            self.leave_out(
                &path,
                &format!("A file may have at most 64 MiB, this one has {size} bytes"),
            );
            return Ok(());
        }
        self.bytes += size as u64;
        ensure!(
            self.bytes <= MAX_TOTAL,
            "The repository's files have more than 2 GiB together"
        );
        self.add(
            path,
            Kind::File {
                blob,
                size,
                executable,
            },
        )
    }

    fn symlink(&mut self, blob: Oid, path: PathBuf) -> Result<()> {
        let (size, _) = self.odb.read_header(blob)?;
        if size <= MAX_TARGET {
            let target = self.odb.read(blob)?.data().to_vec();
            let target = PathBuf::from(std::ffi::OsString::from_vec(target));
            if stays_inside(&path, &target) {
                return self.add(path, Kind::Symlink { target });
            }
        }
        self.leave_out(&path, "This symlink may lead out of the repository");
        Ok(())
    }

    fn add(&mut self, path: PathBuf, kind: Kind) -> Result<()> {
        ensure!(
            self.entries.len() < MAX_ENTRIES,
            "The repository has more than {MAX_ENTRIES} files"
        );
        self.entries.push(Entry { path, kind });
        Ok(())
    }

    fn leave_out(&mut self, path: &Path, why: &str) {
        if self.left_out.len() < 1_000 {
            let path = path.to_string_lossy().escape_debug().to_string();
            self.left_out.push(Refused {
                path,
                why: why.to_owned(),
            });
        }
    }
}

/// Whether a name is one that git itself would check out.
fn is_plain(name: &[u8]) -> bool {
    let special = matches!(name, b"" | b"." | b"..") || name.eq_ignore_ascii_case(b".git");
    !special && !name.contains(&b'/') && !name.contains(&0)
}

/// Whether a symlink at `path` cannot lead out of the tree. Only targets of the form `../../a/b` are taken, with no `..`
/// after a name: such a name could itself be a symlink, and `..` would then start from wherever that leads.
fn stays_inside(path: &Path, target: &Path) -> bool {
    use std::path::Component;
    let mut up = 0;
    let mut names = 0;
    for component in target.components() {
        match component {
            Component::ParentDir if names == 0 => up += 1,
            Component::Normal(name) if !name.eq_ignore_ascii_case(".git") => names += 1,
            Component::CurDir => (),
            _ => return false,
        }
    }
    let depth = path.components().count().saturating_sub(1);
    up <= depth && up + names > 0 && !target.as_os_str().as_bytes().contains(&0)
}
