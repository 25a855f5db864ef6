//! What can be exported: each family with its kind, help and label values.
//!
//! Boards, rules and documents are checked against this list and
//! `docs/metrics.md` is written from it, so that none of them can name a thing that
//! the program does not export. A family gets on the list when it is
//! registered; nothing has to be kept in step by hand.

use std::borrow::Cow;

use serde_json::{Value, json};

/// What sort of figure a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows.
    Counter,
    /// Counts by buckets.
    Histogram,
    /// Sum and count, where buckets for every app would be too many series.
    Summary,
}

impl Kind {
    /// As the text format names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// The values that a label can have.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// One of these.
    OneOf(fn() -> Vec<&'static str>),
    /// The name of an app that is there.
    App,
    /// Not a list, yet bounded by the program: what it is, in words.
    Bounded(&'static str),
    /// Nobody said. A test refuses it.
    Unlisted,
}

/// A label of a family.
#[derive(Clone, Debug)]
pub struct Label {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its values.
    pub values: Values,
}

impl Label {
    /// A label with a closed list of values.
    pub const fn one_of(name: &'static str, values: fn() -> Vec<&'static str>) -> Self {
        let values = Values::OneOf(values);
        let name = Cow::Borrowed(name);
        Self { name, values }
    }

    /// A label whose values are bounded by the program, in words.
    pub const fn bounded(name: &'static str, what: &'static str) -> Self {
        let values = Values::Bounded(what);
        let name = Cow::Borrowed(name);
        Self { name, values }
    }

    /// The label `app`.
    pub const APP: Self = Self {
        name: Cow::Borrowed("app"),
        values: Values::App,
    };
}

impl Label {
    /// A label of which only the name is known.
    pub fn named(name: Cow<'static, str>) -> Self {
        let values = match &*name {
            "app" => Values::App,
            _ => Values::Unlisted,
        };
        Self { name, values }
    }
}

impl From<&&'static str> for Label {
    fn from(name: &&'static str) -> Self {
        Self::named(Cow::Borrowed(name))
    }
}

impl From<&Label> for Label {
    fn from(label: &Label) -> Self {
        label.clone()
    }
}

/// One family of series.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its name.
    pub name: Cow<'static, str>,
    /// What sort of figure it holds.
    pub kind: Kind,
    /// One sentence.
    pub help: Cow<'static, str>,
    /// Its labels.
    pub labels: Vec<Label>,
}

impl Family {
    fn json(&self) -> Value {
        let labels: serde_json::Map<String, Value> = self
            .labels
            .iter()
            .map(|label| {
                let values = match label.values {
                    Values::OneOf(list) => json!(list()),
                    Values::App => json!("app"),
                    Values::Bounded(what) => json!(what),
                    Values::Unlisted => Value::Null,
                };
                (label.name.clone().into_owned(), values)
            })
            .collect();
        json!({ "name": self.name, "kind": self.kind.label(), "help": self.help, "labels": labels })
    }
}

/// The list as it is committed: `dashboards/metrics.json`.
pub fn as_json(families: &[Family]) -> String {
    let all: Vec<Value> = families.iter().map(Family::json).collect();
    format!("{:#}\n", Value::from(all))
}
