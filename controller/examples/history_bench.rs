//! Measures the reading of git's revert window and prints JSON: 5,000 commits
//! of 200 manifests, read for the first time and after one commit more.
//!
//! `cargo run --release -p amid --example history_bench`

#![allow(clippy::disallowed_methods, reason = "a measurement: it reads clocks")]

use std::path::Path;
use std::time::Instant;

use amid::git::{Author, Credentials, Limits, Mirror, Remote};
use anyhow::Result;
use git2::build::TreeUpdateBuilder;
use git2::{Oid, Repository, RepositoryInitOptions, Signature, Time};
use serde_json::json;

const COMMITS: u32 = 5_000;
const APPS: u32 = 200;
const TEAMS: u32 = 20;
const BRANCH: &str = "refs/heads/main";
const ROUNDS: u32 = 9;

fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let origin = dir.path().join("origin.git");
    let mut options = RepositoryInitOptions::new();
    options.bare(true).initial_head("main");
    let repo = Repository::init_opts(&origin, &options)?;
    for number in 0..COMMITS {
        commit(&repo, number)?;
    }
    let state = dir.path().join("state");
    let (mut cold, mut one_more) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // The window lies in memory alone: a new mirror knows nothing.
        let mirror = mirror(&state, &origin)?;
        let head = mirror.fetch().map_err(anyhow::Error::msg)?;
        cold.push(versions(&mirror, head)?);
    }
    let mirror = mirror(&state, &origin)?;
    let head = mirror.fetch().map_err(anyhow::Error::msg)?;
    versions(&mirror, head)?;
    for number in COMMITS..COMMITS + ROUNDS {
        commit(&repo, number)?;
        let head = mirror.fetch().map_err(anyhow::Error::msg)?;
        one_more.push(versions(&mirror, head)?);
    }
    let printed = json!({ "commits": COMMITS, "cold_ms": cold, "one_more_ms": one_more });
    println!("{printed}");
    Ok(())
}

/// Milliseconds that reading every version takes.
fn versions(mirror: &Mirror, head: Oid) -> Result<f64> {
    let began = Instant::now();
    mirror.versions(head)?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn mirror(state: &Path, origin: &Path) -> Result<Mirror> {
    Mirror::open(
        state,
        Remote {
            url: origin.to_string_lossy().into_owned(),
            branch: "main".to_owned(),
            credentials: Credentials::None,
            author: Author {
                name: "amid".to_owned(),
                email: "amid@localhost".to_owned(),
            },
            limits: Limits::default(),
        },
    )
}

/// A commit that bumps one manifest.
fn commit(repo: &Repository, number: u32) -> Result<()> {
    let app = number * 7 % APPS;
    let path = format!("desired/team-{}/app-{app}.json", app % TEAMS);
    let blob = repo.blob(format!("{{\"ami\": \"ami-{number:017x}\"}}\n").as_bytes())?;
    let tip = repo.refname_to_id(BRANCH).ok();
    let parent = tip.map(|tip| repo.find_commit(tip)).transpose()?;
    let before = match &parent {
        Some(parent) => parent.tree()?,
        None => repo.find_tree(repo.treebuilder(None)?.write()?)?,
    };
    let mut update = TreeUpdateBuilder::new();
    update.upsert(path, blob, git2::FileMode::Blob);
    let tree = repo.find_tree(update.create_updated(repo, &before)?)?;
    let at = Time::new(1_700_000_000 + 60 * i64::from(number), 0);
    let who = Signature::new("Robin", "robin@localhost", &at)?;
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    repo.commit(Some(BRANCH), &who, &who, "Bump", &tree, &parents)?;
    Ok(())
}
