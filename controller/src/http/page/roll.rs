//! The picture of an app's groups: each instance a dot, old and new side by
//! side, the capacity that must not be undercut as a line, and a clock for
//! what is waited for.

use amid_core::decide::Phase;
use jiff::Timestamp;

use super::html::{Html, html};
use super::words;
use crate::status::{App, Instance, Release, Role, Trial};

/// Dots of one group that are drawn; more would be no picture.
const DOTS: usize = 60;

/// The groups side by side, with everything around them.
pub(super) fn picture(app: &App, now: Timestamp) -> Html {
    let mut out = Html::new();
    // One group that is not on its way anywhere is no picture.
    if let [release] = app.releases.as_slice()
        && matches!(app.phase, Phase::Steady | Phase::Held)
    {
        html!(
            out,
            "<div class=\"alone\">{}<p class=\"count\">{} <code>{}</code></p></div>",
            dots(release),
            count(release),
            release.ami.as_deref().unwrap_or(&release.key)
        );
        return out;
    }
    if app.releases.is_empty() {
        return out;
    }
    if let Some(steps) = steps(app.phase) {
        html!(out, "{}", steps);
    }
    html!(out, "<div class=\"lanes\">");
    for release in &app.releases {
        html!(out, "{}", lane(app, release, now));
    }
    html!(out, "</div>{}", capacity(app));
    out
}

/// The arrows of a roll, with the one that is under way.
fn steps(phase: Phase) -> Option<Html> {
    const STEPS: [(&str, Phase); 5] = [
        ("Add", Phase::Adding),
        ("Healthy", Phase::Starting),
        ("Bake", Phase::Baking),
        ("Drain", Phase::Draining),
        ("Remove", Phase::Removing),
    ];
    let current = STEPS.iter().position(|(_, of)| *of == phase)?;
    let mut out = Html::new();
    html!(out, "<ol class=\"steps\" aria-label=\"Steps of the roll\">");
    for (at, (name, _)) in STEPS.iter().enumerate() {
        match at.cmp(&current) {
            std::cmp::Ordering::Less => html!(
                out,
                "<li class=\"done\">{}<span class=\"spoken\"> done</span></li>",
                name
            ),
            std::cmp::Ordering::Equal => {
                html!(out, "<li class=\"now\" aria-current=\"step\">{}</li>", name);
            }
            std::cmp::Ordering::Greater => html!(out, "<li>{}</li>", name),
        }
    }
    html!(out, "</ol>");
    Some(out)
}

fn lane(app: &App, release: &Release, now: Timestamp) -> Html {
    let mut out = Html::new();
    let (class, title) = role(app, release);
    let version = app
        .desired
        .as_ref()
        .filter(|desired| desired.key == release.key)
        .and_then(|desired| desired.version.as_deref());
    html!(
        out,
        "<section class=\"lane {}\" data-key=\"{}\" aria-label=\"{} {}\"><p class=\"name\"><b>{}</b> <code>{}</code></p><p class=\"image\">",
        class,
        release.key,
        title,
        release.key,
        title,
        release.key
    );
    if let Some(version) = version {
        html!(out, "<b>{}</b> ", version);
    }
    html!(
        out,
        "<code>{}</code></p>{}<p class=\"count\">{}",
        release.ami.as_deref().unwrap_or("image unknown"),
        dots(release),
        count(release)
    );
    if release.pin > 0 && release.role != Role::Going {
        html!(out, ", kept at {}", release.pin);
    }
    html!(out, "</p>");
    if let Some(trial) = &release.trial {
        html!(out, "{}", clock(trial, now));
    }
    html!(out, "</section>");
    out
}

fn count(release: &Release) -> Html {
    let mut out = Html::new();
    html!(
        out,
        "<b>{}</b> healthy of {}",
        release.healthy,
        total(release)
    );
    out
}

fn role(app: &App, release: &Release) -> (&'static str, &'static str) {
    match release.role {
        Role::Serving if app.releases.len() > 1 => ("serving", "Serving"),
        Role::Serving => ("serving", "Release"),
        Role::Coming => ("coming", "New"),
        Role::Going => ("going", "Leaving"),
    }
}

/// How many there are, or will be at once.
fn total(release: &Release) -> u32 {
    let there = u32::try_from(release.instances.len()).unwrap_or(u32::MAX);
    release.desired.max(there)
}

