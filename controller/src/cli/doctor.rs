//! `amid doctor`: everything that amid needs, each with its mend.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use amid_core::model::AppName;

use crate::aws::{Aws, Counter, Scope};
use crate::client::Client;
use crate::config::Config;
use crate::daemon;
use crate::desired::Accepted;
use crate::forge::{self, Access, Forge};
use crate::git::Mirror;
use crate::terragrunt;

/// What was looked at, with its ending.
struct Report<'a, W: Write> {
    out: &'a mut W,
    passed: u32,
    failed: u32,
}

impl<W: Write> Report<'_, W> {
    fn say<T>(
        &mut self,
        what: &str,
        result: anyhow::Result<T>,
        mend: &str,
    ) -> std::io::Result<Option<T>> {
        match result {
            Ok(value) => {
                self.passed += 1;
                writeln!(self.out, "✓ {what}")?;
                Ok(Some(value))
            }
            Err(error) => {
                self.failed += 1;
                writeln!(self.out, "✗ {what}: {error:#}")?;
                writeln!(self.out, "  {mend}")?;
                Ok(None)
            }
        }
    }
}

/// Looks at everything and prints it. Returns whether all is well.
///
/// # Errors
///
/// When the output cannot be written.
pub async fn doctor(config: &Config, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut report = Report {
        out,
        passed: 0,
        failed: 0,
    };
    for (name, program) in [
        ("terragrunt", &config.terragrunt.binary),
        ("terraform", &config.terragrunt.terraform),
    ] {
        let version = terragrunt::version(program).await;
        let what = match &version {
            Ok(version) => format!("{name} {version}"),
            Err(_) => name.to_owned(),
        };
        report.say(
            &what,
            version,
            &format!(
                "Install it, or name it in `terragrunt` of the config: `{}`",
                program.display()
            ),
        )?;
    }
    let accepted = repository(config, &mut report)?;
    if let Some(forge) = &config.forge {
        let what = format!("token for {}", forge.kind.label());
        let mend = "Put a token into `forge.token_file` that may write pull requests, comments and commit statuses, or correct `forge` in the config";
        report.say(&what, token(forge, &config.repository.url).await, mend)?;
    }
    for target in &config.targets {
        let place = daemon::place(target);
        let aws = Aws::connect(&place, Counter::none()).await;
        let what = format!(
            "credentials for account {} in {}",
            target.account_id, target.region
        );
        let account = aws.account().await.and_then(|found| {
            if found == target.account_id {
                Ok(())
            } else {
                Err(anyhow::anyhow!("They are those of account {found}"))
            }
        });
        let mend = "Give amid credentials of that account, or correct `targets` in the config";
        if report.say(&what, account, mend)?.is_none() {
            continue;
        }
        let what = format!("permission to list groups in {}", target.region);
        let mend = "Allow autoscaling:DescribeAutoScalingGroups to amid's role";
        report.say(&what, aws.fleet(Scope::All).await, mend)?;
    }
    if let Some(accepted) = accepted {
        for (app, wish) in &accepted.apps {
            covered(config, app, wish.manifest().is_some(), &mut report)?;
        }
    }
    let socket = config.state_dir.join("amid.sock");
    let status = Client::new(&socket).status().await;
    report.say(
        "the daemon answers",
        status,
        "Start it: amid run --config FILE",
    )?;
    writeln!(
        report.out,
        "{} passed, {} failed",
        report.passed, report.failed
    )?;
    Ok(report.failed == 0)
}

/// Asks the forge for the repository, which needs the token.
async fn token(config: &forge::Config, url: &str) -> anyhow::Result<()> {
    match Forge::new(config, url)?.access().await? {
        Access::Write => Ok(()),
        Access::ReadOnly => anyhow::bail!("It may only read"),
    }
}

fn repository<W: Write>(
    config: &Config,
    report: &mut Report<'_, W>,
) -> anyhow::Result<Option<Arc<Accepted>>> {
    let scratch = tempfile::tempdir()?;
    let read = || -> anyhow::Result<(Mirror, git2::Oid)> {
        let mirror = Mirror::open(scratch.path(), daemon::remote(config)?)?;
        let head = mirror
            .fetch()
            .map_err(|error| anyhow::Error::msg(error.to_string()))?;
        Ok((mirror, head))
    };
    let what = format!(
        "repository {}",
        crate::git::without_user(&config.repository.url)
    );
    let Some((mirror, head)) = report.say(
        &what,
        read(),
        "Correct `repository` in the config, or its credentials",
    )?
    else {
        return Ok(None);
    };
    let accepted = Accepted::read(&mirror, head, &config.terragrunt.root);
    let Some(accepted) = report.say("manifests can be read", accepted, "See `amid validate`")?
    else {
        return Ok(None);
    };
    for (app, wish) in &accepted.apps {
        let sound = match wish.manifest() {
            None => Err(anyhow::anyhow!("{}", wish.problems.join("; "))),
            Some(manifest) => unit_exists(&mirror, head, &config.terragrunt.root, &manifest.unit),
        };
        report.say(
            &format!("manifest and unit of {app}"),
            sound,
            &format!("Correct {}", wish.path),
        )?;
    }
    Ok(Some(Arc::new(accepted)))
}

fn unit_exists(mirror: &Mirror, head: git2::Oid, root: &str, unit: &str) -> anyhow::Result<()> {
    let path = Path::new(root).join(unit).join("terragrunt.hcl");
    match mirror.blob_at(head, &path.to_string_lossy())? {
        Some(_) => Ok(()),
        None => anyhow::bail!("There is no `{}`", path.display()),
    }
}

fn covered<W: Write>(
    config: &Config,
    app: &AppName,
    valid: bool,
    report: &mut Report<'_, W>,
) -> std::io::Result<()> {
    if valid && config.target(app).is_none() {
        let error: anyhow::Result<()> = Err(anyhow::anyhow!("no entry of `targets` covers it"));
        report.say(&format!("target of {app}"), error, "Add one to the config")?;
    }
    Ok(())
}
