//! The sentences, labels and ways out of [`Keep`], [`Wait`] and [`Blocker`].

use std::fmt;

use super::{Blocker, Keep, Limit, List, Wait};
use crate::retention::marks::Stage;
use crate::retention::reference::{Evidence, Source};

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Referenced { evidence } => write!(f, "{evidence}"),
            Self::ReferencedElsewhere {
                place,
                copy,
                evidence,
            } => match copy {
                Some(copy) => write!(f, "in {place}, by its copy {copy}: {evidence}"),
                None => write!(f, "in {place}: {evidence}"),
            },
            Self::SharedOutside { with } => {
                write!(f, "it is shared with {with}, which is not read")
            }
            Self::BaseOf { ami } => write!(f, "{ami}, which is kept, was built from it"),
            Self::BuildUnderWay { state } => write!(f, "it is being made, its state is `{state}`"),
            Self::Untagged { until } => write!(
                f,
                "it has no tags yet and may be a build under way, until {until:.0}"
            ),
            Self::Unclaimed => f.write_str("no entry of `claims` in the policy covers it"),
            Self::Protected { why, until } => {
                write!(f, "the tag `amid:keep` is on it")?;
                if let Some(until) = until {
                    write!(f, " until {until:.0}")?;
                }
                if why.is_empty() {
                    Ok(())
                } else {
                    write!(f, ": {why}")
                }
            }
            Self::DeregistrationProtection { state } => {
                write!(f, "deregistration protection is on: {state}")
            }
            Self::Newest { family, rank, of } => {
                write!(f, "number {rank} of the newest {of} of `{family}`")
            }
            Self::Young { until } => write!(f, "too young until {until:.0}"),
            Self::AgeUnknown => f.write_str("AWS does not say when it was made"),
            Self::Launched { at, until } => {
                write!(f, "it was launched at {at:.0} and stays until {until:.0}")
            }
            Self::Backup => f.write_str("AWS Backup made it and looks after it"),
            Self::OtherController { by } => write!(f, "the controller `{by}` marked it"),
            Self::DisabledByOthers => f.write_str("it was disabled, and not by this controller"),
            Self::UnknownState { state } => write!(f, "its state is `{state}`, which is not known"),
            Self::Locked { state } => write!(f, "it is locked: {state}"),
        }
    }
}

impl Keep {
    /// Every label, for metrics.
    pub const LABELS: &[&str] = &[
        "instances",
        "launch_templates",
        "launch_configurations",
        "groups",
        "instance_refreshes",
        "warm_pools",
        "spot_fleets",
        "fleets",
        "parameters",
        "volumes",
        "terraform_state",
        "branches",
        "history",
        "git_tags",
        "elsewhere",
        "shared_outside",
        "base",
        "build",
        "untagged",
        "unclaimed",
        "protected",
        "deregistration_protection",
        "newest",
        "young",
        "age_unknown",
        "launched",
        "backup",
        "other_controller",
        "disabled_by_others",
        "unknown_state",
        "locked",
    ];

    /// The label for metrics: one word out of [`Keep::LABELS`].
    pub fn label(&self) -> &'static str {
        match self {
            Self::Referenced { evidence } => evidence.source().label(),
            Self::ReferencedElsewhere { .. } => "elsewhere",
            Self::SharedOutside { .. } => "shared_outside",
            Self::BaseOf { .. } => "base",
            Self::BuildUnderWay { .. } => "build",
            Self::Untagged { .. } => "untagged",
            Self::Unclaimed => "unclaimed",
            Self::Protected { .. } => "protected",
            Self::DeregistrationProtection { .. } => "deregistration_protection",
            Self::Newest { .. } => "newest",
            Self::Young { .. } => "young",
            Self::AgeUnknown => "age_unknown",
            Self::Launched { .. } => "launched",
            Self::Backup => "backup",
            Self::OtherController { .. } => "other_controller",
            Self::DisabledByOthers => "disabled_by_others",
            Self::UnknownState { .. } => "unknown_state",
            Self::Locked { .. } => "locked",
        }
    }

    /// What a person can do so that this does not keep it any more; `None`
    /// where nothing has to be done.
    pub fn frees(&self) -> Option<String> {
        let text = match self {
            Self::Referenced { evidence } | Self::ReferencedElsewhere { evidence, .. } => {
                return frees(evidence);
            }
            Self::SharedOutside { with } => {
                format!("add {with} to `targets` in the config, or stop to share the image")
            }
            Self::Unclaimed => "add its name or a tag of it to `claims` in the config".to_owned(),
            Self::Protected { .. } => "remove the tag `amid:keep` from it".to_owned(),
            Self::DeregistrationProtection { .. } => {
                "`aws ec2 disable-image-deregistration-protection`".to_owned()
            }
            Self::Backup => "let the rule of its backup plan end".to_owned(),
            Self::OtherController { by } => {
                format!("let `{by}` go on, or remove its `amid:` tags from the image")
            }
            Self::DisabledByOthers => "enable it, or deregister it by hand".to_owned(),
            Self::Locked { .. } => "unlock it".to_owned(),
            _ => return None,
        };
        Some(text)
    }
}

