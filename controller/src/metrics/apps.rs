//! The series of apps: written from the snapshot at each scrape, gone with the
//! app.
//!
//! A thousand apps have some twenty thousand series. Kept as gauges they would
//! take more memory than all the rest of the daemon and a good part of its
//! loop's time; so only the few values are kept and the text is written when
//! somebody asks. The counters with an app's name keep counting as long as
//! the app is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write};

use amid_core::decide::Phase;
use amid_core::history::Outcome;
use amid_core::reason::Reason;

use super::catalogue::{Family, Kind, Label};
use super::labels::{InstanceState, ReleaseRole};
use super::rolls::outcomes;
use super::{MAX_APPS, MAX_HOLDS, Metrics, lock, seconds};
use crate::status::{App, Release};

/// What the series of all apps are written from, by app.
#[derive(Debug, Default)]
pub(super) struct Apps {
    shown: BTreeMap<String, Shown>,
    counted: BTreeMap<String, Counted>,
}

/// The values of one app, as the last snapshot says.
#[derive(Debug)]
struct Shown {
    phase: Phase,
    since: f64,
    as_desired: bool,
    drifted: bool,
    held: BTreeSet<String>,
    waiting: Option<&'static str>,
    current: Option<[u32; 3]>,
    next: Option<[u32; 3]>,
    committed: Option<f64>,
    image_created: Option<f64>,
}

/// What is counted of one app.
#[derive(Debug, Default)]
struct Counted {
    outcomes: [u64; Outcome::ALL.len()],
    lead_time: Sum,
    restored: Sum,
}

/// Sum and number of some durations, in seconds.
#[derive(Debug, Default)]
struct Sum {
    sum: f64,
    count: u64,
}

impl Sum {
    fn add(&mut self, seconds: f64) {
        self.sum += seconds;
        self.count = self.count.saturating_add(1);
    }
}

impl Metrics {
    /// A commit came to its end for `app`.
    pub fn outcome(&self, app: &str, outcome: Outcome) {
        lock(&self.apps).count(app, |counted| {
            let at = Outcome::ALL.iter().position(|one| *one == outcome);
            if let Some(count) = at.and_then(|at| counted.outcomes.get_mut(at)) {
                *count = count.saturating_add(1);
            }
        });
    }

    /// A roll of `app` brought its commit live.
    pub(super) fn lead_time(&self, app: &str, seconds: f64) {
        lock(&self.apps).count(app, |counted| counted.lead_time.add(seconds));
    }

    /// `app` is as git asks again, so long after a release was given up.
    pub(super) fn restored(&self, app: &str, seconds: f64) {
        lock(&self.apps).count(app, |counted| counted.restored.add(seconds));
    }
}

impl Shown {
    fn of(app: &App) -> Self {
        let mut releases = app.releases.iter();
        let mut held = app.held.iter();
        let current = releases.next().map(sizes);
        let next = releases
            .map(sizes)
            .reduce(|sum, more| std::array::from_fn(|at| sum[at].saturating_add(more[at])));
        let image_created = app.releases.first().and_then(|one| one.image_created);
        let healing = app
            .state
            .as_ref()
            .is_some_and(|why| why.label == "heal_drift");
        Self {
            phase: app.phase,
            since: seconds(app.since),
            as_desired: as_desired(app),
            drifted: healing || held.any(|hold| is_drift(&hold.label)),
            held: app
                .held
                .iter()
                .take(MAX_HOLDS)
                .map(|hold| word(&hold.label).to_owned())
                .collect(),
            waiting: app.state.as_ref().and_then(|why| wait(&why.label)),
            current,
            next,
            committed: app
                .desired
                .as_ref()
                .and_then(|desired| desired.committed)
                .map(seconds),
            image_created: image_created.map(seconds),
        }
    }
}

/// Desired, in service and healthy, as in [`InstanceState`].
fn sizes(release: &Release) -> [u32; 3] {
    [release.desired, release.in_service, release.healthy]
}

