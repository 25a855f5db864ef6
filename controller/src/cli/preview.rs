//! `amid preview`: says what merging a branch would do, before it is merged.
//!
//! It reads manifests out of git's objects and asks AWS about images and
//! groups. It runs nothing of what the branch holds, no terraform and no
//! hook: a pull request's HCL is code, and whoever may open a pull request is
//! not thereby one who may run code with amid's credentials. For the same
//! reason only branches of the watched repository are looked at, never those
//! of forks.

mod shown;

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, bail};
use git2::Oid;
use serde::Serialize;

use amid_core::manifest::Manifest;
use amid_core::manifest::parse::{SCHEMA, Source, app_name, parse};
use amid_core::model::AppName;
use amid_core::notice::CommitState;
use amid_core::observe::ImageFact;
use amid_core::preview::{After, Aws as AwsFacts, Facts, Preview, preview as foretell};

use super::args::Output;
use super::deliver::{Copy, blocking};
use crate::aws::{Aws, Counter, Scope};
use crate::config::Config;
use crate::forge::{Forge, Status};
use crate::git::Mirror;

/// The status's name beside a commit.
const CONTEXT: &str = "amid/preview";

/// What was typed.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The branch.
    pub branch: String,
    /// Whether the forge gets to see it.
    pub publish: bool,
    /// Whether AWS is left alone.
    pub offline: bool,
    /// How to print.
    pub output: Output,
}

/// What merging would do.
#[derive(Clone, Debug, Serialize)]
struct Report {
    branch: String,
    commit: String,
    into: String,
    /// Whether it may be merged, as far as this can tell.
    ok: bool,
    /// Whether AWS was asked.
    online: bool,
    apps: BTreeMap<AppName, Preview>,
    /// Mistakes in files that are no app's.
    problems: Vec<String>,
    /// Files that are code to amid.
    code: Vec<String>,
}

/// One app that the branch touches.
struct Touched {
    app: AppName,
    before: Option<Manifest>,
    after: Then,
    both: bool,
    unit: bool,
}

/// What would stand in git.
enum Then {
    Manifest(Box<Manifest>),
    Invalid(Vec<String>),
    Deleted,
}

/// Prints it, and publishes it where that was asked for. Returns whether the
/// branch may be merged.
///
/// # Errors
///
/// When the repository cannot be read, or the forge does not take it.
pub async fn preview(config: Config, asked: Asked, out: &mut impl Write) -> anyhow::Result<bool> {
    let forge = match (&config.forge, asked.publish) {
        (Some(forge), true) => Some(Forge::new(forge, &config.repository.url)?),
        (None, true) => bail!("There is no `forge` in the config to publish to"),
        (_, false) => None,
    };
    let read = {
        let (config, branch) = (config.clone(), asked.branch.clone());
        blocking(move || Read::of(&config, &branch)).await?
    };
    let report = report(&config, read, &asked).await;
    match asked.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
        Output::Text => out.write_all(shown::text(&report).as_bytes())?,
    }
    if let Some(forge) = forge {
        publish(&forge, &config, &report).await?;
    }
    Ok(report.ok)
}

async fn publish(forge: &Forge, config: &Config, report: &Report) -> anyhow::Result<()> {
    let base = &config.repository.branch;
    let found = forge.find_pull(&report.branch, base).await;
    let pull = found.context("Failed to look for the pull request")?;
    let pull = pull.with_context(|| {
        format!(
            "There is no open pull request from `{}` into `{base}`",
            report.branch
        )
    })?;
    let status = Status {
        commit: &report.commit,
        state: match report.ok {
            true => CommitState::Deployed,
            false => CommitState::Failed,
        },
        context: CONTEXT,
        text: &shown::line(report),
        link: Some(&pull.link),
    };
    forge
        .comment(&pull, shown::MARK, &shown::markdown(report))
        .await
        .context("Failed to comment on the pull request")?;
    let posted = forge.status(&status).await;
    posted.context("Failed to put a status beside the commit")
}

/// What git says.
struct Read {
    head: Oid,
    touched: Vec<Touched>,
    problems: Vec<String>,
    code: Vec<String>,
}

