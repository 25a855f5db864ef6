//! The manifests of this repository are ones that amid takes.
//!
//! People clone them: a mistake in there would be the first thing that they see.

use std::{
    fs,
    path::{Path, PathBuf},
};

use amid_core::manifest::parse::{Source, parse};

#[test]
fn the_manifests_of_this_repository_have_no_mistakes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    walk(&root.join("desired"), &mut files);
    let read: Vec<(String, Vec<u8>)> = files
        .iter()
        .map(|file| {
            let path = file.strip_prefix(&root).unwrap();
            (path.to_str().unwrap().to_owned(), fs::read(file).unwrap())
        })
        .collect();
    let sources: Vec<Source<'_>> = read
        .iter()
        .map(|(path, bytes)| Source { path, bytes })
        .collect();
    let parsed = parse(&sources);
    let mut problems: Vec<String> = parsed.problems.iter().map(ToString::to_string).collect();
    for manifest in parsed.apps.values() {
        if let Err(mistakes) = manifest {
            problems.extend(mistakes.iter().map(ToString::to_string));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let environments = ["demo", "staging", "prod"];
    for environment in environments {
        assert!(
            parsed
                .apps
                .keys()
                .any(|app| app.as_str().starts_with(environment)),
            "{environment} has no manifest"
        );
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
}
