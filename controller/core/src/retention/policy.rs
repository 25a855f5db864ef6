//! What is kept, how long each stage waits, and when a run only reports. All
//! of it comes from the config, nothing from AWS.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::marks::TAG_VALUE;
use super::span::Span;
use crate::model::AppName;

/// The policy of one account and region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The name of this controller. It stands on everything that it marks;
    /// what carries another name is left alone and reported.
    pub controller: String,
    /// Whether anything is done at all.
    pub mode: Mode,
    /// The allow-list. The first entry that fits claims an image; an image
    /// that none claims is never touched.
    pub claims: Vec<Claim>,
    /// What is kept of an app's images.
    pub apps: BTreeMap<AppName, Retention>,
    /// What is kept of every other claimed image.
    pub default: Retention,
    /// How long an image stays in each stage.
    pub waits: Waits,
    /// References that may stop to count.
    pub weak: Weak,
    /// How far back a `git revert` may reach.
    pub revert_window: RevertWindow,
    /// The longest that a build takes: so long a volume made from a snapshot
    /// counts as a build under way, and an image without tags as unfinished.
    pub longest_build: Span,
    /// When a run only reports, and how much one run may do.
    pub breakers: Breakers,
    /// What a GiB of snapshot costs a month, in dollars.
    pub price_per_gib_month: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            controller: "amid".to_owned(),
            mode: Mode::Report,
            claims: Vec::new(),
            apps: BTreeMap::new(),
            default: Retention::default(),
            waits: Waits::default(),
            weak: Weak::default(),
            revert_window: RevertWindow::default(),
            longest_build: Span::days(1),
            breakers: Breakers::default(),
            price_per_gib_month: 0.05,
        }
    }
}

impl Policy {
    /// Everything in it that cannot be meant, as sentences.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.controller.is_empty() || self.controller.len() > TAG_VALUE {
            problems.push(format!(
                "`controller` has 1 to {TAG_VALUE} characters: it becomes the value of a tag"
            ));
        }
        for (n, claim) in self.claims.iter().enumerate() {
            if claim.name.is_none() && claim.tags.is_empty() {
                problems.push(format!(
                    "`claims[{n}]` names neither `name` nor `tags`, so it claims nothing"
                ));
            }
        }
        let price = self.price_per_gib_month;
        if !price.is_finite() || price < 0.0 {
            problems.push(format!("`price_per_gib_month` is no price: {price}"));
        }
        let breakers = &self.breakers;
        for (name, percent) in [
            ("max_family_percent", breakers.max_family_percent),
            ("max_percent", breakers.max_percent),
            (
                "fewer_references_percent",
                breakers.fewer_references_percent,
            ),
        ] {
            if percent > 100 {
                problems.push(format!("`breakers.{name}` is more than 100: {percent}"));
            }
        }
        problems
    }
}

/// Whether anything is done at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The kill switch: nothing is changed, not even for the better.
    Off,
    /// Nothing is taken away. What was marked before is put back when it is
    /// needed.
    #[default]
    Report,
    /// Everything.
    On,
}

/// An entry of the allow-list. Everything that it names has to fit, and it
/// has to name a tag or a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Claim {
    /// The image's name, `*` for any text.
    pub name: Option<String>,
    /// Tags that the image has, with patterns for their values.
    pub tags: BTreeMap<String, String>,
    /// The app that such images are for. Without it the tag `amid:app` says.
    pub app: Option<AppName>,
}

/// What is kept of a family, whether anything needs it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// The newest N of a family stay.
    pub keep_newest: u32,
    /// Younger ones stay.
    pub min_age: Span,
    /// One that was launched so recently stays.
    pub not_launched_for: Span,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            keep_newest: 5,
            min_age: Span::days(30),
            not_launched_for: Span::days(30),
        }
    }
}

/// How long an image stays in each stage before the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Waits {
    /// From marked to deprecated.
    pub stale: Span,
    /// From deprecated to disabled.
    pub deprecated: Span,
    /// From disabled to deregistered.
    pub disabled: Span,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            stale: Span::days(7),
            deprecated: Span::days(7),
            disabled: Span::days(14),
        }
    }
}

/// References that may stop to count. Without a value they always count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weak {
    /// Launch template versions older than this that are neither default nor
    /// latest and that no group or fleet names.
    pub template_versions: Option<Span>,
    /// Branches without a commit for so long, the deployed one excepted.
    pub branches: Option<Span>,
}

/// How far back a `git revert` may reach, per app. What is in either stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RevertWindow {
    /// So many changes of the manifest.
    pub changes: u32,
    /// Everything that the manifest said within this time.
    pub age: Span,
}

impl Default for RevertWindow {
    fn default() -> Self {
        Self {
            changes: 10,
            age: Span::days(90),
        }
    }
}

/// When a run only reports, and how much one run may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Breakers {
    /// So many images enter one stage in one run, at the most.
    pub max_images: u32,
    /// So much of a family, in percent; one image is always allowed.
    pub max_family_percent: u32,
    /// So much of all claimed images, in percent; one is always allowed.
    pub max_percent: u32,
    /// When so many percent fewer images are referenced than last time, by
    /// all sources together or by a single one, the run only reports.
    pub fewer_references_percent: u32,
    /// For so long a fall is not believed. Then it is the new measure.
    pub fewer_references_for: Span,
    /// An inventory older than this is not acted on.
    pub max_inventory_age: Span,
    /// A clock that is off by more is not believed.
    pub max_clock_error: Span,
    /// After the last complete run lies longer back than this, the next one
    /// only reports.
    pub longest_gap: Span,
    /// So long after AWS or git was not to be reached, runs only report.
    pub settle: Span,
    /// So many complete runs of a new install only report.
    pub first_runs: u32,
    /// So many disagreements with the second opinion end the run.
    pub disagreements: u32,
}

impl Default for Breakers {
    fn default() -> Self {
        Self {
            max_images: 25,
            max_family_percent: 25,
            max_percent: 10,
            fewer_references_percent: 20,
            fewer_references_for: Span::days(1),
            max_inventory_age: Span::hours(1),
            max_clock_error: Span(300),
            longest_gap: Span::days(3),
            settle: Span::hours(1),
            first_runs: 3,
            disagreements: 3,
        }
    }
}