impl Read {
    /// Blocks.
    fn of(config: &Config, branch: &str) -> anyhow::Result<Self> {
        if !git2::Reference::is_valid_name(&format!("refs/heads/{branch}")) {
            bail!("`{branch}` cannot be the name of a git branch");
        }
        let copy = Copy::fetch(config)?;
        let mirror = &copy.mirror;
        let head = mirror
            .fetch_branch(branch)
            .map_err(|error| anyhow::Error::msg(error.to_string()))?
            .with_context(|| {
                format!(
                    "The watched repository has no branch `{branch}`; branches of forks are not looked at"
                )
            })?;
        let fork = mirror.merge_base(copy.head, head)?.with_context(|| {
            format!(
                "`{branch}` has no commit in common with `{}`",
                config.repository.branch
            )
        })?;
        let theirs = mirror.difference(fork, head)?;
        let ours = mirror.difference(fork, copy.head)?;
        if theirs.more {
            bail!("`{branch}` changes more files than can be looked at");
        }
        let manifests: Vec<&String> = theirs
            .files
            .iter()
            .filter(|path| is_manifest(path))
            .collect();
        let root = format!("{}/", config.terragrunt.root);
        let code: Vec<String> = theirs
            .files
            .iter()
            .filter(|path| path.starts_with(&root))
            .cloned()
            .collect();
        // What would stand: the branch that it is merged into, with what this
        // one changes laid over it.
        let now = files(mirror, copy.head)?;
        let there = files(mirror, head)?;
        let mut then = now.clone();
        for path in &manifests {
            match there.get(*path) {
                Some(bytes) => then.insert((*path).clone(), bytes.clone()),
                None => then.remove(*path),
            };
        }
        let before = parse(&sources(&now));
        let mut after = parse(&sources(&then));
        let mut problems: Vec<String> = after
            .problems
            .iter()
            .filter(|problem| manifests.iter().any(|path| **path == problem.file))
            .map(ToString::to_string)
            .collect();
        let refused = mirror.manifests(head)?;
        problems.extend(
            refused
                .refused
                .iter()
                .filter(|refused| theirs.files.contains(&refused.path))
                .map(|refused| format!("{}: {}", refused.path, refused.why)),
        );
        let mut touched = Vec::new();
        for path in manifests {
            let Ok(app) = app_name(path) else {
                continue;
            };
            let after = match after.apps.remove(&app) {
                Some(Ok(manifest)) => Then::Manifest(Box::new(manifest)),
                Some(Err(problems)) => {
                    Then::Invalid(problems.iter().map(ToString::to_string).collect())
                }
                None if refused.refused.iter().any(|one| one.path == *path) => continue,
                None => Then::Deleted,
            };
            let unit = match &after {
                Then::Manifest(manifest) => {
                    let file = format!("{root}{}/terragrunt.hcl", manifest.unit);
                    mirror.blob_at(head, &file)?.is_some()
                        || mirror.blob_at(copy.head, &file)?.is_some()
                }
                Then::Invalid(_) | Then::Deleted => true,
            };
            let before = before.apps.get(&app).and_then(|read| read.clone().ok());
            touched.push(Touched {
                before,
                after,
                both: ours.files.contains(path),
                unit,
                app,
            });
        }
        Ok(Self {
            head,
            touched,
            problems,
            code,
        })
    }
}

fn is_manifest(path: &str) -> bool {
    path.starts_with("desired/") && path.ends_with(".json") && path != SCHEMA
}

fn files(mirror: &Mirror, commit: Oid) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let manifests = mirror.manifests(commit)?;
    let files = manifests.files.iter();
    Ok(files
        .map(|file| (file.path.clone(), file.bytes.to_vec()))
        .collect())
}

fn sources(files: &BTreeMap<String, Vec<u8>>) -> Vec<Source<'_>> {
    files
        .iter()
        .map(|(path, bytes)| Source { path, bytes })
        .collect()
}

async fn report(config: &Config, read: Read, asked: &Asked) -> Report {
    let mut clients = Clients::new(config);
    let mut apps = BTreeMap::new();
    for one in read.touched {
        let after = match &one.after {
            Then::Manifest(manifest) => After::Manifest(manifest),
            Then::Invalid(problems) => After::Invalid(problems.clone()),
            Then::Deleted => After::Deleted,
        };
        let mut unasked = None;
        let aws = match (&one.after, asked.offline) {
            (Then::Manifest(after), false) => {
                match clients.ask(&one.app, one.before.as_ref(), after).await {
                    Ok(aws) => aws,
                    Err(error) => {
                        unasked = Some(format!("AWS could not be asked: {error:#}"));
                        None
                    }
                }
            }
            _ => None,
        };
        let facts = Facts {
            before: one.before.as_ref(),
            after,
            both: one.both,
            covered: config.target(&one.app).is_some(),
            unit: one.unit,
            aws,
        };
        let mut told = foretell(&facts);
        told.problems.extend(unasked);
        apps.insert(one.app, told);
    }
    let ok = read.problems.is_empty() && apps.values().all(|app| app.problems.is_empty());
    Report {
        branch: asked.branch.clone(),
        commit: read.head.to_string(),
        into: config.repository.branch.clone(),
        ok,
        online: !asked.offline,
        apps,
        problems: read.problems,
        code: read.code,
    }
}

/// The clients of the targets that were asked so far.
struct Clients<'a> {
    config: &'a Config,
    made: BTreeMap<usize, Result<Aws, String>>,
}

impl<'a> Clients<'a> {
    fn new(config: &'a Config) -> Self {
        Self {
            config,
            made: BTreeMap::new(),
        }
    }

    /// What AWS says of one app; nothing where no target covers it.
    async fn ask(
        &mut self,
        app: &AppName,
        before: Option<&Manifest>,
        after: &Manifest,
    ) -> anyhow::Result<Option<AwsFacts>> {
        let Some(index) = self.config.target(app) else {
            return Ok(None);
        };
        if !self.made.contains_key(&index) {
            let made = self.connect(index).await;
            self.made
                .insert(index, made.map_err(|error| format!("{error:#}")));
        }
        let aws = match self.made.get(&index) {
            Some(Ok(aws)) => aws,
            Some(Err(why)) => bail!("{why}"),
            None => return Ok(None),
        };
        let mut fleet = aws.fleet(Scope::App(app)).await?;
        let image = aws.image(&after.ami, &after.instance_types).await?;
        let old_image = match before {
            Some(before) if before.ami == after.ami => image.clone(),
            Some(before) => aws.image(&before.ami, &before.instance_types).await?,
            None => ImageFact::NotAsked,
        };
        Ok(Some(AwsFacts {
            groups: fleet.apps.remove(app).unwrap_or_default(),
            image,
            old_image,
        }))
    }

    async fn connect(&self, index: usize) -> anyhow::Result<Aws> {
        let target = self
            .config
            .targets
            .get(index)
            .context("There is no such target")?;
        let aws = Aws::connect(&crate::daemon::place(target), Counter::none()).await;
        let found = aws.account().await?;
        if found != target.account_id {
            bail!(
                "the credentials are for account {found}, the config says {}",
                target.account_id
            );
        }
        Ok(aws)
    }
}
