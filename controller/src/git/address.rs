//! Repository addresses: which kinds are accepted, which of them are folders of this machine, and how to show one.
//!
//! A password in an address ends up in logs and process lists, so an address with one is refused rather than used.
//! Shown addresses go through [`without_user`] all the same.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use url::Url;

/// A repository address that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A folder of this machine.
    Local(PathBuf),
    /// `https://`, or `http://` for a server without TLS.
    Http { host: String, private: bool },
    /// `ssh://user@host/path` or `user@host:path`.
    Ssh { user: Option<String> },
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self> {
        ensure!(!url.is_empty(), "The repository's address is empty");
        ensure!(
            !url.starts_with('-') && !url.chars().any(char::is_control),
            "The repository's address begins with `-` or holds control characters"
        );
        if let Some(path) = local_path(url) {
            return Ok(Self::Local(path));
        }
        if !url.contains("://") {
            let user = url.split_once('@').map(|(user, _)| user.to_owned());
            return Ok(Self::Ssh { user });
        }
        // The parser's own message would not name the address, and naming it could show a password.
        let Ok(parsed) = Url::parse(url) else {
            bail!("The repository's address cannot be read as a URL")
        };
        ensure!(
            parsed.password().is_none(),
            "The repository's address holds a password: write it into a file and name that as `token_file`"
        );
        let host = parsed.host_str().unwrap_or_default().to_owned();
        ensure!(!host.is_empty(), "The repository's address names no host");
        match parsed.scheme() {
            "https" => Ok(Self::Http {
                host,
                private: true,
            }),
            "http" => {
                let private = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
                Ok(Self::Http { host, private })
            }
            "ssh" => {
                let user = Some(parsed.username())
                    .filter(|user| !user.is_empty())
                    .map(str::to_owned);
                Ok(Self::Ssh { user })
            }
            other => bail!(
                "`{other}://` is not supported for the repository: use https, ssh, file or a path"
            ),
        }
    }
}

/// The folder that an address names, when it is one of this machine: a path or `file://`.
pub fn local_path(url: &str) -> Option<PathBuf> {
    if let Some((scheme, _)) = url.split_once("://") {
        let file = scheme.eq_ignore_ascii_case("file");
        return file
            .then(|| Url::parse(url).ok()?.to_file_path().ok())
            .flatten();
    }
    // As git reads it: a colon before the first slash makes it `host:path`.
    let host_like = url
        .find(':')
        .is_some_and(|colon| url.find('/').is_none_or(|slash| colon < slash));
    (!url.is_empty() && !host_like).then(|| PathBuf::from(url))
}

/// `text` with the user part of every address in it left out, fit for logs and messages.
pub fn without_user(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace())
            .unwrap_or(after.len());
        rest = after[..end]
            .rfind('@')
            .map_or(after, |user| &after[user + 1..]);
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_file_urls_are_local_and_nothing_else_is() {
        for (url, path) in [
            ("/srv/repo.git", Some("/srv/repo.git")),
            ("repo.git", Some("repo.git")),
            ("./a:b/repo.git", Some("./a:b/repo.git")),
            ("file:///srv/my%20repo.git", Some("/srv/my repo.git")),
            ("git@example.com:team/repo.git", None),
            ("example.com:repo.git", None),
            ("https://example.com/repo.git", None),
            ("", None),
        ] {
            assert_eq!(local_path(url), path.map(PathBuf::from), "{url}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_refused_without_showing_it() {
        let error = Address::parse("https://user:hunter2@example.com/r.git").unwrap_err();
        assert!(error.to_string().contains("token_file"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn addresses_that_could_run_or_fool_something_are_refused() {
        for url in [
            "-oProxyCommand=x",
            "ext::sh -c x://y",
            "https://a\nb/",
            "git://example.com/r",
            "https://",
            "",
        ] {
            assert!(Address::parse(url).is_err(), "{url:?} was accepted");
        }
    }

    #[test]
    fn plain_http_is_private_only_on_this_machine() {
        for (url, private) in [
            ("http://127.0.0.1:8000/r", true),
            ("http://git.lan/r", false),
            ("https://git.lan/r", true),
        ] {
            assert!(
                matches!(Address::parse(url), Ok(Address::Http { private: p, .. }) if p == private),
                "{url}"
            );
        }
    }

    #[test]
    fn the_user_part_is_left_out_of_what_is_shown() {
        assert_eq!(
            without_user("failed: https://me:pw@h/x and ssh://git@h:22/y"),
            "failed: https://h/x and ssh://h:22/y"
        );
        assert_eq!(without_user("no address, me@home"), "no address, me@home");
    }
}
