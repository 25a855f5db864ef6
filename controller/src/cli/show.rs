//! `amid status` and `amid history` for people.

use std::io::Write;

use jiff::Timestamp;
use serde_json::Value;

use crate::status::{App, Status};

/// Prints all apps, a line or a few each.
///
/// # Errors
///
/// When the output cannot be written.
pub fn status(status: &Status, now: Timestamp, out: &mut impl Write) -> std::io::Result<()> {
    let repository = &status.repository;
    let commit = repository
        .accepted
        .as_deref()
        .map_or("nothing yet", |commit| commit.get(..8).unwrap_or(commit));
    writeln!(out, "{} {} at {commit}", repository.url, repository.branch)?;
    if let Some(error) = &repository.error {
        writeln!(out, "  cannot be read: {error}")?;
    }
    if let Some(held) = &repository.held {
        writeln!(out, "  held: {}", held.text)?;
        if let Some(frees) = &held.frees {
            writeln!(out, "        {frees}")?;
        }
    }
    for problem in &repository.problems {
        writeln!(out, "  not taken: {problem}")?;
    }
    let width = status
        .apps
        .iter()
        .map(|app| app.app.len())
        .max()
        .unwrap_or(0);
    for app in &status.apps {
        line(app, width, now, out)?;
    }
    if status.apps.is_empty() {
        writeln!(out, "no apps: the repository has no manifest in `desired/`")?;
    }
    Ok(())
}

fn line(app: &App, width: usize, now: Timestamp, out: &mut impl Write) -> std::io::Result<()> {
    let since = age(app.since, now);
    let size: Vec<String> = app
        .releases
        .iter()
        .map(|release| format!("{} {}/{}", release.key, release.healthy, release.desired))
        .collect();
    writeln!(
        out,
        "{:width$}  {:9} {:>4}  {}",
        app.app,
        app.phase.label(),
        since,
        size.join(" → "),
    )?;
    if let Some(state) = &app.state {
        writeln!(out, "{:width$}  {}", "", state.text)?;
    }
    if let Some(running) = &app.running {
        writeln!(out, "{:width$}  terragrunt: {running}", "")?;
    }
    for held in &app.held {
        writeln!(out, "{:width$}  held: {}", "", held.text)?;
        if let Some(frees) = &held.frees {
            writeln!(out, "{:width$}        {frees}", "")?;
        }
    }
    for note in &app.notes {
        writeln!(out, "{:width$}  note: {}", "", note.text)?;
    }
    Ok(())
}

/// Prints one app with its instances.
///
/// # Errors
///
/// When the output cannot be written.
pub fn one(app: &App, now: Timestamp, out: &mut impl Write) -> std::io::Result<()> {
    line(app, app.app.len(), now, out)?;
    if let Some(desired) = &app.desired {
        let commit = desired.commit.get(..8).unwrap_or(&desired.commit);
        writeln!(
            out,
            "git asks for {} as {} in {commit}",
            desired.ami, desired.key
        )?;
        if let (Some(author), Some(subject)) = (&desired.author, &desired.subject) {
            writeln!(out, "  {author}: {subject}")?;
        }
    }
    for release in &app.releases {
        writeln!(
            out,
            "{} {} size {}–{}, desired {}",
            release.group,
            release.ami.as_deref().unwrap_or("image unknown"),
            release.min,
            release.max,
            release.desired
        )?;
        for instance in &release.instances {
            let mark = if instance.healthy { "✓" } else { "·" };
            let target = instance.target.as_deref().unwrap_or("target not asked");
            writeln!(
                out,
                "  {mark} {} {}, {target}",
                instance.id, instance.lifecycle
            )?;
        }
    }
    Ok(())
}

/// Prints journal entries, a line each.
///
/// # Errors
///
/// When the output cannot be written.
pub fn history(entries: &[Value], out: &mut impl Write) -> std::io::Result<()> {
    for entry in entries {
        let at = entry["at"].as_str().unwrap_or_default();
        let at = at.get(..19).unwrap_or(at).replace('T', " ");
        let app = entry["app"].as_str().unwrap_or("-");
        writeln!(out, "{at}  {app}  {}", sentence(&entry["event"]))?;
    }
    if entries.is_empty() {
        writeln!(out, "nothing happened yet")?;
    }
    Ok(())
}

/// One event in words.
fn sentence(event: &Value) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let short = |name: &str| {
        text(name)
            .get(..8)
            .map(ToOwned::to_owned)
            .unwrap_or_default()
    };
    match event["event"].as_str().unwrap_or_default() {
        "asked" => format!(
            "{} asks for {}: {}",
            short("commit"),
            text("ami"),
            text("subject")
        ),
        "ended" => match event["why"].as_str() {
            Some(why) => format!("{} ended: {} ({why})", short("commit"), text("outcome")),
            None => format!("{} ended: {}", short("commit"), text("outcome")),
        },
        "began" => {
            let reason: Option<amid_core::reason::Reason> =
                serde_json::from_value(event["reason"].clone()).ok();
            let why = reason.map(|reason| reason.to_string()).unwrap_or_default();
            format!("{} {} begins: {why}", text("step"), text("key"))
        }
        "finished" => {
            let seconds = event["millis"].as_u64().unwrap_or(0) / 1000;
            match event["error"].as_str() {
                Some(error) => format!(
                    "{} {} did not go through: {error}",
                    text("step"),
                    text("key")
                ),
                None => format!("{} {} done in {seconds} s", text("step"), text("key")),
            }
        }
        "healthy" => format!("{} is healthy: {} instances", text("key"), event["healthy"]),
        "abandoned" => {
            let failure: Option<amid_core::reason::Failure> =
                serde_json::from_value(event["failure"].clone()).ok();
            let why = failure
                .map(|failure| failure.to_string())
                .unwrap_or_default();
            format!("{} is given up: {why}", text("key"))
        }
        "reverted" => format!("{} reverts {}", short("commit"), short("answers")),
        "revert_refused" => format!(
            "the remote refused the revert of {}: {}",
            short("answers"),
            text("message")
        ),
        "held" => {
            let reason: Option<amid_core::reason::Reason> =
                serde_json::from_value(event["reason"].clone()).ok();
            format!(
                "held as {}: {}",
                text("id"),
                reason.map(|reason| reason.to_string()).unwrap_or_default()
            )
        }
        "approved" => format!("{} approved {}", text("user"), text("id")),
        "suspended" => format!("{} suspended it: {}", text("user"), text("reason")),
        "resumed" => format!("{} resumed it", text("user")),
        "retry" => format!(
            "attempt {} failed, next at {}: {}",
            event["attempt"],
            text("until"),
            text("error")
        ),
        "drain_slow" => format!(
            "{} drains for longer than `roll.drain`, instances left: {}",
            text("key"),
            event["instances"]
        ),
        "wiring" if event["older"] == true => {
            format!("the module changed since release {} was made", text("key"))
        }
        "wiring" => format!("release {} is as its module makes it", text("key")),
        "checked" => "the unit's code was planned and changes nothing".to_owned(),
        other => other.to_owned(),
    }
}

/// A short age: `42s`, `7m`, `3h`, `12d`.
fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
