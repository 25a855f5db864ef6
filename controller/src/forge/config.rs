//! The config's section `forge`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use url::Url;

/// The forge that hosts the watched repository.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which API it speaks.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Its address as a browser has it; GitHub and GitLab have one of their
    /// own by default.
    pub url: Option<String>,
    /// The repository there, such as `you/infrastructure`; taken from
    /// `repository.url` by default.
    pub project: Option<String>,
    /// A file that holds an access token.
    pub token_file: PathBuf,
    /// How the commits of `bump`, `promote` and `rollback` get to the branch.
    #[serde(default)]
    pub changes: Way,
    /// Whether commits hear of their way.
    #[serde(default = "yes")]
    pub statuses: bool,
}

/// Which API it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// github.com, or GitHub Enterprise Server.
    Github,
    /// gitlab.com, or one's own.
    Gitlab,
    /// Gitea or Forgejo.
    Gitea,
}

impl Kind {
    /// As the config names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
        }
    }
}

/// How a commit gets to the branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By a branch of its own and a pull request.
    #[default]
    PullRequest,
    /// It is pushed to the branch itself.
    Push,
}

fn yes() -> bool {
    true
}

/// Where the API is, and the repository in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) api: String,
    pub(super) path: String,
    pub(super) owner: String,
}

impl Config {
    /// Holds it against the address of the repository.
    ///
    /// # Errors
    ///
    /// A sentence that names the field.
    pub fn check(&self, repository: &str) -> anyhow::Result<()> {
        self.address(repository).map(drop)
    }

    pub(super) fn address(&self, repository: &str) -> anyhow::Result<Address> {
        let web = match (&self.url, self.kind) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Kind::Github) => "https://github.com".to_owned(),
            (None, Kind::Gitlab) => "https://gitlab.com".to_owned(),
            (None, Kind::Gitea) => bail!("`forge.url` is missing: where the Gitea is"),
        };
        check_url(&web)?;
        let api = match self.kind {
            Kind::Github if web == "https://github.com" => "https://api.github.com".to_owned(),
            Kind::Github => format!("{web}/api/v3"),
            Kind::Gitlab => format!("{web}/api/v4"),
            Kind::Gitea => format!("{web}/api/v1"),
        };
        let project = match &self.project {
            Some(project) => project.clone(),
            None => project_of(repository).with_context(|| {
                format!(
                    "`forge.project` is missing, and `{}` does not tell it: write `owner/repository`",
                    crate::git::without_user(repository)
                )
            })?,
        };
        let segment = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        let parts: Vec<&str> = project.split('/').collect();
        // GitLab has groups inside each other.
        let deep = self.kind == Kind::Gitlab && parts.len() > 2;
        if !parts.iter().all(|part| segment(part)) || (parts.len() != 2 && !deep) {
            bail!("`forge.project` has the form `owner/repository`, not `{project}`");
        }
        let path = match self.kind {
            Kind::Gitlab => format!("/projects/{}", parts.join("%2F")),
            Kind::Github | Kind::Gitea => format!("/repos/{project}"),
        };
        let owner = parts.first().copied().unwrap_or_default().to_owned();
        Ok(Address { api, path, owner })
    }
}

/// A token goes over TLS, or stays on this machine.
fn check_url(web: &str) -> anyhow::Result<()> {
    let Ok(url) = Url::parse(web) else {
        bail!("`forge.url` cannot be read as an address");
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        bail!("`forge.url` holds more than an address: a token belongs into `forge.token_file`");
    }
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(()),
        "http" if local => Ok(()),
        "http" => bail!("`forge.url` is without TLS: the token is not sent that way, use https"),
        _ => bail!("`forge.url` begins with `https://`"),
    }
}

/// `you/infrastructure` out of an address such as
/// `git@example.com:you/infrastructure.git`; nothing for a folder.
fn project_of(repository: &str) -> Option<String> {
    if crate::git::local_path(repository).is_some() {
        return None;
    }
    let path = match repository.split_once("://") {
        Some(_) => Url::parse(repository).ok()?.path().to_owned(),
        None => repository.split_once(':')?.1.to_owned(),
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!path.is_empty()).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_address_is_found_or_said_to_be_missing() {
        let git = "git@example.com:you/infrastructure.git";
        for (text, repository, expected) in [
            (
                r#"{"type": "github", "token_file": "/t"}"#,
                git,
                Ok("https://api.github.com /repos/you/infrastructure you"),
            ),
            (
                r#"{"type": "github", "url": "https://ghe.example.com/", "token_file": "/t"}"#,
                "https://ghe.example.com/you/infrastructure",
                Ok("https://ghe.example.com/api/v3 /repos/you/infrastructure you"),
            ),
            (
                r#"{"type": "gitlab", "token_file": "/t"}"#,
                "ssh://git@gitlab.com:22/group/sub/infra.git",
                Ok("https://gitlab.com/api/v4 /projects/group%2Fsub%2Finfra group"),
            ),
            (
                r#"{"type": "gitea", "url": "http://127.0.0.1:3000", "project": "a/b", "token_file": "/t"}"#,
                "/srv/desired.git",
                Ok("http://127.0.0.1:3000/api/v1 /repos/a/b a"),
            ),
            (
                r#"{"type": "gitea", "token_file": "/t"}"#,
                git,
                Err("`forge.url` is missing"),
            ),
            (
                r#"{"type": "github", "token_file": "/t"}"#,
                "/srv/desired.git",
                Err("`forge.project` is missing"),
            ),
            (
                r#"{"type": "github", "url": "http://ghe.example.com", "token_file": "/t"}"#,
                git,
                Err("without TLS"),
            ),
            (
                r#"{"type": "github", "url": "https://u:secret@ghe.example.com", "token_file": "/t"}"#,
                git,
                Err("belongs into `forge.token_file`"),
            ),
            (
                r#"{"type": "github", "project": "a/../b", "token_file": "/t"}"#,
                git,
                Err("has the form"),
            ),
        ] {
            match (config(text).address(repository), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(
                    format!("{} {} {}", found.api, found.path, found.owner),
                    expected
                ),
                (Err(error), Err(words)) => {
                    let said = format!("{error:#}");
                    assert!(said.contains(words) && !said.contains("secret"), "{said}");
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