/// What a person can do so that a reference ends.
fn frees(evidence: &Evidence) -> Option<String> {
    let text = match evidence {
        Evidence::TemplateVersion {
            template,
            version,
            default: false,
            latest: false,
            ..
        } => format!(
            "`aws ec2 delete-launch-template-versions --launch-template-id {template} --versions {version}`, or let `weak.template_versions` say when such versions stop to count"
        ),
        Evidence::Branch {
            branch,
            accepted: false,
            ..
        } => format!(
            "delete the branch `{branch}`, or let `weak.branches` say when such branches stop to count"
        ),
        Evidence::GitTag { tag, .. } => format!("delete the git tag `{tag}`"),
        Evidence::LaunchConfiguration { name } => {
            format!("delete the launch configuration `{name}` when no group uses it")
        }
        _ => return None,
    };
    Some(text)
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage { stage, until } => {
                let next = match stage {
                    Stage::Kept => "marked",
                    Stage::Stale => "deprecated",
                    Stage::Deprecated => "disabled",
                    Stage::Disabled => "deregistered",
                };
                write!(f, "nothing needs it, it is {next} at {until:.0}")
            }
            Self::Descendant { ami } => write!(f, "{ami} was built from it and is not gone yet"),
            Self::Turn { limit } => write!(f, "this run has done as much as it may: {limit}"),
            Self::SecondOpinion => f.write_str("AWS was not asked for a second opinion yet"),
            Self::Disagreement { referrer } => write!(
                f,
                "no list names a user of it, but AWS does: {} {}",
                referrer.resource_type, referrer.arn
            ),
            Self::Permissions { count } => write!(
                f,
                "its {count} launch permissions do not fit into tags, so disabling it could not be undone"
            ),
            Self::ReportOnly => f.write_str("nothing needs it, and this run only reports"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images { max } => write!(f, "{max} images enter a stage in one run"),
            Self::Percent { max, percent } => {
                write!(
                    f,
                    "{max} images enter a stage in one run, {percent} % of all"
                )
            }
            Self::Family {
                family,
                max,
                percent,
            } => write!(
                f,
                "{max} images of `{family}` enter a stage in one run, {percent} % of them"
            ),
        }
    }
}

impl Wait {
    /// Every label, for metrics.
    pub const LABELS: &[&str] = &[
        "stage",
        "descendant",
        "turn",
        "second_opinion",
        "disagreement",
        "permissions",
        "report_only",
    ];

