//! Finds the programs that the world is made of.
//!
//! `make` says where they are (`AMID_TERRAFORM`, `AMID_MOTO_PYTHON`, `TF_CLI_CONFIG_FILE`, `AMID_BIN`,
//! `AMID_CHECKOUT`). Started by hand, the places that `make tools` fills are looked at, so that
//! `amid-demo scene bad-image` works as well. Nothing is installed from here.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::aws::REGION;

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The `amid` under test.
    pub amid: PathBuf,
    /// An `amid` that trusts "InService" alone, where one was built.
    pub broken_amid: Option<PathBuf>,
    /// This repository's checkout: `desired/` and `terraform/` come from there.
    pub checkout: PathBuf,
    /// The Python of the virtual environment that has moto.
    pub moto_python: PathBuf,
    /// terragrunt.
    pub terragrunt: PathBuf,
    /// terraform or tofu.
    pub terraform: PathBuf,
    terraform_config: PathBuf,
    path: OsString,
}

impl Tools {
    /// Looks for all of them; an error says what to do.
    pub fn find() -> Result<Tools> {
        let cache = cache()?;
        let path = search_path(&cache)?;
        let beside = env::current_exe()
            .context("Failed to learn where this program lies")?
            .with_file_name("amid");
        let tools = Tools {
            amid: given("AMID_BIN").unwrap_or(beside),
            broken_amid: given("AMID_BROKEN_BIN"),
            checkout: checkout()?,
            moto_python: given("AMID_MOTO_PYTHON")
                .unwrap_or_else(|| cache.join("moto-venv/bin/python")),
            terragrunt: on_path("terragrunt", &path)
                .context("There is no terragrunt; run `make tools` first")?,
            terraform: given("AMID_TERRAFORM")
                .or_else(|| on_path("terraform", &path))
                .or_else(|| on_path("tofu", &path))
                .context("There is neither terraform nor tofu on PATH")?,
            terraform_config: terraform_config(&cache),
            path,
        };
        for (what, file) in [("moto", &tools.moto_python), ("amid", &tools.amid)] {
            ensure!(
                file.exists(),
                "There is no {what} at {}; run `make tools build` first",
                file.display()
            );
        }
        Ok(tools)
    }

    /// The environment of everything that talks to this endpoint.
    pub fn environment(&self, endpoint: &str) -> Vec<(&'static str, OsString)> {
        let mut no_proxy = env::var("NO_PROXY").unwrap_or_default();
        if !no_proxy.is_empty() {
            no_proxy.push(',');
        }
        no_proxy.push_str("127.0.0.1,localhost");
        vec![
            ("AWS_ENDPOINT_URL", endpoint.into()),
            ("AWS_ACCESS_KEY_ID", "demo".into()),
            ("AWS_SECRET_ACCESS_KEY", "demo".into()),
            ("AWS_REGION", REGION.into()),
            ("AWS_DEFAULT_REGION", REGION.into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("NO_PROXY", no_proxy.into()),
            ("PATH", self.path.clone()),
            ("TF_CLI_CONFIG_FILE", self.terraform_config.clone().into()),
            ("TF_INPUT", "0".into()),
            ("TG_TF_PATH", self.terraform.clone().into()),
            ("TG_NON_INTERACTIVE", "true".into()),
            ("TG_NO_COLOR", "true".into()),
            ("TG_NO_TIPS", "true".into()),
            ("CHECKPOINT_DISABLE", "1".into()),
        ]
    }
}

/// What a person's shell may hold and nothing in this world should see.
pub const UNWANTED: [&str; 5] = [
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AMID_CONFIG",
    "AMID_FAULT",
];

fn given(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn cache() -> Result<PathBuf> {
    let base = match given("XDG_CACHE_HOME") {
        Some(folder) => folder,
        None => given("HOME")
            .context("Neither XDG_CACHE_HOME nor HOME is set")?
            .join(".cache"),
    };
    Ok(base.join("amid"))
}

fn checkout() -> Result<PathBuf> {
    let folder = given("AMID_CHECKOUT")
        // `cargo run` and `cargo test` set this: controller/testkit.
        .or_else(|| Some(given("CARGO_MANIFEST_DIR")?.parent()?.parent()?.to_owned()))
        .map_or_else(env::current_dir, Ok)
        .context("Failed to learn where the checkout is")?;
    ensure!(
        folder.join("terraform/live/root.hcl").exists(),
        "{} is no checkout of amid: it has no terraform/live/root.hcl; set AMID_CHECKOUT",
        folder.display()
    );
    Ok(folder)
}

/// PATH, with the tools that `make tools` built in front.
fn search_path(cache: &Path) -> Result<OsString> {
    let own = cache.join("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(own).chain(env::split_paths(&path));
    env::join_paths(folders).context("Failed to put a folder into PATH")
}

fn on_path(program: &str, path: &OsString) -> Option<PathBuf> {
    env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// What `make tools` wrote; the environment's own may name a file that is not there.
fn terraform_config(cache: &Path) -> PathBuf {
    given("TF_CLI_CONFIG_FILE")
        .filter(|file| file.is_file())
        .unwrap_or_else(|| cache.join("terraform.rc"))
}
