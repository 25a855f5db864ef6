//! A stand-in for the terragrunt command, and for the terraform that it starts.
//!
//! It understands the command lines that the controller uses, computes what the releases module would plan
//! from the `TF_VAR_*` variables, streams the same JSON lines with the same exit codes, and takes the state
//! lock as terraform does. Its state, its cloud and its log lie in the directory `STUB_DIR`; a control file
//! there tells it when to fail, hang, flood or die. It runs no provider and reads no HCL.
//!
//! Called by a name with `terraform` in it, it is terraform; else it is terragrunt and starts `TG_TF_PATH` as
//! a process of its own, so that there are as many processes to kill as in earnest.

mod apply;
mod control;
mod core;
mod harness;
mod log;
mod plan;
mod state;
mod trouble;
mod ui;
mod wrapper;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};

pub use control::{Control, Fault, FaultKind};
pub use harness::StubWorld;
pub use log::{Event, EventKind};

use crate::cloud::CloudFile;

/// The variable that names the stub's directory.
pub const DIR_VARIABLE: &str = "STUB_DIR";

/// The command's `main`.
pub fn main() -> ExitCode {
    let mut args = env::args_os();
    let name = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    match run(Path::new(&name), &args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &Path, args: &[OsString]) -> Result<u8> {
    let args: Vec<&str> = args
        .iter()
        .map(|arg| arg.to_str().context("An argument is not UTF-8"))
        .collect::<Result<_>>()?;
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("Failed to make a runtime")?;
    let is_terraform = name.contains("terraform");
    let code = if is_terraform {
        runtime.block_on(core::run(&args))
    } else {
        runtime.block_on(wrapper::run(&args))
    };
    // A fault may have left a thread that waits for ever.
    runtime.shutdown_background();
    code
}

/// The cloud of a stub's directory.
pub(crate) fn cloud_file(dir: &Path) -> CloudFile {
    CloudFile::new(dir.join("cloud.json"))
}

/// The stub's directory, from its variable.
fn stub_dir() -> Result<PathBuf> {
    env::var_os(DIR_VARIABLE)
        .map(PathBuf::from)
        .with_context(|| {
            format!("`{DIR_VARIABLE}` is not set: the stub has nowhere to keep its state")
        })
}
