//! The forge that hosts the watched repository: pull requests, comments and
//! commit statuses on GitHub, GitLab and Gitea, through their APIs.
//!
//! A [`Forge`] knows one repository. Each kind has a file that knows its
//! paths and bodies; what they share is here and in `http`. Nothing is
//! retried here, and nothing in an answer decides what is deployed. The token
//! is read at each use, goes to the configured address only, and is part of
//! no message.

mod config;
mod gitea;
mod github;
mod gitlab;
mod http;

use amid_core::notice::CommitState;

pub use config::{Config, Kind, Way};
pub use http::{Error, Refusal};

use http::Http;

/// How many pages of a list are looked through.
const MAX_PAGES: u32 = 20;

/// One repository at its forge.
#[derive(Clone, Debug)]
pub struct Forge {
    kind: Kind,
    http: Http,
    /// Below the API's root: `/repos/you/infrastructure`.
    at: String,
    /// `you`, of GitHub's `you:branch`.
    owner: String,
}

/// A pull request; GitLab calls it a merge request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Its number in the repository.
    pub number: u64,
    /// Where people see it.
    pub link: String,
}

/// A pull request to open.
#[derive(Clone, Debug)]
pub struct NewPull<'a> {
    /// The branch that is to be merged.
    pub head: &'a str,
    /// The branch that it is merged into.
    pub base: &'a str,
    /// Its title.
    pub title: &'a str,
    /// Its text.
    pub body: &'a str,
}

/// What is to be shown beside a commit.
#[derive(Clone, Debug)]
pub struct Status<'a> {
    /// The commit.
    pub commit: &'a str,
    /// How far it got.
    pub state: CommitState,
    /// Whose word this is: a later one of the same name replaces it.
    pub context: &'a str,
    /// One sentence.
    pub text: &'a str,
    /// Where there is more to see.
    pub link: Option<&'a str>,
}

/// What an upsert did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// It was not there.
    Made,
    /// It was there, and says something else now.
    Changed,
    /// It was there and said so already.
    Nothing,
}

/// What a token may do at a repository, as far as the forge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may write, or the forge does not say.
    Write,
    /// It may only read.
    ReadOnly,
}

impl Forge {
    /// Makes a client for the repository at `url`. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// A sentence that names the field of the config that is missing.
    pub fn new(config: &Config, url: &str) -> anyhow::Result<Self> {
        let address = config.address(url)?;
        Ok(Self {
            kind: config.kind,
            http: Http::new(&address.api, config)?,
            at: address.path,
            owner: address.owner,
        })
    }

    /// The open pull request from `head` into `base`.
    ///
    /// # Errors
    ///
    /// When the forge does not answer, or refuses.
    pub async fn find_pull(&self, head: &str, base: &str) -> Result<Option<Pull>, Error> {
        match self.kind {
            Kind::Github => github::find_pull(self, head, base).await,
            Kind::Gitlab => gitlab::find_pull(self, head, base).await,
            Kind::Gitea => gitea::find_pull(self, head, base).await,
        }
    }

    /// Opens a pull request; where there is one from this branch already,
    /// that one gets the title and the text.
    ///
    /// # Errors
    ///
    /// When the forge does not answer, or refuses.
    pub async fn pull(&self, new: &NewPull<'_>) -> Result<(Pull, Did), Error> {
        if let Some(pull) = self.find_pull(new.head, new.base).await? {
            self.update(&pull, new).await?;
            return Ok((pull, Did::Changed));
        }
        let opened = match self.kind {
            Kind::Github => github::open(self, new).await,
            Kind::Gitlab => gitlab::open(self, new).await,
            Kind::Gitea => gitea::open(self, new).await,
        };
        match opened {
            Ok(pull) => Ok((pull, Did::Made)),
            // Somebody, perhaps another run of ours, was quicker.
            Err(error) if error.is_conflict() => match self.find_pull(new.head, new.base).await? {
                Some(pull) => Ok((pull, Did::Nothing)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn update(&self, pull: &Pull, new: &NewPull<'_>) -> Result<(), Error> {
        match self.kind {
            Kind::Github | Kind::Gitea => github::update(self, pull, new).await,
            Kind::Gitlab => gitlab::update(self, pull, new).await,
        }
    }

    /// Makes the comment that carries `mark` say `body`, which holds the mark
    /// too: one comment, however often this is called.
    ///
    /// # Errors
    ///
    /// When the forge does not answer, or refuses.
    pub async fn comment(&self, pull: &Pull, mark: &str, body: &str) -> Result<Did, Error> {
        match self.kind {
            Kind::Github | Kind::Gitea => github::comment(self, pull, mark, body).await,
            Kind::Gitlab => gitlab::comment(self, pull, mark, body).await,
        }
    }

    /// Shows a status beside a commit.
    ///
    /// # Errors
    ///
    /// When the forge does not answer, or refuses.
    pub async fn status(&self, status: &Status<'_>) -> Result<(), Error> {
        match self.kind {
            Kind::Github => github::status(self, status).await,
            Kind::Gitlab => gitlab::status(self, status).await,
            Kind::Gitea => gitea::status(self, status).await,
        }
    }

    /// Looks at the repository with the token, and changes nothing.
    ///
    /// # Errors
    ///
    /// When the forge does not answer, or refuses.
    pub async fn access(&self) -> Result<Access, Error> {
        let seen = self
            .http
            .ask(reqwest::Method::GET, &self.at, &[], None)
            .await?;
        let may_write = match self.kind {
            Kind::Github | Kind::Gitea => github::may_write(&seen),
            Kind::Gitlab => gitlab::may_write(&seen),
        };
        Ok(match may_write {
            Some(false) => Access::ReadOnly,
            Some(true) | None => Access::Write,
        })
    }

    /// For metrics and messages.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// The first `most` characters, with a sign that there were more.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}
