//! What the last run came to, as the command line, the API and the page show
//! it: every image with every reason, in the sentences of `amid-core`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use amid_core::retention::{
    ActionKind, Blocker, Cleaning, Keep, SnapshotVerdict, Stage, Summary, Verdict, Wait,
};

use super::perform::Done;
use crate::status::Sentence;

/// Reasons that are shown of one image in a list of all.
const SHOWN: usize = 5;
/// Reasons that are shown where somebody asks for one image.
const SHOWN_OF_ONE: usize = 1_000;
/// What was done, at the most.
const DONE_SHOWN: usize = 1_000;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunResult {
    /// Everything was read, and what was decided is done.
    Complete,
    /// It only reports, because the config says so or the install is new.
    ReportOnly,
    /// Something was odd: nothing was taken away, or no more of it.
    Aborted,
}

impl RunResult {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Complete, Self::ReportOnly, Self::Aborted];

    /// The worse of two.
    #[must_use]
    pub fn max_of(self, other: Self) -> Self {
        let rank = |one: Self| Self::ALL.iter().position(|known| *known == one);
        match rank(other) > rank(self) {
            true => other,
            false => self,
        }
    }

    /// For metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ReportOnly => "report_only",
            Self::Aborted => "aborted",
        }
    }
}

/// A whole run, in memory.
#[derive(Clone, Debug)]
pub struct Run {
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub result: RunResult,
    /// Somebody asked for it by hand, with leave to act.
    pub by_hand: bool,
    /// Why it stopped between two requests.
    pub stopped: Option<String>,
    /// What was decided, for each account and region.
    pub cleanings: Vec<Cleaning>,
    /// What was done.
    pub done: Vec<Done>,
}

/// What is shown of a run: `/api/v1/images` and `amid gc -o json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub result: RunResult,
    /// Somebody asked for it by hand, with leave to act.
    pub by_hand: bool,
    /// Why it stopped between two requests.
    pub stopped: Option<String>,
    /// Each account and region.
    pub places: Vec<PlaceReport>,
    /// What was done.
    pub done: Vec<Done>,
}

/// One account and region.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlaceReport {
    /// The account id.
    pub account: String,
    /// The region.
    pub region: String,
    /// Why it only reports.
    pub blockers: Vec<Sentence>,
    /// The figures. Money is an upper bound: snapshots at their full size.
    pub summary: Summary,
    /// Every image.
    pub images: Vec<ImageReport>,
    /// Every snapshot that was ours and that no image has any more.
    pub snapshots: Vec<SnapshotReport>,
}

/// One image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImageReport {
    /// Its id.
    pub ami: String,
    /// Its name.
    pub name: String,
    /// The app that it is for.
    pub app: Option<String>,
    /// Its family.
    pub family: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What keeps it.
    pub keeps: Vec<Why>,
    /// How many more reasons there are.
    #[serde(default)]
    pub more_keeps: usize,
    /// References that do not count any more.
    pub weak: Vec<Why>,
    /// What it waits for.
    pub waits: Option<Why>,
    /// What is done to it, or would be.
    pub action: Option<ActionKind>,
    /// What its own snapshots hold.
    pub bytes: u64,
}

/// One snapshot without an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SnapshotReport {
    /// Its id.
    pub id: String,
    /// The image that it belonged to.
    pub image: Option<String>,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub since: Option<Timestamp>,
    /// It was left over when its image was deregistered.
    pub leftover: bool,
    /// What keeps it.
    pub keeps: Vec<Why>,
    /// What it waits for.
    pub waits: Option<Why>,
    /// What is done to it, or would be.
    pub action: Option<ActionKind>,
    /// Its size.
    pub bytes: u64,
}

/// A reason, with the evidence that it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// For metrics and search.
    pub label: String,
    /// For people.
    pub text: String,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frees: Option<String>,
    /// ARN, commit, path, dates.
    pub evidence: Value,
}

impl Why {
    fn keep(keep: &Keep) -> Self {
        Self {
            label: keep.label().to_owned(),
            text: keep.to_string(),
            frees: keep.frees(),
            evidence: serde_json::to_value(keep).unwrap_or_default(),
        }
    }

    fn wait(wait: &Wait) -> Self {
        Self {
            label: wait.label().to_owned(),
            text: wait.to_string(),
            frees: wait.frees(),
            evidence: serde_json::to_value(wait).unwrap_or_default(),
        }
    }
}

fn blocker(blocker: &Blocker) -> Sentence {
    Sentence {
        label: blocker.label().to_owned(),
        text: blocker.to_string(),
        frees: blocker.frees(),
    }
}

impl Run {
    /// All of it, with the first few reasons of each image.
    pub fn report(&self) -> Report {
        self.shown(SHOWN, |_| true, |_| true)
    }

    /// One image, with all its reasons, and the snapshots that were its own;
    /// `None` when it is no image of the accounts that are read.
    pub fn why(&self, ami: &str) -> Option<Report> {
        let report = self.shown(
            SHOWN_OF_ONE,
            |verdict| verdict.ami.as_str() == ami,
            |snapshot| {
                snapshot
                    .image
                    .as_ref()
                    .is_some_and(|image| image.as_str() == ami)
            },
        );
        let known = report
            .places
            .iter()
            .any(|place| !place.images.is_empty() || !place.snapshots.is_empty());
        known.then_some(report)
    }

    fn shown(
        &self,
        most: usize,
        images: impl Fn(&Verdict) -> bool,
        snapshots: impl Fn(&SnapshotVerdict) -> bool,
    ) -> Report {
        let places = self.cleanings.iter().map(|cleaning| PlaceReport {
            account: cleaning.place.account.clone(),
            region: cleaning.place.region.clone(),
            blockers: cleaning.blockers.iter().map(blocker).collect(),
            summary: cleaning.summary.clone(),
            images: cleaning
                .images
                .iter()
                .filter(|verdict| images(verdict))
                .map(|verdict| image(verdict, most))
                .collect(),
            snapshots: cleaning
                .snapshots
                .iter()
                .filter(|verdict| snapshots(verdict))
                .map(|verdict| snapshot(verdict, most))
                .collect(),
        });
        Report {
            began: self.began,
            ended: self.ended,
            result: self.result,
            by_hand: self.by_hand,
            stopped: self.stopped.clone(),
            places: places.collect(),
            done: self.done.iter().take(DONE_SHOWN).cloned().collect(),
        }
    }
}

fn image(verdict: &Verdict, most: usize) -> ImageReport {
    ImageReport {
        ami: verdict.ami.to_string(),
        name: verdict.name.clone(),
        app: verdict.app.as_ref().map(ToString::to_string),
        family: verdict.family.clone(),
        created: verdict.created,
        stage: verdict.stage,
        since: verdict.since,
        keeps: verdict.keeps.iter().take(most).map(Why::keep).collect(),
        more_keeps: verdict.keeps.len().saturating_sub(most),
        weak: verdict.weak.iter().take(most).map(Why::keep).collect(),
        waits: verdict.wait.as_ref().map(Why::wait),
        action: verdict.action,
        bytes: verdict.bytes,
    }
}

fn snapshot(verdict: &SnapshotVerdict, most: usize) -> SnapshotReport {
    SnapshotReport {
        id: verdict.id.to_string(),
        image: verdict.image.as_ref().map(ToString::to_string),
        stage: verdict.stage,
        since: verdict.since,
        leftover: verdict.leftover,
        keeps: verdict.keeps.iter().take(most).map(Why::keep).collect(),
        waits: verdict.wait.as_ref().map(Why::wait),
        action: verdict.action,
        bytes: verdict.bytes,
    }
}
