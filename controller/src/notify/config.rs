//! The config's section `notify`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::bail;
use jiff::SignedDuration;
use serde::Deserialize;
use url::Url;

use amid_core::manifest::Seconds;
use amid_core::notice::{Policy, Severity};

/// The most receivers.
const MAX_RECEIVERS: usize = 64;

/// Who hears of what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where people see the page of this amid, for links.
    pub page: Option<String>,
    /// How long a hold must stand before it is told, and be gone before that
    /// is told.
    pub settle: Seconds,
    /// After how long a hold that still stands is told again.
    pub repeat: Seconds,
    /// Who can be told.
    pub receivers: Vec<Receiver>,
    /// Who is told, by the manifest's `owner`.
    pub routes: Vec<Route>,
    /// Who is told where no route fits.
    pub default: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            page: None,
            settle: Seconds(30),
            repeat: Seconds(4 * 3600),
            receivers: Vec::new(),
            routes: Vec::new(),
            default: Vec::new(),
        }
    }
}

/// One who can be told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// As routes name it.
    pub name: String,
    /// How it wants to be told.
    #[serde(rename = "type")]
    pub kind: ReceiverKind,
    /// Its address, where that is no secret.
    pub url: Option<String>,
    /// A file that holds its address.
    pub url_file: Option<PathBuf>,
    /// A file that holds the key of the signature; for `webhook`.
    pub secret_file: Option<PathBuf>,
    /// What is not worth its while.
    #[serde(default = "least")]
    pub least: Severity,
}

/// How a receiver wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiverKind {
    /// JSON with a signature.
    Webhook,
    /// As Slack's incoming webhooks take it; others do too.
    Slack,
}

/// Who is told of the apps of one owner.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// As manifests name it.
    pub owner: String,
    /// Receivers by name.
    pub to: Vec<String>,
}

fn least() -> Severity {
    Severity::Info
}

impl Config {
    /// When messages are due.
    pub fn policy(&self) -> Policy {
        let time = |seconds: Seconds| {
            SignedDuration::from_secs(i64::try_from(seconds.0).unwrap_or(i64::MAX))
        };
        Policy {
            settle: time(self.settle),
            repeat: time(self.repeat),
        }
    }

    /// Whom a message about an app of `owner` goes to.
    pub fn receivers_of(&self, owner: Option<&str>) -> &[String] {
        let route = owner.and_then(|owner| self.routes.iter().find(|route| route.owner == owner));
        route.map_or(&self.default, |route| &route.to)
    }

    /// Checks what belongs together.
    ///
    /// # Errors
    ///
    /// A sentence that names the field.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.receivers.len() > MAX_RECEIVERS {
            bail!("`notify.receivers` are more than {MAX_RECEIVERS}");
        }
        if self.repeat.0 == 0 {
            bail!("`notify.repeat` is `0s`: it takes at least a second");
        }
        let mut names = BTreeSet::new();
        for receiver in &self.receivers {
            if receiver.name.is_empty() || !names.insert(receiver.name.as_str()) {
                bail!(
                    "`notify.receivers` need a name each, and no two the same: `{}`",
                    receiver.name
                );
            }
            receiver.check()?;
        }
        let routed = self.routes.iter().flat_map(|route| &route.to);
        for name in routed.chain(&self.default) {
            if !names.contains(name.as_str()) {
                bail!("`notify` sends to `{name}`, which is not among `notify.receivers`");
            }
        }
        if let Some(page) = &self.page
            && Url::parse(page).map_or(true, |url| !matches!(url.scheme(), "http" | "https"))
        {
            bail!("`notify.page` is an address such as `https://amid.example.com`");
        }
        Ok(())
    }
}

impl Receiver {
    fn check(&self) -> anyhow::Result<()> {
        let name = &self.name;
        match (&self.url, &self.url_file) {
            (Some(_), Some(_)) | (None, None) => {
                bail!("The receiver `{name}` has either `url` or `url_file`")
            }
            (Some(url), None) => drop(address(url, self.kind, name)?),
            (None, Some(_)) => {}
        }
        match (self.kind, &self.secret_file) {
            (ReceiverKind::Webhook, None) => bail!(
                "The receiver `{name}` has no `secret_file`: it could not tell amid's messages from others"
            ),
            (ReceiverKind::Slack, Some(_)) => {
                bail!("The receiver `{name}` is of type `slack`, which knows no `secret_file`")
            }
            _ => Ok(()),
        }
    }
}

/// Reads the address of a receiver. No message holds any part of it.
pub(super) fn address(text: &str, kind: ReceiverKind, name: &str) -> anyhow::Result<Url> {
    let Ok(url) = Url::parse(text.trim()) else {
        bail!("The address of the receiver `{name}` cannot be read");
    };
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match (url.scheme(), kind) {
        ("https", _) => Ok(url),
        // A signed message holds no secret; an address of Slack is one.
        ("http", ReceiverKind::Webhook) => Ok(url),
        ("http", ReceiverKind::Slack) if local => Ok(url),
        _ => bail!("The address of the receiver `{name}` begins with `https://`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        let config: Result<Config, _> = serde_json::from_str(text);
        match config.map(|config| config.check()) {
            Ok(Ok(())) => String::new(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_does_not_belong_together_is_said() {
        let hook = r#"{"name": "a", "type": "webhook", "url": "http://x", "secret_file": "/s"}"#;
        for (text, words) in [
            ("{}".to_owned(), ""),
            (
                format!(r#"{{"receivers": [{hook}], "default": ["a"]}}"#),
                "",
            ),
            (
                format!(r#"{{"receivers": [{hook}], "default": ["b"]}}"#),
                "sends to `b`",
            ),
            (
                format!(r#"{{"receivers": [{hook}, {hook}]}}"#),
                "no two the same",
            ),
            (
                r#"{"receivers": [{"name": "a", "type": "webhook", "url": "http://x"}]}"#
                    .to_owned(),
                "no `secret_file`",
            ),
            (
                r#"{"receivers": [{"name": "a", "type": "slack", "url": "http://hooks/T0KEN"}]}"#
                    .to_owned(),
                "begins with `https://`",
            ),
            (
                r#"{"receivers": [{"name": "a", "type": "slack"}]}"#.to_owned(),
                "either `url` or `url_file`",
            ),
            (r#"{"repeat": "0s"}"#.to_owned(), "at least a second"),
            (r#"{"page": "amid"}"#.to_owned(), "notify.page"),
            (r#"{"reciever": []}"#.to_owned(), "unknown field"),
        ] {
            let said = check(&text);
            assert!(
                said.contains(words) && said.is_empty() == words.is_empty(),
                "{text}: {said}"
            );
            assert!(!said.contains("T0KEN"), "{said}");
        }
    }

    #[test]
    fn an_owner_without_a_route_goes_to_the_default() {
        let config: Config = serde_json::from_str(
            r#"{"routes": [{"owner": "team", "to": ["a"]}], "default": ["b"]}"#,
        )
        .unwrap();
        assert_eq!(config.receivers_of(Some("team")), ["a"]);
        assert_eq!(config.receivers_of(Some("other")), ["b"]);
        assert_eq!(config.receivers_of(None), ["b"]);
    }
}