fn is_drift(label: &str) -> bool {
    matches!(label, "drifted" | "foreign_image" | "unknown_group")
}

/// One family of an app's series, and how it is read off an app.
struct Own {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    labels: &'static [Label],
    lines: fn(&mut Lines<'_>, &Shown, &Counted),
}

const OUTCOME: Label = Label::one_of("outcome", outcomes);
const PHASE: Label = Label::one_of("phase", || {
    Phase::ALL.iter().map(|phase| phase.label()).collect()
});
const HOLD: Label = Label::one_of("reason", || {
    Reason::LABELS.iter().copied().chain(["other"]).collect()
});
const WAIT: Label = Label::one_of("reason", || waits().collect());
const ROLE: Label = Label::one_of("release", ReleaseRole::labels);
const STATE: Label = Label::one_of("state", InstanceState::labels);

const FAMILIES: &[Own] = &[
    Own {
        name: "amid_app_info",
        kind: Kind::Gauge,
        help: "1, with the phase that the app is in.",
        labels: &[PHASE],
        lines: |out, shown, _| out.line(&[("phase", shown.phase.label())], 1),
    },
    Own {
        name: "amid_app_phase_start_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the app came into its phase.",
        labels: &[],
        lines: |out, shown, _| out.line(&[], shown.since),
    },
    Own {
        name: "amid_app_as_desired",
        kind: Kind::Gauge,
        help: "1 when the app's only release is the one that git asks for.",
        labels: &[],
        lines: |out, shown, _| out.line(&[], u8::from(shown.as_desired)),
    },
    Own {
        name: "amid_app_held",
        kind: Kind::Gauge,
        help: "1 while something about the app stands still for this reason.",
        labels: &[HOLD],
        lines: |out, shown, _| {
            for reason in &shown.held {
                out.line(&[("reason", reason)], 1);
            }
        },
    },
    Own {
        name: "amid_app_waiting",
        kind: Kind::Gauge,
        help: "1 while the app waits for this, in a roll or before one.",
        labels: &[WAIT],
        lines: |out, shown, _| {
            if let Some(reason) = shown.waiting {
                out.line(&[("reason", reason)], 1);
            }
        },
    },
    Own {
        name: "amid_app_drifted",
        kind: Kind::Gauge,
        help: "1 while the app's groups or instances are not as amid made them.",
        labels: &[],
        lines: |out, shown, _| out.line(&[], u8::from(shown.drifted)),
    },
    Own {
        name: "amid_app_instances",
        kind: Kind::Gauge,
        help: "Instances of the app's current release, and of the next one while it rolls.",
        labels: &[ROLE, STATE],
        lines: |out, shown, _| {
            let roles = ReleaseRole::ALL.iter().zip([shown.current, shown.next]);
            for (role, sizes) in roles {
                for (state, count) in InstanceState::ALL.iter().zip(sizes.iter().flatten()) {
                    let labels = [("release", role.label()), ("state", state.label())];
                    out.line(&labels, count);
                }
            }
        },
    },
    Own {
        name: "amid_app_committed_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the commit was made that asks for what the app is to be.",
        labels: &[],
        lines: |out, shown, _| {
            if let Some(committed) = shown.committed {
                out.line(&[], committed);
            }
        },
    },
    Own {
        name: "amid_app_image_created_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the image was made that the app's current release runs.",
        labels: &[],
        lines: |out, shown, _| {
            if let Some(created) = shown.image_created {
                out.line(&[], created);
            }
        },
    },
    Own {
        name: "amid_rolls_total",
        kind: Kind::Counter,
        help: "Commits that came to their end, by how.",
        labels: &[OUTCOME],
        lines: |out, _, counted| {
            for (outcome, count) in Outcome::ALL.iter().zip(counted.outcomes) {
                out.line(&[("outcome", outcome.label())], count);
            }
        },
    },
    Own {
        name: "amid_app_lead_time_seconds",
        kind: Kind::Summary,
        help: "Time from a commit until its release was live, of rolls that went well.",
        labels: &[],
        lines: |out, _, counted| out.sum(&counted.lead_time),
    },
    Own {
        name: "amid_app_restore_time_seconds",
        kind: Kind::Summary,
        help: "Time from a release that was given up until the app was as git asks again.",
        labels: &[],
        lines: |out, _, counted| out.sum(&counted.restored),
    },
];

/// For the catalogue.
pub(super) fn families() -> Vec<Family> {
    FAMILIES
        .iter()
        .map(|own| Family {
            name: own.name.into(),
            kind: own.kind,
            help: own.help.into(),
            labels: [Label::APP].iter().chain(own.labels).cloned().collect(),
        })
        .collect()
}

impl Apps {
    /// Shows these apps and no others.
    pub(super) fn show(&mut self, apps: &[App]) {
        self.shown = apps
            .iter()
            .map(|app| (app.app.clone(), Shown::of(app)))
            .collect();
        self.counted.retain(|app, _| self.shown.contains_key(app));
        for app in self.shown.keys() {
            if !self.counted.contains_key(app) {
                self.counted.insert(app.clone(), Counted::default());
            }
        }
    }

