//! How an edited manifest gets to the branch: pushed, or as a pull request
//! from a branch of its own.
//!
//! Each app has one such branch for each verb. A newer edit replaces the
//! commit on it, and its pull request shows the newer one: of ten builds
//! nine never become a pull request that somebody has to close. A branch with
//! somebody else's commit on it is left alone.

use anyhow::{Context, bail};
use git2::Oid;
use jiff::Timestamp;

use amid_core::bump::Words;
use amid_core::manifest::Manifest;
use amid_core::manifest::parse::{Source, parse_one};
use amid_core::model::AppName;

use crate::config::Config;
use crate::forge::{Did, Forge, NewPull, Way};
use crate::git::{Author, Change, Mirror, Pushed};

/// How often a branch that moves is tried.
const TRIES: u32 = 3;

/// A copy of the repository as it is now.
pub(super) struct Copy {
    pub(super) mirror: Mirror,
    /// The head of the watched branch.
    pub(super) head: Oid,
    // Last, so that it is removed when the mirror is gone.
    _folder: tempfile::TempDir,
}

/// One manifest in it.
pub(super) struct Found {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
    pub(super) manifest: Manifest,
}

/// A manifest that is to become another.
pub(super) struct Edit {
    pub(super) app: AppName,
    pub(super) found: Found,
    pub(super) content: Vec<u8>,
    pub(super) words: Words,
    /// `bump`, `promote`, `rollback`: a part of the branch's name.
    pub(super) verb: &'static str,
}

impl Copy {
    /// Fetches it. Blocks.
    pub(super) fn fetch(config: &Config) -> anyhow::Result<Self> {
        let folder =
            tempfile::tempdir().context("Failed to make a folder for a copy of the repository")?;
        let mirror = Mirror::open(folder.path(), crate::daemon::remote(config)?)?;
        let head = mirror
            .fetch()
            .map_err(|error| anyhow::Error::msg(error.to_string()))?;
        Ok(Self {
            mirror,
            head,
            _folder: folder,
        })
    }

    /// The manifest of an app.
    pub(super) fn manifest(&self, config: &Config, app: &AppName) -> anyhow::Result<Found> {
        let path = format!("desired/{app}.json");
        let Some(bytes) = self.mirror.blob_at(self.head, &path)? else {
            bail!(
                "There is no `{path}` on branch `{}`",
                config.repository.branch
            );
        };
        let manifest = read(&path, &bytes)?;
        Ok(Found {
            path,
            bytes,
            manifest,
        })
    }
}

fn read(path: &str, bytes: &[u8]) -> anyhow::Result<Manifest> {
    parse_one(&Source { path, bytes }).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })
}

/// Runs blocking work beside the runtime.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("Failed to read the repository")?
}

/// Brings `edit` to the branch, the way that the config says. Returns a
/// sentence.
pub(super) async fn deliver(
    config: Config,
    copy: Copy,
    edit: Edit,
    at: Timestamp,
) -> anyhow::Result<String> {
    let Edit { app, found, .. } = &edit;
    if edit.content == found.bytes {
        return Ok(format!(
            "Nothing to do: `{}` says so already on branch `{}`",
            found.path, config.repository.branch
        ));
    }
    read(&found.path, &edit.content)
        .context("The edited manifest has mistakes, nothing was written")?;
    let change = Change {
        base: copy.head,
        path: found.path.clone(),
        content: edit.content.clone(),
        message: edit.words.message(),
        at,
    };
    let Some(forge_config) = &config.forge else {
        let pushed = push(copy, change).await?;
        return pushed_words(&config, app, pushed);
    };
    let forge = Forge::new(forge_config, &config.repository.url)?;
    let branch = match forge_config.changes {
        Way::Push => match push(copy, change).await? {
            Pushed::Refused {
                branch: Some(branch),
                ..
            } => branch,
            pushed => return pushed_words(&config, app, pushed),
        },
        Way::PullRequest => {
            let branch = format!("amid/{}/{}", edit.verb, app.aws_name());
            let author: Author = config.repository.author.parse()?;
            let (name, app) = (branch.clone(), app.clone());
            blocking(move || aside(&copy, &change, &name, &app, &author)).await?;
            branch
        }
    };
    let new = NewPull {
        head: &branch,
        base: &config.repository.branch,
        title: &edit.words.subject,
        body: &edit.words.body,
    };
    let (pull, did) = forge.pull(&new).await.with_context(|| {
        format!("The commit is on branch `{branch}`, but there is no pull request; run it again")
    })?;
    Ok(match did {
        Did::Made => format!("Pull request opened: {}", pull.link),
        Did::Changed | Did::Nothing => format!("Pull request is there: {}", pull.link),
    })
}

async fn push(copy: Copy, change: Change) -> anyhow::Result<Pushed> {
    blocking(move || copy.mirror.commit_and_push(change)).await
}

fn pushed_words(config: &Config, app: &AppName, pushed: Pushed) -> anyhow::Result<String> {
    match pushed {
        Pushed::Done(commit) => Ok(format!(
            "Committed {} to branch `{}`: {app} rolls when amid sees it",
            &commit.to_string()[..8],
            config.repository.branch
        )),
        Pushed::Moved(_) => bail!("The branch moved meanwhile: run it again"),
        Pushed::Refused {
            reason,
            branch: Some(branch),
        } => {
            bail!("The remote refused the commit ({reason}); it is on branch `{branch}`: merge it")
        }
        Pushed::Refused {
            reason,
            branch: None,
        } => bail!("The remote refused the commit: {reason}"),
    }
}

/// Makes `branch` hold `change`. Blocks.
fn aside(
    copy: &Copy,
    change: &Change,
    branch: &str,
    app: &AppName,
    author: &Author,
) -> anyhow::Result<()> {
    let mirror = &copy.mirror;
    for _ in 0..TRIES {
        let tip = mirror
            .fetch_branch(branch)
            .map_err(|error| anyhow::Error::msg(error.to_string()))?;
        if let Some(tip) = tip {
            let merged = mirror.is_ancestor(tip, copy.head)?;
            let same = mirror.blob_at(tip, &change.path)?.as_ref() == Some(&change.content);
            if same && !merged {
                return Ok(());
            }
            let (info, message) = mirror.commit(tip)?;
            let ours =
                info.email == author.email && message.contains(&format!("\nAmid-App: {app}\n"));
            if !ours && !merged {
                bail!(
                    "Branch `{branch}` holds the commit {} of {}, which amid did not make: merge it, or delete the branch",
                    &tip.to_string()[..8],
                    info.author
                );
            }
        }
        match mirror.commit_aside(change.clone(), branch, tip)? {
            Pushed::Done(_) => return Ok(()),
            Pushed::Moved(_) => {}
            Pushed::Refused { reason, .. } => {
                bail!("The remote refused branch `{branch}`: {reason}")
            }
        }
    }
    bail!("Branch `{branch}` moved {TRIES} times meanwhile: run it again")
}
