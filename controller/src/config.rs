//! The controller's own config: `amid.json`, and the little that comes from
//! the environment.
//!
//! It is not in the watched repository, because it holds what no pull request
//! may change: where the repository is, which accounts may be touched, and by
//! which program. This is the only file that reads environment variables.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use amid_core::manifest::Seconds;
use amid_core::model::AppName;

/// The controller's config.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The watched repository.
    pub repository: Repository,
    /// Where journal, mirror, exports and evidence live.
    pub state_dir: PathBuf,
    /// Time between two looks at everything.
    #[serde(default = "default_sweep")]
    pub sweep: Seconds,
    /// How terragrunt is run.
    #[serde(default)]
    pub terragrunt: Terragrunt,
    /// The listener for metrics and status.
    #[serde(default)]
    pub http: Http,
    /// The socket that the command line talks to.
    #[serde(default)]
    pub socket: Socket,
    /// The listener for webhooks; off without it.
    pub webhook: Option<Webhook>,
    /// The forge that hosts the repository; without it there are no pull
    /// requests and no commit statuses.
    pub forge: Option<crate::forge::Config>,
    /// Who hears of what; nobody without it.
    #[serde(default)]
    pub notify: crate::notify::Config,
    /// Which app lives where, the longest matching prefix first.
    pub targets: Vec<Target>,
    /// Apps that may roll at the same time.
    #[serde(default = "default_rolls")]
    pub max_concurrent_rolls: u32,
    /// How long a stop waits for a running apply before it leaves it to the
    /// next start.
    #[serde(default = "default_grace")]
    pub stop_grace: Seconds,
    /// How images are cleaned up; not at all without it.
    pub cleanup: Option<crate::cleanup::Config>,
    /// The first digits of the file's SHA-256, as `sha256sum` prints them: by
    /// them people see which config runs, and nothing of what is in it.
    #[serde(skip)]
    pub hash: String,
}

/// How many digits of the hash are shown.
const SHOWN: usize = 8;

/// The watched repository.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// A path, or a URL by https or ssh, without credentials.
    pub url: String,
    /// The branch whose manifests count.
    #[serde(default = "default_branch")]
    pub branch: String,
    /// Time between two looks at it.
    #[serde(default = "default_poll")]
    pub poll: Seconds,
    /// Who writes revert commits: `name <mail>`.
    #[serde(default = "default_author")]
    pub author: String,
    /// A file that holds an access token.
    pub token_file: Option<PathBuf>,
    /// A file that holds a private SSH key.
    pub ssh_key_file: Option<PathBuf>,
}

/// How terragrunt is run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Terragrunt {
    /// The terragrunt program.
    pub binary: PathBuf,
    /// The terraform or tofu program.
    pub terraform: PathBuf,
    /// The folder of the repository that `unit` is relative to.
    pub root: String,
    /// Memory to reckon for one run; runs are bounded by what the machine
    /// has.
    pub memory_per_run_mib: u64,
    /// A plan that takes longer is ended.
    pub plan_timeout: Seconds,
    /// An apply that takes longer is asked to stop.
    pub apply_timeout: Seconds,
    /// Further environment of terragrunt.
    pub env: BTreeMap<String, String>,
}

impl Default for Terragrunt {
    fn default() -> Self {
        Self {
            binary: "terragrunt".into(),
            terraform: "terraform".into(),
            root: "terraform".to_owned(),
            memory_per_run_mib: 700,
            plan_timeout: Seconds(10 * 60),
            apply_timeout: Seconds(60 * 60),
            env: BTreeMap::new(),
        }
    }
}

/// The listener for metrics and status.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where it listens; loopback unless somebody says otherwise.
    pub listen: SocketAddr,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
        }
    }
}

/// The socket that the command line talks to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Socket {
    /// The group whose members may command the daemon: a name in
    /// `/etc/group`, or a number. Without it, the group of amid's own user.
    pub group: Option<String>,
}

/// The listener for webhooks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where it listens.
    pub listen: SocketAddr,
    /// A file that holds the shared secret.
    pub secret_file: PathBuf,
}

/// Where the apps of one prefix live.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Apps whose name starts so; empty for all.
    #[serde(default)]
    pub prefix: String,
    /// The account that the credentials must be of.
    pub account_id: String,
    /// The region.
    pub region: String,
    /// A role to take on.
    pub role_arn: Option<String>,
    /// Another endpoint than AWS's own.
    pub endpoint_url: Option<String>,
}