    /// The label for metrics: one word out of [`Wait::LABELS`].
    pub fn label(&self) -> &'static str {
        match self {
            Self::Stage { .. } => "stage",
            Self::Descendant { .. } => "descendant",
            Self::Turn { .. } => "turn",
            Self::SecondOpinion => "second_opinion",
            Self::Disagreement { .. } => "disagreement",
            Self::Permissions { .. } => "permissions",
            Self::ReportOnly => "report_only",
        }
    }

    /// What a person can do; `None` where nothing has to be done.
    pub fn frees(&self) -> Option<String> {
        let text = match self {
            Self::Stage { .. } | Self::Descendant { .. } => {
                "put the tag `amid:keep` on it if it is to stay".to_owned()
            }
            Self::Disagreement { .. } => {
                "look at that user; if it is real, report this as a bug of amid".to_owned()
            }
            Self::Permissions { .. } => "stop to share it with so many".to_owned(),
            Self::Turn { .. } | Self::SecondOpinion | Self::ReportOnly => return None,
        };
        Some(text)
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images => f.pad("images"),
            Self::Snapshots => f.pad("snapshots"),
            Self::Copies => f.pad("copies of images"),
            Self::Source(source) => source.fmt(f),
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("clean-up is switched off"),
            Self::ReportMode => f.write_str("`mode` in the config is `report`"),
            Self::FirstRuns { done, of } => write!(
                f,
                "the first {of} complete runs of an install only report, so far: {done}"
            ),
            Self::Incomplete { list, place, why } => {
                write!(f, "the list of {list} was not read to its end")?;
                if let Some(place) = place {
                    write!(f, " in {place}")?;
                }
                write!(f, ": {why}")
            }
            Self::Unresolved { what, evidence } => {
                write!(
                    f,
                    "nobody knows which image this names: `{what}`, {evidence}"
                )
            }
            Self::FewerReferences {
                source,
                before,
                now,
                until,
            } => {
                let source = source.map_or("all sources together", Source::words);
                write!(
                    f,
                    "{source}: {now} images are referenced, {before} were before; believed from {until:.0} on"
                )
            }
            Self::Clock { error } => write!(f, "the clock is off or jumped by {error:#}"),
            Self::InventoryOld { age, max } => {
                write!(f, "what was read is {age} old, the limit is {max}")
            }
            Self::Gap { last } => {
                write!(f, "the last complete run was long ago: {last:.0}")
            }
            Self::Outage { until } => write!(
                f,
                "AWS or git was not to be reached a while ago, waiting until {until:.0}"
            ),
            Self::Disagreements { count } => write!(
                f,
                "AWS knows of users that no list named, images so far: {count}"
            ),
        }
    }
}

impl Blocker {
    /// Every label, for metrics.
    pub const LABELS: &[&str] = &[
        "off",
        "report_mode",
        "first_runs",
        "incomplete",
        "unresolved",
        "fewer_references",
        "clock",
        "inventory_old",
        "gap",
        "outage",
        "disagreements",
    ];

    /// The label for metrics: one word out of [`Blocker::LABELS`].
    pub fn label(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::ReportMode => "report_mode",
            Self::FirstRuns { .. } => "first_runs",
            Self::Incomplete { .. } => "incomplete",
            Self::Unresolved { .. } => "unresolved",
            Self::FewerReferences { .. } => "fewer_references",
            Self::Clock { .. } => "clock",
            Self::InventoryOld { .. } => "inventory_old",
            Self::Gap { .. } => "gap",
            Self::Outage { .. } => "outage",
            Self::Disagreements { .. } => "disagreements",
        }
    }

    /// What a person can do; `None` where it ends by itself.
    pub fn frees(&self) -> Option<String> {
        let text = match self {
            Self::Off => "`amid gc --start` where somebody stopped it by hand, else set `mode` in the config to `on`"
                .to_owned(),
            Self::ReportMode => {
                "set `mode` in the config to `on` when you agree; `amid gc --apply` lets one run act".to_owned()
            }
            Self::FirstRuns { .. } => {
                "look at what it would do; it acts by itself after them, and `amid gc --apply` lets one run act now"
                    .to_owned()
            }
            Self::Incomplete { .. } => {
                "correct what the message names, most often a permission or a manifest; until then nothing is taken \
                 away"
                    .to_owned()
            }
            Self::Unresolved { .. } => {
                "correct or delete what names it: its parameter or template is gone".to_owned()
            }
            Self::Clock { .. } => "set the clock of this machine".to_owned(),
            Self::Disagreements { .. } => {
                "`amid why AMI` shows each one; report it as a bug of amid".to_owned()
            }
            Self::FewerReferences { .. }
            | Self::InventoryOld { .. }
            | Self::Gap { .. }
            | Self::Outage { .. } => return None,
        };
        Some(text)
    }

    /// Whether it stops what brings an image back, too.
    pub fn stops_healing(&self) -> bool {
        matches!(self, Self::Off)
    }
}
