//! The command line and the environment of a child.
//!
//! The environment is built from nothing: a closed list of inherited names,
//! the configuration's own, and amid's fixed ones on top. Nothing in the
//! controller's environment, `TF_CLI_ARGS` least of all, can change what a run
//! does.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Unit;
use super::error::RunError;
use super::record::Operation;

/// Inherited by exact name.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "TMPDIR",
    "LANG",
    "TF_CLI_CONFIG_FILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Linux refuses a longer `NAME=value`, its ending zero included.
const VARIABLE_MAX: usize = 128 * 1024;

/// The programs and limits of every run.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Terragrunt: a path, or a name to look up in `PATH`.
    pub terragrunt: PathBuf,
    /// Terraform (or OpenTofu): a path, or a name to look up in `PATH`.
    pub terraform: PathBuf,
    /// The environment of this process; only a closed list of names is used.
    pub parent_env: BTreeMap<String, String>,
    /// Variables from the configuration.
    pub env: BTreeMap<String, String>,
    /// After this time a plan is killed.
    pub plan_timeout: Duration,
    /// After this time terraform gets one interrupt in an apply.
    pub apply_timeout: Duration,
    /// Memory that one run takes, in bytes.
    pub memory_per_run: u64,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
}

/// The inputs that amid gives to a unit, each a JSON text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vars {
    /// The map of releases.
    pub releases: String,
    /// Names of groups that the apply may leave out.
    pub may_remove: String,
    /// What the module stores for amid.
    pub memory: String,
    /// What exists and is to be taken into the state.
    pub adopt: String,
}

impl Tools {
    /// Where terragrunt is.
    pub(super) fn terragrunt_path(&self) -> Result<PathBuf, RunError> {
        self.find(&self.terragrunt, "terragrunt.binary")
    }

    /// Where terraform is.
    pub(super) fn terraform_path(&self) -> Result<PathBuf, RunError> {
        self.find(&self.terraform, "terragrunt.terraform")
    }

    /// Looks a program up in `PATH`, without any shell.
    pub(super) fn which(&self, name: &str) -> Option<PathBuf> {
        let path = self
            .env
            .get("PATH")
            .or_else(|| self.parent_env.get("PATH"))?;
        std::env::split_paths(path)
            .map(|dir| dir.join(name))
            .find(|file| file.is_absolute() && is_program(file))
    }

    fn find(&self, program: &Path, field: &str) -> Result<PathBuf, RunError> {
        let found = match program.to_str() {
            Some(name) if !name.contains('/') => self.which(name),
            _ => std::path::absolute(program)
                .ok()
                .filter(|file| is_program(file)),
        };
        found.ok_or_else(|| {
            RunError::ToolMissing(format!(
                "The program `{}` is missing or cannot be run: install it, or name its path in `{field}`",
                program.display()
            ))
        })
    }

    /// The names by which the processes of a run are known.
    pub(super) fn program_names(&self) -> [String; 2] {
        let name = |path: &Path| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        [name(&self.terragrunt), name(&self.terraform)]
    }

    /// The whole environment of a run.
    pub(super) fn environment(
        &self,
        unit: &Unit,
        operation: Operation,
        vars: Option<&Vars>,
    ) -> Result<BTreeMap<String, String>, RunError> {
        let mut env: BTreeMap<String, String> = self
            .parent_env
            .iter()
            .filter(|(name, _)| INHERITED.contains(&name.as_str()) || name.starts_with("AWS_"))
            .filter(|(name, _)| !unit.env_without.contains(name))
            .chain(&unit.env)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        // Retries are amid's own, with back-off and a reason.
        env.insert("AWS_MAX_ATTEMPTS".to_owned(), "4".to_owned());
        env.insert("AWS_RETRY_MODE".to_owned(), "standard".to_owned());
        env.extend(
            self.env
                .iter()
                .filter(|(name, _)| !name.starts_with("TF_CLI_ARGS"))
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let fixed = [
            ("TG_NON_INTERACTIVE", "true"),
            ("TG_NO_COLOR", "true"),
            ("TG_LOG_FORMAT", "json"),
            ("TG_NO_AUTO_RETRY", "true"),
            ("TG_BACKEND_BOOTSTRAP", "true"),
            ("TG_NO_TIPS", "true"),
            ("TF_INPUT", "0"),
            ("TF_IN_AUTOMATION", "1"),
            ("CHECKPOINT_DISABLE", "1"),
        ];
        env.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
        // terragrunt makes what `state pull` prints a record of its log. Where
        // terraform prints JSON on request it does not, and this would let the
        // words of an `init` through.
        if operation == Operation::State {
            env.insert("TG_TF_FORWARD_STDOUT".to_owned(), "true".to_owned());
        }
        env.insert("TG_TF_PATH".to_owned(), text(&self.terraform_path()?)?);
        env.insert("TG_DOWNLOAD_DIR".to_owned(), text(&unit.cache())?);
        if let Some(vars) = vars {
            for (name, value) in [
                ("releases", &vars.releases),
                ("may_remove", &vars.may_remove),
                ("memory", &vars.memory),
                ("adopt", &vars.adopt),
            ] {
                let name = format!("TF_VAR_{name}");
                check_size(&name, value)?;
                env.insert(name, value.clone());
            }
        }
        Ok(env)
    }
}

fn check_size(name: &str, value: &str) -> anyhow::Result<()> {
    let size = name.len() + value.len() + 2;
    ensure!(
        size <= VARIABLE_MAX,
        "`{name}` has {size} bytes, but an environment variable can hold only {VARIABLE_MAX}: make `user_data` of this app smaller"
    );
    ensure!(!value.contains('\0'), "`{name}` contains a NUL character");
    Ok(())
}

/// `run --working-dir UNIT -- ARGS…`.
pub(super) fn arguments(unit: &Unit, terraform: &[&str]) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec![
        "run".into(),
        "--working-dir".into(),
        unit.work.clone().into(),
        "--".into(),
    ];
    all.extend(terraform.iter().map(OsString::from));
    all
}

/// A path as text: terragrunt takes paths in variables and flags.
pub(super) fn text(path: &Path) -> Result<String, RunError> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        RunError::Other(anyhow::anyhow!(
            "The path `{}` is not valid UTF-8: choose another `state_dir`",
            path.display()
        ))
    })
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