/// One dot per instance, and one per instance that is still to come.
pub(super) fn dots(release: &Release) -> Html {
    let mut out = Html::new();
    html!(
        out,
        "<span class=\"dots\" role=\"img\" aria-label=\"{} of {} instances are healthy\">",
        release.healthy,
        total(release)
    );
    for instance in release.instances.iter().take(DOTS) {
        let (class, says) = dot(instance, release.role);
        html!(
            out,
            "<i class=\"{}\" data-key=\"{}\" title=\"{}: {}\"></i>",
            class,
            instance.id,
            instance.id,
            says
        );
    }
    let missing = (total(release) as usize).saturating_sub(release.instances.len());
    for _ in 0..missing.min(DOTS.saturating_sub(release.instances.len())) {
        html!(out, "<i class=\"due\" title=\"not launched yet\"></i>");
    }
    let hidden = (total(release) as usize).saturating_sub(DOTS);
    if hidden > 0 {
        html!(out, "<b>+{}</b>", hidden);
    }
    html!(out, "</span>");
    out
}

/// The class of an instance's dot, and what AWS says of it.
pub(super) fn dot(instance: &Instance, role: Role) -> (&'static str, String) {
    let says = match &instance.target {
        Some(target) => format!("{}, {target}", instance.lifecycle),
        None => instance.lifecycle.clone(),
    };
    let target = instance.target.as_deref().unwrap_or_default();
    let class = if role == Role::Going || target == "draining" {
        "out"
    } else if instance.healthy {
        "ok"
    } else if target == "unhealthy" || target == "unavailable" {
        "bad"
    } else {
        "wait"
    };
    (class, says)
}

/// What runs against a clock, and how far it is.
fn clock(trial: &Trial, now: Timestamp) -> Html {
    let mut out = Html::new();
    let (class, words, until, length) = match (trial.bake_until, trial.timeout_at) {
        (Some(until), _) => ("bake", "baked in", until, trial.bake_seconds),
        (None, Some(until)) => (
            "timeout",
            "given up unless healthy in",
            until,
            trial.timeout_seconds,
        ),
        (None, None) => return out,
    };
    let left = until.duration_since(now).as_secs().max(0);
    let passed = i64::try_from(length)
        .unwrap_or(i64::MAX)
        .saturating_sub(left)
        .max(0);
    html!(
        out,
        "<p class=\"clock {}\"><progress max=\"{}\" value=\"{}\" data-until=\"{}\" aria-label=\"{}\"></progress>\
         <span>needs <b>{}</b> · {} <time class=\"until\" datetime=\"{}\">{}</time></span></p>",
        class,
        length,
        passed,
        words::machine(until),
        if class == "bake" {
            "Bake time"
        } else {
            "Time to become healthy"
        },
        trial.required,
        words,
        words::machine(until),
        words::span(left)
    );
    out
}

/// Healthy instances of all groups as one bar, and the line that it has to
/// stay right of.
fn capacity(app: &App) -> Html {
    let mut out = Html::new();
    let healthy: u32 = app.releases.iter().map(|release| release.healthy).sum();
    let all: u32 = app.releases.iter().map(total).sum();
    let Some(floor) = app.floor else {
        return out;
    };
    let width = f64::from(all.max(healthy).max(floor).max(1));
    let percent = |count: u32| format!("{:.2}%", f64::from(count) / width * 100.0);
    html!(
        out,
        "<figure class=\"capacity\"><svg width=\"100%\" height=\"22\" role=\"img\" aria-label=\"{} healthy instances, no step goes below {}\">\
         <rect class=\"room\" x=\"0\" y=\"4\" width=\"100%\" height=\"14\" rx=\"3\"/>",
        healthy,
        floor
    );
    let mut at = 0;
    for release in &app.releases {
        html!(
            out,
            "<rect class=\"{}\" x=\"{}\" y=\"4\" width=\"{}\" height=\"14\" rx=\"3\"/>",
            role(app, release).0,
            percent(at),
            percent(release.healthy)
        );
        at += release.healthy;
    }
    html!(
        out,
        "<line x1=\"{}\" x2=\"{}\" y1=\"0\" y2=\"22\"/></svg><figcaption><b>{}</b> healthy in all; no step of a roll goes below the line at <b>{}</b></figcaption></figure>",
        percent(floor),
        percent(floor),
        healthy,
        floor
    );
    out
}
