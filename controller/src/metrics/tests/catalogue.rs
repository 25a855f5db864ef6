//! Whatever is written stands on the catalogue, and the committed catalogue is
//! the program's.

use super::*;
use crate::metrics::catalogue::{self, Kind, Values};

#[test]
fn names_follow_the_rules_of_prometheus() {
    let metrics = metrics();
    metrics.observe_status(&status(vec![app("a", Phase::Steady)]));
    for family in metrics.registry.gather() {
        let name = family.name();
        assert!(
            name.starts_with("amid_") || name.starts_with("process_"),
            "{name}"
        );
        let counts = family.get_field_type() == prometheus::proto::MetricType::COUNTER;
        assert_eq!(counts, name.ends_with("_total"), "{name}");
        assert!(family.help().ends_with('.'), "{name}");
        assert!(!name.contains("millis"), "{name}");
    }
    for family in metrics.catalogue() {
        let name = &*family.name;
        assert_eq!(
            family.kind == Kind::Counter,
            name.ends_with("_total"),
            "{name}"
        );
        assert!(
            family.help.ends_with('.') && !family.help.contains('\n'),
            "{name}"
        );
    }
    // The series of apps are written by hand.
    let text = metrics.render();
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = family.split_once(' ').expect("a name and a kind");
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        assert_eq!(
            text.matches(&format!("# TYPE {name} ")).count(),
            1,
            "{name}"
        );
    }
}

/// Name and labels of one line of the text format.
fn parsed(line: &str) -> (String, BTreeMap<String, String>) {
    let series = line.rsplit_once(' ').expect("a value").0;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.trim_end_matches('}').split("\",");
    let labels = labels
        .filter_map(|label| label.split_once("=\""))
        .map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()))
        .collect();
    (name.to_owned(), labels)
}

#[test]
fn whatever_is_written_stands_on_the_catalogue_with_its_labels_and_their_values() {
    let metrics = metrics();
    let mut apps = Vec::new();
    for (number, label) in Reason::LABELS.iter().chain(&["nonsense"]).enumerate() {
        let phase = Phase::ALL[number % Phase::ALL.len()];
        let mut held = app(&format!("a{number}"), phase);
        held.held.push(hold(label));
        held.releases.push(held.releases[0].clone());
        held.state = Some(hold(label));
        apps.push(held);
    }
    metrics.observe_status(&status(apps));
    everything(&metrics);
    let text = metrics.render();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, mut labels) = parsed(line);
        let family = metrics.catalogue().iter().find(|family| {
            let ends: &[&str] = match family.kind {
                Kind::Histogram => &["_bucket", "_sum", "_count"],
                Kind::Summary => &["_sum", "_count"],
                Kind::Gauge | Kind::Counter => &[""],
            };
            name.strip_prefix(&*family.name)
                .is_some_and(|end| ends.contains(&end))
        });
        let family = family.unwrap_or_else(|| panic!("{name} stands on no catalogue"));
        seen.insert(family.name.clone());
        let bucket = labels.remove("le");
        assert_eq!(bucket.is_some(), name.ends_with("_bucket"), "{line}");
        let names: Vec<&str> = labels.keys().map(String::as_str).collect();
        let mut want: Vec<&str> = family.labels.iter().map(|label| &*label.name).collect();
        want.sort_unstable();
        assert_eq!(names, want, "{line}");
        for label in &family.labels {
            let value = labels[&*label.name].as_str();
            match label.values {
                Values::OneOf(list) => assert!(list().contains(&value), "{line}"),
                Values::App => assert!(value.is_empty() || value.starts_with('a'), "{line}"),
                Values::Bounded(what) => assert!(!what.is_empty(), "{line}"),
                Values::Unlisted => panic!("nobody says what values {} has: {line}", label.name),
            }
        }
    }
    let all: std::collections::BTreeSet<_> = metrics
        .catalogue()
        .iter()
        .map(|family| family.name.clone())
        .collect();
    assert_eq!(seen, all, "each family is written");
}

#[test]
fn the_committed_catalogue_is_that_of_this_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/metrics.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let metrics = Metrics::new("", "").expect("all names are different");
    assert!(
        committed == catalogue::as_json(metrics.catalogue()),
        "run `cargo run --example metrics > dashboards/metrics.json`, then `dashboards/generate.py`"
    );
}
