//! What git names: manifests at the head of every branch, at every tag, and in
//! the history of the accepted branch.

use std::collections::BTreeMap;

use anyhow::Context;

use amid_core::manifest::parse::app_name;
use amid_core::model::{AmiId, AppName, CommitId};
use amid_core::retention::{Evidence, Listing, Reference, Source, Target};

use crate::desired::commit_id;
use crate::git::{Mirror, Oid, Ref};

/// Branches, and tags, that are told of one image; with the newest of them an
/// image is as needed as with all.
const TOLD: usize = 20;

/// The three lists that git gives. Blocks.
pub(crate) fn lists(
    mirror: &Mirror,
    accepted: Oid,
    branch: &str,
) -> BTreeMap<Source, Listing<Reference>> {
    let mut lists = BTreeMap::new();
    lists.insert(Source::History, or_incomplete(history(mirror, accepted)));
    match mirror.fetch_refs() {
        Ok(refs) => {
            let (tags, branches): (Vec<Ref>, Vec<Ref>) =
                refs.into_iter().partition(|one| one.is_tag);
            lists.insert(
                Source::Branches,
                or_incomplete(branch_heads(mirror, accepted, branch, branches)),
            );
            lists.insert(Source::GitTags, or_incomplete(git_tags(mirror, tags)));
        }
        Err(error) => {
            let why = error.to_string();
            lists.insert(
                Source::Branches,
                Listing::incomplete(Vec::new(), why.clone()),
            );
            lists.insert(Source::GitTags, Listing::incomplete(Vec::new(), why));
        }
    }
    lists
}

/// The lists as they are while the repository was not read yet.
pub(crate) fn nothing_yet() -> BTreeMap<Source, Listing<Reference>> {
    [Source::History, Source::Branches, Source::GitTags]
        .map(|source| {
            let why = "the repository was not read yet";
            (source, Listing::incomplete(Vec::new(), why))
        })
        .into()
}

fn or_incomplete(list: anyhow::Result<Vec<Reference>>) -> Listing<Reference> {
    match list {
        Ok(items) => Listing::complete(items),
        Err(error) => Listing::incomplete(Vec::new(), format!("{error:#}")),
    }
}

fn history(mirror: &Mirror, head: Oid) -> anyhow::Result<Vec<Reference>> {
    let mut references = Vec::new();
    for version in mirror.versions(head)? {
        // A file that is no app's never rolled anything.
        let Some(app) = app_of(&version.path) else {
            continue;
        };
        let commit = commit_id(version.commit)?;
        for ami in version.amis.iter() {
            references.push(Reference {
                target: Target::Image(ami.clone()),
                evidence: Evidence::History {
                    app: app.clone(),
                    commit: commit.clone(),
                    path: version.path.to_string(),
                    changes_since: u32::try_from(version.newer).unwrap_or(u32::MAX),
                    until: version.until,
                },
            });
        }
    }
    Ok(references)
}

fn branch_heads(
    mirror: &Mirror,
    accepted: Oid,
    branch: &str,
    mut branches: Vec<Ref>,
) -> anyhow::Result<Vec<Reference>> {
    branches.sort_by_key(|one| (one.name != branch, std::cmp::Reverse(one.time)));
    let mut told = Told::default();
    // What is acted on now counts, whatever the remote's branch says since.
    let mut references = named(mirror, accepted, &mut told, |commit, path| {
        Evidence::Branch {
            branch: branch.to_owned(),
            accepted: true,
            commit,
            committed: None,
            path,
        }
    })?;
    for one in branches {
        let is_accepted = one.name == branch;
        if is_accepted && one.commit == accepted {
            continue;
        }
        references.extend(named(mirror, one.commit, &mut told, |commit, path| {
            Evidence::Branch {
                branch: one.name.clone(),
                accepted: is_accepted,
                commit,
                committed: Some(one.time),
                path,
            }
        })?);
    }
    Ok(references)
}

fn git_tags(mirror: &Mirror, mut tags: Vec<Ref>) -> anyhow::Result<Vec<Reference>> {
    tags.sort_by_key(|one| std::cmp::Reverse(one.time));
    let mut told = Told::default();
    let mut references = Vec::new();
    for one in tags {
        references.extend(named(mirror, one.commit, &mut told, |commit, path| {
            Evidence::GitTag {
                tag: one.name.clone(),
                commit,
                path,
            }
        })?);
    }
    Ok(references)
}

/// How often each image was told.
type Told = BTreeMap<AmiId, usize>;

fn named(
    mirror: &Mirror,
    at: Oid,
    told: &mut Told,
    evidence: impl Fn(CommitId, String) -> Evidence,
) -> anyhow::Result<Vec<Reference>> {
    let commit = commit_id(at).context("Failed to name a commit")?;
    let mut references = Vec::new();
    for one in mirror.named_at(at)?.iter() {
        let count = told.entry(one.ami.clone()).or_default();
        *count += 1;
        if *count <= TOLD {
            references.push(Reference {
                target: Target::Image(one.ami.clone()),
                evidence: evidence(commit.clone(), one.path.to_string()),
            });
        }
    }
    Ok(references)
}

fn app_of(path: &str) -> Option<AppName> {
    app_name(path).ok()
}
