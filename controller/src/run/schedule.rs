//! Which app gets a pass when: at most one at a time per app, and one more
//! when something changed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use amid_core::model::AppName;

/// Which app gets a pass when.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    due: BTreeMap<AppName, Instant>,
    busy: BTreeSet<AppName>,
    failures: BTreeMap<AppName, u32>,
    audited: Option<Instant>,
}

impl Schedule {
    /// `app` gets a pass at `at`, or earlier if that was said before.
    pub(super) fn due(&mut self, app: &AppName, at: Instant) {
        let due = self.due.entry(app.clone()).or_insert(at);
        *due = (*due).min(at);
    }

    /// Takes the apps whose time has come and that have no pass now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<AppName> {
        let ready: Vec<AppName> = self
            .due
            .iter()
            .filter(|(app, at)| **at <= now && !self.busy.contains(*app))
            .map(|(app, _)| app.clone())
            .collect();
        for app in &ready {
            self.due.remove(app);
            self.busy.insert(app.clone());
        }
        ready
    }

    /// When the next pass is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let free = self.due.iter().filter(|(app, _)| !self.busy.contains(*app));
        free.map(|(_, at)| *at).min()
    }

    /// The pass of `app` ended.
    pub(super) fn done(&mut self, app: &AppName) {
        self.busy.remove(app);
    }

    /// A pass ended without saying whose it was.
    pub(super) fn lost(&mut self) {
        self.busy.clear();
    }

    /// Nothing is due for `app` any more.
    pub(super) fn forget(&mut self, app: &AppName) {
        self.due.remove(app);
        self.failures.remove(app);
    }

    /// How long to wait after a look that failed: longer each time.
    pub(super) fn patience(&mut self, app: &AppName) -> Duration {
        let failures = self.failures.entry(app.clone()).or_insert(0);
        *failures = failures.saturating_add(1);
        Duration::from_secs(1 << (*failures).min(5))
    }

    /// The look at `app` worked.
    pub(super) fn worked(&mut self, app: &AppName) {
        self.failures.remove(app);
    }

    /// Whether it is time for an audit: never at the first sweep, then `every`
    /// so often.
    pub(super) fn audit(&mut self, now: Instant, every: Duration) -> bool {
        let audited = *self.audited.get_or_insert(now);
        let due = now.duration_since(audited) >= every;
        if due {
            self.audited = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> AppName {
        AppName::parse(name).unwrap()
    }

    #[test]
    fn an_app_has_at_most_one_pass_and_none_is_forgotten() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        schedule.due(&app("a"), now);
        assert_eq!(schedule.take_due(now), [app("a")]);
        schedule.due(&app("a"), now);
        assert!(schedule.take_due(now).is_empty(), "it has a pass already");
        assert_eq!(schedule.next(), None);
        schedule.done(&app("a"));
        assert_eq!(
            schedule.take_due(now),
            [app("a")],
            "what was due meanwhile comes next"
        );
    }

    #[test]
    fn the_earlier_time_counts() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        schedule.due(&app("a"), now + Duration::from_secs(60));
        schedule.due(&app("a"), now + Duration::from_secs(5));
        schedule.due(&app("a"), now + Duration::from_secs(30));
        assert_eq!(schedule.next(), Some(now + Duration::from_secs(5)));
    }
}