    /// Counts for one app. The next snapshot takes it away again if it has no
    /// such app.
    fn count(&mut self, app: &str, count: impl FnOnce(&mut Counted)) {
        if self.counted.contains_key(app) || self.counted.len() < MAX_APPS {
            count(self.counted.entry(app.to_owned()).or_default());
        }
    }

    /// Writes every series, in the text format of Prometheus.
    pub(super) fn write(&self, text: &mut String) {
        let nothing = Counted::default();
        for family in FAMILIES {
            let (name, help, kind) = (family.name, family.help, family.kind.label());
            // Writing to a text cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (app, shown) in &self.shown {
                let counted = self.counted.get(app).unwrap_or(&nothing);
                (family.lines)(&mut Lines { text, name, app }, shown, counted);
            }
        }
    }
}

/// Series of one family and one app. Names and label values are of letters,
/// digits, `-`, `_` and `/`: nothing in them needs to be escaped.
struct Lines<'a> {
    text: &'a mut String,
    name: &'static str,
    app: &'a str,
}

impl Lines<'_> {
    fn line(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.write("", labels, value);
    }

    fn sum(&mut self, sum: &Sum) {
        self.write("_sum", &[], sum.sum);
        self.write("_count", &[], sum.count);
    }

    fn write(&mut self, end: &str, labels: &[(&str, &str)], value: impl Display) {
        let (name, app) = (self.name, self.app);
        // Writing to a text cannot fail.
        let _ = write!(self.text, "{name}{end}{{app=\"{app}\"");
        for (label, of) in labels {
            let _ = write!(self.text, ",{label}=\"{of}\"");
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}

/// Whether the app's only release is the one that git asks for.
fn as_desired(app: &App) -> bool {
    match (&app.desired, app.releases.as_slice()) {
        (Some(desired), [release]) => release.key == desired.key,
        _ => false,
    }
}

/// The reasons that are waits.
fn waits() -> impl Iterator<Item = &'static str> {
    let all = Reason::LABELS.iter().copied();
    all.filter(|label| label.starts_with("wait_") || *label == "slow_drain")
}

fn wait(label: &str) -> Option<&'static str> {
    waits().find(|known| *known == label)
}

/// A hold's label, if it is the one word that `Reason::label` makes.
fn word(label: &str) -> &str {
    if Reason::LABELS.contains(&label) {
        label
    } else {
        "other"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_known_word_or_other() {
        assert_eq!(word("image_missing"), "image_missing");
        for wrong in ["", "Image", "two words", "a\"}", "made_up"] {
            assert_eq!(word(wrong), "other", "{wrong}");
        }
    }
}
