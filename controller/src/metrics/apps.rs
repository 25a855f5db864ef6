//! The series of apps: computed from the snapshot, gone with the app.
//!
//! All gauges of apps are rewritten together under one lock that a scrape
//! takes too, so no scrape sees a half of them. The one counter with an app's
//! name keeps counting as long as the app is there.

use std::collections::BTreeSet;

use amid_core::decide::Phase;
use amid_core::history::Outcome;

use super::{MAX_APPS, MAX_HOLDS, Metrics, lock, seconds};
use crate::status::{App, Release, Status};

impl Metrics {
    /// A commit came to its end for `app`.
    pub fn outcome(&self, app: &str, outcome: Outcome) {
        let mut apps = lock(&self.apps);
        if !apps.contains(app) {
            if apps.len() >= MAX_APPS {
                return;
            }
            // The next snapshot takes it away again if it has no such app.
            apps.insert(app.to_owned());
        }
        self.rolls.with_label_values(&[app, outcome.label()]).inc();
    }

    /// Makes the gauges say what `status` says, and drops the series of apps
    /// that are gone.
    pub fn observe_status(&self, status: &Status) {
        let mut apps = lock(&self.apps);
        let shown = &status.apps[..status.apps.len().min(MAX_APPS)];
        let hidden = status.apps.len() - shown.len();
        self.apps_not_shown
            .set(i64::try_from(hidden).unwrap_or(i64::MAX));

        self.app_info.reset();
        self.app_since.reset();
        self.app_as_desired.reset();
        self.app_held.reset();
        self.app_desired.reset();
        self.app_in_service.reset();
        self.app_healthy.reset();
        for app in shown {
            self.observe_app(app);
        }

        let now: BTreeSet<String> = shown.iter().map(|app| app.app.clone()).collect();
        for gone in apps.difference(&now) {
            for outcome in Outcome::ALL {
                // An app that never had an outcome has no such series.
                let _ = self.rolls.remove_label_values(&[gone, outcome.label()]);
            }
        }
        for app in &now {
            for outcome in Outcome::ALL {
                self.rolls.with_label_values(&[app, outcome.label()]);
            }
        }
        *apps = now;

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

    fn observe_app(&self, app: &App) {
        let name = app.app.as_str();
        for phase in Phase::ALL {
            self.app_info
                .with_label_values(&[name, phase.label()])
                .set(i64::from(*phase == app.phase));
        }
        self.app_since
            .with_label_values(&[name])
            .set(seconds(app.since));
        self.app_as_desired
            .with_label_values(&[name])
            .set(i64::from(as_desired(app)));
        for hold in app.held.iter().take(MAX_HOLDS) {
            self.app_held
                .with_label_values(&[name, word(&hold.label)])
                .set(1);
        }
        let sum = |of: fn(&Release) -> u32| -> i64 {
            app.releases
                .iter()
                .map(|release| i64::from(of(release)))
                .sum()
        };
        self.app_desired
            .with_label_values(&[name])
            .set(sum(|release| release.desired));
        self.app_in_service
            .with_label_values(&[name])
            .set(sum(|release| release.in_service));
        self.app_healthy
            .with_label_values(&[name])
            .set(sum(|release| release.healthy));
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
