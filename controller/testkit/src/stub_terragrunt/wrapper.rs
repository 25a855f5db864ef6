//! The terragrunt half: starts terraform in the unit's folder and passes its end on.
//!
//! It has terragrunt's manners with signals and exit codes: a signal reaches terraform only after fifteen
//! seconds, and a terraform that was killed during a plan with `-detailed-exitcode` looks like "no changes".

use std::{env, os::unix::process::ExitStatusExt, path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::core;

const VERSION: &str = "v1.1.3";
/// Terragrunt's own constant.
const SIGNAL_DELAY: Duration = Duration::from_secs(15);

/// Carries out a command line of terragrunt; answers its exit code.
pub(super) async fn run(args: &[&str]) -> Result<u8> {
    if let ["--version" | "-version" | "-v"] = args {
        println!("terragrunt version {VERSION}");
        return Ok(0);
    }
    let (unit, terraform) = parse(args)?;
    ensure!(
        Path::new(unit).is_dir(),
        "The unit's folder {unit} does not exist"
    );
    let Some(program) = env::var_os("TG_TF_PATH") else {
        env::set_current_dir(unit).with_context(|| format!("Failed to go to {unit}"))?;
        return core::run(&terraform).await;
    };
    let mut child = Command::new(&program)
        .args(&terraform)
        .current_dir(unit)
        .spawn()
        .with_context(|| format!("Failed to start {}", program.to_string_lossy()))?;
    let pid = child
        .id()
        .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let mut interrupts = signal(SignalKind::interrupt()).context("Failed to listen for signals")?;
    let mut ends = signal(SignalKind::terminate()).context("Failed to listen for signals")?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.context("Failed to wait for terraform")?;
                let is_detailed = terraform.contains(&"-detailed-exitcode");
                return Ok(match status.code() {
                    Some(code) => u8::try_from(code).unwrap_or(1),
                    None if is_detailed => 0,
                    None => {
                        eprintln!("terraform ended by signal {}", status.signal().unwrap_or_default());
                        1
                    }
                });
            }
            _ = interrupts.recv() => {}
            _ = ends.recv() => {}
        }
        let Some(pid) = pid else { continue };
        tokio::spawn(async move {
            sleep(SIGNAL_DELAY).await;
            // It fails where terraform has ended by itself, which is as well.
            let _ = kill_process(pid, Signal::INT);
        });
    }
}

/// The unit's folder and terraform's arguments, of `run --working-dir UNIT [FLAGS] -- ARGS`.
fn parse<'a>(args: &[&'a str]) -> Result<(&'a str, Vec<&'a str>)> {
    let Some(("run", rest)) = args.split_first().map(|(first, rest)| (*first, rest)) else {
        bail!("The stub knows only `terragrunt run --working-dir UNIT -- …`");
    };
    let at = rest
        .iter()
        .position(|arg| *arg == "--")
        .context("The `--` is missing")?;
    let (flags, terraform) = (
        rest.get(..at).unwrap_or_default(),
        rest.get(at + 1..).unwrap_or_default(),
    );
    let mut unit = None;
    for (at, flag) in flags.iter().enumerate() {
        match flag.strip_prefix("--working-dir") {
            Some("") => unit = flags.get(at + 1).copied(),
            Some(value) => unit = value.strip_prefix('='),
            None => {}
        }
    }
    Ok((
        unit.context("`--working-dir` is missing")?,
        terraform.to_vec(),
    ))
}
