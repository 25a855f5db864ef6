//! How many series there can be, whatever happens.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

#[test]
fn a_thousand_apps_fit_the_bars() {
    let metrics = metrics();
    let before = series(&metrics.render());
    let apps = (0..1_000).map(|n| app(&format!("department/app-{n:04}"), Phase::Steady));
    metrics.observe_status(&status(apps.collect()));
    everything(&metrics);
    let text = metrics.render();
    let per_app = (series(&text) - before) / 1_000;
    assert!(per_app <= 40, "{per_app} series an app");
    assert!(text.len() <= 2_000_000, "{} bytes", text.len());
}

#[test]
fn ten_thousand_events_add_no_series() {
    let metrics = metrics();
    let rolling: Vec<App> = (0..20)
        .map(|n| app(&format!("a{n}"), Phase::Baking))
        .collect();
    metrics.observe_status(&status(rolling.clone()));
    everything(&metrics);
    let before = series(&metrics.render());
    for number in 0..10_000 / 30 {
        everything(&metrics);
        // Commits, images and instances change all the time.
        let mut apps = rolling.clone();
        for app in &mut apps {
            app.releases[0].ami = Some(format!("ami-{number:017x}"));
            app.desired.as_mut().expect("it is there").commit = format!("{number:040x}");
        }
        metrics.observe_status(&status(apps));
    }
    assert_eq!(series(&metrics.render()), before);
}

#[test]
fn more_apps_than_the_limit_are_counted_but_have_no_series() {
    let metrics = metrics();
    let apps = (0..MAX_APPS + 3)
        .map(|n| app(&format!("a{n}"), Phase::Steady))
        .collect();
    metrics.observe_status(&status(apps));
    metrics.outcome("one-more", Outcome::Applied);
    let text = metrics.render();
    assert_eq!(value(&text, "amid_apps_not_shown"), Some(3.0));
    assert!(!text.contains("one-more"));
    assert!(!text.contains(&format!(r#"app="a{}""#, MAX_APPS + 1)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever came before, only the apps of the last snapshot have series,
    /// and each has at most a fixed number.
    #[test]
    fn the_number_of_series_has_a_bound(
        rounds in prop::collection::vec(
            prop::collection::vec(("[a-z]{1,8}", 0..Phase::ALL.len(), ".{0,60}"), 0..12),
            1..12,
        ),
    ) {
        let metrics = metrics();
        let base = series(&metrics.render());
        let mut most = 0;
        for round in rounds {
            let apps: Vec<App> = round
                .iter()
                .map(|(name, phase, label)| {
                    let mut made = app(name, Phase::ALL[*phase]);
                    let mut text = String::new();
                    for n in 0..20 {
                        let _ = write!(text, "{n}");
                        made.held.push(Sentence {
                            label: if n == 0 { label.clone() } else { "x".repeat(n) },
                            text: text.clone(),
                            frees: None,
                        });
                    }
                    metrics.outcome(name, Outcome::ALL[phase % Outcome::ALL.len()]);
                    made
                })
                .collect();
            most = apps.len();
            metrics.observe_status(&status(apps));
        }
        let per_app = Outcome::ALL.len() + MAX_HOLDS + 16;
        let all = series(&metrics.render());
        prop_assert!(all <= base + most * per_app, "{all} series for {most} apps");
    }
}
