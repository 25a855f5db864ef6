//! `amid validate`: the daemon's own parser over a folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use amid_core::manifest::parse::{Source, parse};

/// More files than any repository of manifests has.
const MAX_FILES: usize = 10_000;
/// The largest manifest that is read, in bytes; the parser refuses less.
const MAX_BYTES: u64 = 2 << 20;

/// Checks every manifest below `path` and prints each mistake. Returns
/// whether there was none.
///
/// # Errors
///
/// When `path` cannot be read, or there is no manifest.
pub fn validate(path: &Path, out: &mut impl std::io::Write) -> anyhow::Result<bool> {
    let read = read(path)?;
    let sources: Vec<Source<'_>> = read
        .iter()
        .map(|(path, bytes)| Source { path, bytes })
        .collect();
    let parsed = parse(&sources);
    let mut problems = parsed.problems;
    let apps = parsed.apps.len();
    for result in parsed.apps.into_values() {
        problems.extend(result.err().unwrap_or_default());
    }
    for problem in &problems {
        writeln!(out, "{problem}")?;
    }
    let mistakes = problems.len();
    let manifests = if apps == 1 { "manifest" } else { "manifests" };
    match mistakes {
        0 => writeln!(out, "{apps} {manifests}, no mistakes")?,
        _ => writeln!(out, "{apps} {manifests}, mistakes: {mistakes}")?,
    }
    Ok(mistakes == 0)
}

/// Every manifest below `path`: its path from the repository's root and what is
/// in it.
///
/// # Errors
///
/// When `path` cannot be read, or there is no manifest.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let (root, files) = find(path)?;
    if files.is_empty() {
        bail!(
            "There is no manifest below `{}`: a repository has them in `desired/`",
            path.display()
        );
    }
    let mut read = Vec::new();
    for file in &files {
        let name = file
            .strip_prefix(&root)
            .unwrap_or(file)
            .to_string_lossy()
            .into_owned();
        let size = fs::metadata(file)
            .with_context(|| format!("Failed to read `{}`", file.display()))?
            .len();
        let bytes = if size > MAX_BYTES {
            // The parser words this better than we could; it needs only the size.
            vec![b' '; usize::try_from(MAX_BYTES).unwrap_or(0) + 1]
        } else {
            fs::read(file).with_context(|| format!("Failed to read `{}`", file.display()))?
        };
        read.push((name, bytes));
    }
    Ok(read)
}

/// The repository's root and the manifests that `path` means.
fn find(path: &Path) -> anyhow::Result<(PathBuf, Vec<PathBuf>)> {
    let path = path
        .canonicalize()
        .with_context(|| format!("Failed to find `{}`", path.display()))?;
    let desired = path
        .ancestors()
        .find(|ancestor| ancestor.file_name().is_some_and(|name| name == "desired"))
        .map(Path::to_path_buf);
    let start = match &desired {
        Some(_) => path.clone(),
        None => path.join("desired"),
    };
    let root = match &desired {
        Some(desired) => desired.parent().unwrap_or(desired).to_path_buf(),
        None => path,
    };
    let mut files = Vec::new();
    if start.is_file() {
        files.push(start);
    } else if start.is_dir() {
        walk(&start, &mut files)?;
    }
    files.retain(|file| {
        let schema = root.join("desired").join("schema.json");
        file.extension()
            .is_some_and(|extension| extension == "json")
            && *file != schema
    });
    files.sort();
    Ok((root, files))
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("Failed to list `{}`", dir.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
        if files.len() > MAX_FILES {
            bail!(
                "There are more than {MAX_FILES} files below `{}`",
                dir.display()
            );
        }
    }
    Ok(())
}