fn default_sweep() -> Seconds {
    Seconds(30)
}
fn default_poll() -> Seconds {
    Seconds(30)
}
fn default_rolls() -> u32 {
    2
}
fn default_grace() -> Seconds {
    Seconds(10 * 60)
}
fn default_branch() -> String {
    "main".to_owned()
}
fn default_author() -> String {
    "amid <amid@localhost>".to_owned()
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    ///
    /// One sentence that names the file and the place.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("Failed to read the config {}", path.display()))?;
        let mut config: Self = serde_json::from_str(&text)
            .with_context(|| format!("The config {} has a mistake", path.display()))?;
        config
            .check()
            .with_context(|| format!("The config {} has a mistake", path.display()))?;
        config.hash = hex::encode(Sha256::digest(text.as_bytes()));
        config.hash.truncate(SHOWN);
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.targets.is_empty() {
            bail!("`targets` is empty: name at least one account and region");
        }
        for target in &self.targets {
            let id = &target.account_id;
            if id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit()) {
                bail!("`targets.account_id` has 12 digits, not `{id}`");
            }
        }
        for (field, value) in [
            ("sweep", self.sweep),
            ("repository.poll", self.repository.poll),
            ("terragrunt.plan_timeout", self.terragrunt.plan_timeout),
            ("terragrunt.apply_timeout", self.terragrunt.apply_timeout),
        ] {
            if value.0 == 0 {
                bail!("`{field}` is `0s`: it takes at least a second");
            }
        }
        if self.max_concurrent_rolls == 0 {
            bail!(
                "`max_concurrent_rolls` is 0: nothing would ever roll; use `amid suspend` for a pause"
            );
        }
        if self.state_dir.as_os_str().is_empty() || !self.state_dir.is_absolute() {
            bail!(
                "`state_dir` is an absolute path, not `{}`",
                self.state_dir.display()
            );
        }
        if let Some(forge) = &self.forge {
            forge.check(&self.repository.url)?;
        }
        self.notify.check()?;
        if let Some(cleanup) = &self.cleanup {
            cleanup.check()?;
        }
        self.author()?;
        Ok(())
    }

    /// Name and mail of the author of our commits.
    ///
    /// # Errors
    ///
    /// When `repository.author` has another form than `name <mail>`.
    pub fn author(&self) -> anyhow::Result<(String, String)> {
        let author = &self.repository.author;
        author
            .strip_suffix('>')
            .and_then(|rest| rest.split_once(" <"))
            .filter(|(name, mail)| !name.is_empty() && !mail.is_empty())
            .map(|(name, mail)| (name.to_owned(), mail.to_owned()))
            .with_context(|| {
                format!("`repository.author` has the form `name <mail>`, not `{author}`")
            })
    }

    /// The target of an app: the longest prefix that fits.
    pub fn target(&self, app: &AppName) -> Option<usize> {
        self.targets
            .iter()
            .enumerate()
            .filter(|(_, target)| app.as_str().starts_with(&target.prefix))
            .max_by_key(|(_, target)| target.prefix.len())
            .map(|(index, _)| index)
    }
}

impl Terragrunt {
    /// The limit of a plan.
    pub fn plan_limit(&self) -> Duration {
        Duration::from_secs(self.plan_timeout.0)
    }

    /// The limit of an apply.
    pub fn apply_limit(&self) -> Duration {
        Duration::from_secs(self.apply_timeout.0)
    }
}

/// What the environment says, read once at start.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `AMID_LOG`: a filter such as `info,amid=debug`.
    pub log: Option<String>,
    /// `NO_COLOR`, or output that is no terminal.
    pub plain: bool,
    /// All of it, for the programs that amid starts; they get a closed list.
    pub all: BTreeMap<String, String>,
    /// `AMID_FAULT`: a planted mistake or crash point; only builds with the
    /// feature `faults` look at it.
    pub fault: Option<String>,
}

impl Environment {
    /// Reads it.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn read() -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            log: var("AMID_LOG"),
            plain: var("NO_COLOR").is_some(),
            all: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            fault: var("AMID_FAULT"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{
        "repository": {"url": "/srv/desired.git"},
        "state_dir": "/var/lib/amid",
        "targets": [
            {"prefix": "", "account_id": "123456789012", "region": "eu-central-1"},
            {"prefix": "prod/", "account_id": "210987654321", "region": "eu-west-1"}
        ]
    }"#;

    fn config(text: &str) -> anyhow::Result<Config> {
        let config: Config = serde_json::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    #[test]
    fn the_longest_prefix_names_the_target() {
        let config = config(SMALL).unwrap();
        assert_eq!(
            config.target(&AppName::parse("prod/todo").unwrap()),
            Some(1)
        );
        assert_eq!(
            config.target(&AppName::parse("staging/todo").unwrap()),
            Some(0)
        );
    }

    #[test]
    fn the_hash_is_that_of_the_file_and_no_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("amid.json");
        std::fs::write(&path, SMALL).unwrap();
        let first = Config::read(&path).unwrap().hash;
        assert_eq!(first.len(), SHOWN);
        std::fs::write(&path, format!("{SMALL}\n")).unwrap();
        assert_ne!(Config::read(&path).unwrap().hash, first);
        let forged = SMALL.replacen('{', r#"{"hash": "0", "#, 1);
        let error = config(&forged).unwrap_err();
        assert!(format!("{error:#}").contains("unknown field"), "{error:#}");
    }

    #[test]
    fn what_would_never_work_is_refused_at_once() {
        for (from, to, word) in [
            ("123456789012", "1234", "12 digits"),
            ("/var/lib/amid", "amid", "absolute"),
            (
                r#""targets": ["#,
                r#""sweep": "0s", "targets": ["#,
                "at least a second",
            ),
            (
                r#""targets": ["#,
                r#""max_concurrent_rolls": 0, "targets": ["#,
                "nothing would ever roll",
            ),
            (
                r#""targets": ["#,
                r#""swep": "1s", "targets": ["#,
                "unknown field",
            ),
            (
                r#""/srv/desired.git"}"#,
                r#""/srv/desired.git", "author": "amid"}"#,
                "name <mail>",
            ),
        ] {
            let error = config(&SMALL.replace(from, to)).unwrap_err();
            assert!(format!("{error:#}").contains(word), "{error:#}");
        }
    }
}
