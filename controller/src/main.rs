//! The program: wiring only.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use jiff::Timestamp;
use tokio::sync::watch;

use amid::cli::args::{Cli, ConfigFlag, Output, Verb};
use amid::cli::{
    bump, doctor, gc, online, plan, preview, promote, restart, rollback, show, validate,
};
use amid::client::Client;
use amid::config::{Config, Environment};
use amid::status::Command;
use amid::{alone, daemon, fault, telemetry};

fn main() -> ExitCode {
    let environment = Environment::read();
    let cli = Cli::parse();
    match run(cli, &environment) {
        Ok(code) => code,
        Err(error) => {
            // A reader that went away (`amid history | head`) is no error.
            let broken = error.chain().any(|cause| {
                cause
                    .downcast_ref::<std::io::Error>()
                    .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
            });
            if broken {
                return ExitCode::SUCCESS;
            }
            eprintln!("amid: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, environment: &Environment) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match cli.verb {
        Verb::Validate {
            path,
            online: false,
            ..
        } => Ok(exit(validate::validate(&path, &mut out)?)),
        Verb::Validate { path, config, .. } => {
            let well = validate::validate(&path, &mut out)?;
            let config = Config::read(&config.config)?;
            let online = runtime()?.block_on(online::check(&config, &path, &mut out))?;
            Ok(exit(well && online))
        }
        Verb::Schema => {
            let schema = amid_core::manifest::schema();
            writeln!(out, "{}", serde_json::to_string_pretty(&schema)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "amid", &mut out);
            Ok(ExitCode::SUCCESS)
        }
        Verb::Run { config } => {
            drop(out);
            serve(&config.config, environment)
        }
        verb => runtime()?.block_on(ask(verb, environment, &mut out)),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("Failed to start the runtime")
}

fn exit(well: bool) -> ExitCode {
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn serve(path: &Path, environment: &Environment) -> anyhow::Result<ExitCode> {
    let format = if std::io::stderr().is_terminal() {
        telemetry::Format::Human {
            color: !environment.plain,
        }
    } else {
        telemetry::Format::Json
    };
    telemetry::start(environment.log.as_deref(), format)?;
    fault::plant(environment.fault.as_deref());
    let config = Config::read(path)?;
    let all = environment.all.clone();
    runtime()?.block_on(async move {
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(signals(stop));
        let finished = daemon::serve(config, all, stopped).await?;
        if !finished {
            tracing::warn!("An apply runs on; the next start waits for it");
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Asks the loop to stop at SIGTERM or SIGINT. A second signal changes
/// nothing: an apply is never hurried.
async fn signals(stop: watch::Sender<bool>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("Failed to listen for signals");
        return;
    };
    loop {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!("Stopping");
        stop.send_replace(true);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what people see needs the time of day"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

/// The verbs that ask the daemon.
async fn ask(
    verb: Verb,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let client = |flag: &ConfigFlag| -> anyhow::Result<Client> {
        let config = Config::read(&flag.config)?;
        Ok(Client::new(&config.state_dir.join("amid.sock")))
    };
    match verb {
        Verb::Plan {
            app,
            commands,
            config,
        } => {
            let client = client(&config)?;
            let plans = if client.may_be_there().await {
                let plans = client.plan(app.as_deref(), commands).await?;
                plans.as_array().cloned().unwrap_or_default()
            } else {
                eprintln!(
                    "amid: no daemon runs here: looking without one, which takes longer and knows nothing of suspensions by command"
                );
                let config = Config::read(&config.config)?;
                alone::plan(config, environment.all.clone(), app.as_deref(), commands).await?
            };
            let failed = plans.iter().any(|plan| plan["error"].is_string());
            let anything = plan::show(&plans, out)?;
            Ok(match (failed, anything) {
                (true, _) => ExitCode::FAILURE,
                (false, true) => ExitCode::from(2),
                (false, false) => ExitCode::SUCCESS,
            })
        }
        Verb::Status {
            app,
            output,
            config,
        } => {
            let status = client(&config)?.status().await?;
            match (&app, output) {
                (None, Output::Json) => {
                    writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?
                }
                (None, Output::Text) => show::status(&status, now(), out)?,
                (Some(name), output) => {
                    let found = status.apps.iter().find(|app| app.app == *name);
                    let found = found.with_context(|| {
                        format!("There is no app `{name}`; `amid status` lists them")
                    })?;
                    match output {
                        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(found)?)?,
                        Output::Text => show::one(found, now(), out)?,
                    }
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::History {
            app,
            limit,
            output,
            config,
        } => {
            let entries = client(&config)?
                .history(app.as_deref(), Some(limit))
                .await?;
            match output {
                Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&entries)?)?,
                Output::Text => show::history(&entries, out)?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Reconcile { app, watch, config } => {
            let client = client(&config)?;
            let said = client
                .command(&Command::Reconcile {
                    app: Some(app.clone()),
                })
                .await?;
            writeln!(out, "{said}")?;
            if watch {
                return follow(&client, &app, out).await;
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Approve { hold, config } => {
            let user = String::new();
            tell(&client(&config)?, Command::Approve { hold, user }, out).await
        }
        Verb::Suspend {
            app,
            until,
            reason,
            config,
        } => {
            let user = String::new();
            let command = Command::Suspend {
                app,
                reason,
                until,
                user,
            };
            tell(&client(&config)?, command, out).await
        }
        Verb::Resume { app, config } => {
            let user = String::new();
            tell(&client(&config)?, Command::Resume { app, user }, out).await
        }
        Verb::Restart { app, config } => {
            let config = Config::read(&config.config)?;
            let at = now();
            let said =
                tokio::task::spawn_blocking(move || restart::restart(&config, &app, at)).await??;
            writeln!(out, "{said}")?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Bump {
            app,
            ami,
            manifest,
            packer_build,
            commit,
            app_version,
            build,
            config,
        } => {
            let config = Config::read(&config.config)?;
            let wanted = bump::Wanted {
                app,
                ami,
                manifest,
                packer_build,
                commit,
                app_version,
                build,
            };
            writeln!(out, "{}", bump::bump(config, wanted, now()).await?)?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Rollback { app, to, config } => {
            let config = Config::read(&config.config)?;
            let said = rollback::rollback(config, app, to, now()).await?;
            writeln!(out, "{said}")?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Promote { from, to, config } => {
            let config = Config::read(&config.config)?;
            let said = promote::promote(config, from, to, now()).await?;
            writeln!(out, "{said}")?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Preview {
            branch,
            publish,
            offline,
            output,
            config,
        } => {
            let config = Config::read(&config.config)?;
            let asked = preview::Asked {
                branch,
                publish,
                offline,
                output,
            };
            Ok(exit(preview::preview(config, asked, out).await?))
        }
        Verb::Doctor { config } => {
            let config = Config::read(&config.config)?;
            Ok(exit(doctor::doctor(&config, out).await?))
        }
        Verb::Gc {
            now: at_once,
            apply,
            stop,
            start,
            output,
            config,
        } => {
            let client = client(&config)?;
            if stop.is_some() || start {
                let what = if start { "start" } else { "stop" };
                let said = client.clean_up(what, stop.as_deref()).await?;
                writeln!(out, "{said}")?;
                return Ok(ExitCode::SUCCESS);
            }
            let report = match at_once || apply {
                true => clean_up(&client, apply).await?,
                false => client.images().await?,
            };
            match output {
                Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
                Output::Text => gc::report(&report, now(), out)?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Why {
            ami,
            output,
            config,
        } => {
            let report = client(&config)?.why(&ami).await?;
            match output {
                Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
                Output::Text => gc::why(&report, now(), out)?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Run { .. } | Verb::Validate { .. } | Verb::Schema | Verb::Completions { .. } => {
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The socket's other end knows who asks; the user's name in a command is
/// filled in there.
async fn tell(client: &Client, command: Command, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let said = client.command(&command).await?;
    writeln!(out, "{said}")?;
    Ok(ExitCode::SUCCESS)
}

/// Begins a run of clean-up and waits for its end.
async fn clean_up(client: &Client, apply: bool) -> anyhow::Result<amid::cleanup::Report> {
    // Before the first run has ended there is nothing to compare with.
    let before = client.images().await.ok().map(|report| report.began);
    let asked = now();
    client
        .clean_up(if apply { "apply" } else { "look" }, None)
        .await?;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        match client.images().await {
            // A run that was under way already does not count.
            Ok(report) if Some(report.began) != before && report.began >= asked => {
                return Ok(report);
            }
            Ok(_) => {}
            Err(error) if before.is_some() => return Err(error),
            Err(_) => client.status().await.map(drop)?,
        }
    }
}

/// Shows each change of an app until it is as desired, or held.
async fn follow(client: &Client, app: &str, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    use amid_core::decide::Phase;
    let mut last = String::new();
    let mut calm = 0;
    loop {
        let status = client.status().await?;
        let found = status.apps.iter().find(|found| found.app == app);
        let found =
            found.with_context(|| format!("There is no app `{app}`; `amid status` lists them"))?;
        let words = found
            .held
            .first()
            .map(|held| format!("held: {}", held.text))
            .or_else(|| found.state.as_ref().map(|state| state.text.clone()))
            .unwrap_or_default();
        let line = match &found.running {
            Some(running) => format!("{:9} {words} (terragrunt {running})", found.phase.label()),
            None => format!("{:9} {words}", found.phase.label()),
        };
        if line != last {
            writeln!(out, "{line}")?;
            out.flush()?;
            last = line;
        }
        let ended = match found.phase {
            Phase::Steady if found.running.is_none() => Some(true),
            Phase::Held => Some(false),
            _ => None,
        };
        // A commit that was just pushed is not seen yet at the first look.
        calm = if ended.is_some() { calm + 1 } else { 0 };
        if let (Some(well), 6..) = (ended, calm) {
            return Ok(exit(well));
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}
