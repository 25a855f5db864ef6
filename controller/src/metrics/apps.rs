//! The series of apps: written from the snapshot at each scrape, gone with the
//! app.
//!
//! A thousand apps have some twenty thousand series. Kept as gauges they would
//! take more memory than all the rest of the daemon and a good part of its
//! loop's time; so only the few values are kept and the text is written when
//! somebody asks. The one counter with an app's name keeps counting as long as
//! the app is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write};

use amid_core::decide::Phase;
use amid_core::history::Outcome;

use super::{MAX_APPS, MAX_HOLDS, Metrics, lock, seconds};
use crate::status::{App, Release, Status};

/// What the series of all apps are written from, by app.
#[derive(Debug, Default)]
pub(super) struct Apps {
    shown: BTreeMap<String, Shown>,
    rolls: BTreeMap<String, [u64; Outcome::ALL.len()]>,
}

/// How one gauge is read off an app.
type Value = fn(&Shown) -> f64;

/// The values of one app.
#[derive(Debug)]
struct Shown {
    phase: Phase,
    since: f64,
    as_desired: bool,
    held: BTreeSet<String>,
    desired: u32,
    in_service: u32,
    healthy: u32,
}

impl Metrics {
    /// A commit came to its end for `app`.
    pub fn outcome(&self, app: &str, outcome: Outcome) {
        let mut apps = lock(&self.apps);
        if !apps.rolls.contains_key(app) && apps.rolls.len() >= MAX_APPS {
            return;
        }
        // The next snapshot takes it away again if it has no such app.
        let counts = apps.rolls.entry(app.to_owned()).or_default();
        let at = Outcome::ALL.iter().position(|one| *one == outcome);
        if let Some(count) = at.and_then(|at| counts.get_mut(at)) {
            *count = count.saturating_add(1);
        }
    }

    /// Makes the gauges say what `status` says, and drops the series of apps
    /// that are gone.
    pub fn observe_status(&self, status: &Status) {
        let shown = &status.apps[..status.apps.len().min(MAX_APPS)];
        let hidden = status.apps.len() - shown.len();
        self.apps_not_shown
            .set(i64::try_from(hidden).unwrap_or(i64::MAX));
        {
            let mut apps = lock(&self.apps);
            let apps = &mut *apps;
            apps.shown = shown
                .iter()
                .map(|app| (app.app.clone(), Shown::of(app)))
                .collect();
            apps.rolls.retain(|app, _| apps.shown.contains_key(app));
            for app in apps.shown.keys() {
                if !apps.rolls.contains_key(app) {
                    apps.rolls.insert(app.clone(), Default::default());
                }
            }
        }

        let repository = &status.repository;
        self.repository_readable.set(i64::from(
            repository.error.is_none() && repository.fetched.is_some(),
        ));
        if let Some(fetched) = repository.fetched {
            self.repository_fetched.set(seconds(fetched));
        }
        if let Some(swept) = status.swept {
            self.swept.set(seconds(swept));
        }
    }
}

impl Shown {
    fn of(app: &App) -> Self {
        let sum =
            |of: fn(&Release) -> u32| app.releases.iter().map(of).fold(0, u32::saturating_add);
        let held = app.held.iter().take(MAX_HOLDS);
        Self {
            phase: app.phase,
            since: seconds(app.since),
            as_desired: as_desired(app),
            held: held.map(|hold| word(&hold.label).to_owned()).collect(),
            desired: sum(|release| release.desired),
            in_service: sum(|release| release.in_service),
            healthy: sum(|release| release.healthy),
        }
    }
}

impl Apps {
    /// Writes every series, in the text format of Prometheus.
    pub(super) fn write(&self, text: &mut String) {
        let mut out = Text(text);
        out.family(
            "amid_app_info",
            "gauge",
            "1 for the phase that the app is in, 0 for the others.",
        );
        for (app, shown) in &self.shown {
            for phase in Phase::ALL {
                let is = u8::from(*phase == shown.phase);
                out.line("amid_app_info", app, Some(("phase", phase.label())), is);
            }
        }
        out.family(
            "amid_app_held",
            "gauge",
            "1 while something about the app stands still for this reason.",
        );
        for (app, shown) in &self.shown {
            for reason in &shown.held {
                out.line("amid_app_held", app, Some(("reason", reason)), 1);
            }
        }
        let gauges: [(&str, &str, Value); 5] = [
            (
                "amid_app_phase_start_timestamp_seconds",
                "When the app came into its phase.",
                |shown| shown.since,
            ),
            (
                "amid_app_as_desired",
                "1 when the app's only release is the one that git asks for.",
                |shown| f64::from(u8::from(shown.as_desired)),
            ),
            (
                "amid_app_desired_instances",
                "Desired capacity, all of the app's groups together.",
                |shown| f64::from(shown.desired),
            ),
            (
                "amid_app_in_service_instances",
                "Instances in service, all of the app's groups together.",
                |shown| f64::from(shown.in_service),
            ),
            (
                "amid_app_healthy_instances",
                "Instances in service and healthy in every target group that was asked.",
                |shown| f64::from(shown.healthy),
            ),
        ];
        for (name, help, value) in gauges {
            out.family(name, "gauge", help);
            for (app, shown) in &self.shown {
                out.line(name, app, None, value(shown));
            }
        }
        out.family(
            "amid_rolls_total",
            "counter",
            "Commits that came to their end, by how.",
        );
        for (app, counts) in &self.rolls {
            for (outcome, count) in Outcome::ALL.iter().zip(counts) {
                let label = Some(("outcome", outcome.label()));
                out.line("amid_rolls_total", app, label, count);
            }
        }
    }
}

/// Lines of the text format.
struct Text<'a>(&'a mut String);

impl Text<'_> {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One series. Names and labels are of letters, digits, `-`, `_` and `/`:
    /// nothing in them needs to be escaped.
    fn line(&mut self, name: &str, app: &str, label: Option<(&str, &str)>, value: impl Display) {
        let _ = match label {
            Some((label, of)) => {
                writeln!(self.0, "{name}{{app=\"{app}\",{label}=\"{of}\"}} {value}")
            }
            None => writeln!(self.0, "{name}{{app=\"{app}\"}} {value}"),
        };
    }
}

/// Whether the app's only release is the one that git asks for.
fn as_desired(app: &App) -> bool {
    match (&app.desired, app.releases.as_slice()) {
        (Some(desired), [release]) => release.key == desired.key,
        _ => false,
    }
}

/// A hold's label, if it is the one word that `Reason::label` makes.
fn word(label: &str) -> &str {
    let is_word = (1..=40).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_word { label } else { "other" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_one_word_or_other() {
        assert_eq!(word("image_missing"), "image_missing");
        let long = "x".repeat(41);
        for wrong in ["", "Image", "two words", "a\"}", long.as_str()] {
            assert_eq!(word(wrong), "other", "{wrong}");
        }
    }
}
