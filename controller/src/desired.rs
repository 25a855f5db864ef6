//! What git asks for: every manifest at the accepted commit, read and checked.
//!
//! An [`Accepted`] is made from one commit and never changes. It also knows,
//! per app, which commit asked for what stands there now.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use git2::Oid;

use amid_core::manifest::Manifest;
use amid_core::manifest::parse::{Problem, Source, app_name, parse};
use amid_core::model::{AppName, CommitId};
use amid_core::observe::Desired;

use crate::git::{CommitInfo, Mirror};

/// Everything that git asks for at one commit.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The commit.
    pub commit: Oid,
    /// By app.
    pub apps: BTreeMap<AppName, Wish>,
    /// Mistakes in files that are no app's.
    pub problems: Vec<String>,
    /// The tree of the folder that holds units and modules, as one hash.
    pub code: Option<String>,
}

/// What git asks of one app.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The manifest's path.
    pub path: String,
    /// What it says.
    pub desired: Desired,
    /// The newest commit that changed it.
    pub info: Option<CommitInfo>,
    /// All its mistakes, with their places.
    pub problems: Vec<String>,
}

impl Wish {
    /// The manifest, when it has no mistakes.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.desired {
            Desired::Wanted { manifest, .. } => Some(manifest),
            Desired::Invalid { .. } | Desired::Missing => None,
        }
    }
}

impl Accepted {
    /// Reads all manifests at `commit`. Blocks. `units` is the folder that
    /// holds units and modules.
    ///
    /// # Errors
    ///
    /// When the repository cannot be read; a bad manifest is no error here.
    pub fn read(mirror: &Mirror, commit: Oid, units: &str) -> anyhow::Result<Self> {
        let files = mirror.manifests(commit)?;
        let sources: Vec<Source<'_>> = files
            .files
            .iter()
            .map(|file| Source {
                path: &file.path,
                bytes: &file.bytes,
            })
            .collect();
        let parsed = parse(&sources);
        let mut apps = BTreeMap::new();
        for (app, result) in parsed.apps {
            let path = format!("desired/{app}.json");
            let info = mirror.last_change(commit, &path)?;
            let asked = info.as_ref().map_or(commit, |info| info.id);
            let (desired, problems) = match result {
                Ok(manifest) => (
                    Desired::Wanted {
                        manifest: Box::new(manifest),
                        commit: commit_id(asked)?,
                    },
                    Vec::new(),
                ),
                Err(problems) => (
                    invalid(&problems),
                    problems.iter().map(ToString::to_string).collect(),
                ),
            };
            apps.insert(
                app,
                Wish {
                    path,
                    desired,
                    info,
                    problems,
                },
            );
        }
        let mut problems: Vec<String> = parsed.problems.iter().map(ToString::to_string).collect();
        for refused in &files.refused {
            let why = format!("{}: {}", refused.path, refused.why);
            match app_name(&refused.path) {
                Ok(app) => {
                    apps.insert(
                        app,
                        Wish {
                            path: refused.path.clone(),
                            desired: Desired::Invalid {
                                problems: 1,
                                first: why.clone(),
                            },
                            info: None,
                            problems: vec![why],
                        },
                    );
                }
                Err(_) => problems.push(why),
            }
        }
        Ok(Self {
            commit,
            apps,
            problems,
            code: mirror.tree_at(commit, units)?.map(|tree| tree.to_string()),
        })
    }

    /// What git asks of `app`; nothing, when it has no manifest.
    pub fn desired(&self, app: &AppName) -> Desired {
        self.apps
            .get(app)
            .map_or(Desired::Missing, |wish| wish.desired.clone())
    }
}

fn invalid(problems: &[Problem]) -> Desired {
    Desired::Invalid {
        problems: u32::try_from(problems.len()).unwrap_or(u32::MAX),
        first: problems
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

/// A git id as the core knows it.
///
/// # Errors
///
/// Never for ids of git2; the form is checked all the same.
pub fn commit_id(oid: Oid) -> anyhow::Result<CommitId> {
    CommitId::parse(&oid.to_string())
        .map_err(anyhow::Error::msg)
        .context("Failed to read a commit id")
}

/// The accepted commit, shared between the loop and the passes.
pub type Shared = tokio::sync::watch::Receiver<Option<Arc<Accepted>>>;
