//! What merging a change of a manifest would do, in words.
//!
//! [`preview`] holds the manifest as it is against the manifest as it would
//! be, and against what AWS says where that was asked. It foretells what
//! [`crate::decide`] will do of its own accord; it decides nothing, and what
//! a module's plan would hold is not its subject.

mod fields;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::decide::full_size;
use crate::manifest::{Manifest, OnFailure, Seconds, Strategy};
use crate::model::{AmiId, Group};
use crate::observe::ImageFact;

use fields::Changed;

/// What is known of one app.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The manifest that stands now; `None` for a new app, or one with
    /// mistakes.
    pub before: Option<&'a Manifest>,
    /// What would stand then.
    pub after: After<'a>,
    /// Whether the branch that it is merged into changed it too.
    pub both: bool,
    /// Whether a target of the config covers the app.
    pub covered: bool,
    /// Whether its unit is there.
    pub unit: bool,
    /// What AWS says, where it was asked.
    pub aws: Option<Aws>,
}

/// What would stand in git.
#[derive(Clone, Debug)]
pub enum After<'a> {
    /// A manifest without mistakes.
    Manifest(&'a Manifest),
    /// One with these.
    Invalid(Vec<String>),
    /// None.
    Deleted,
}

/// What AWS says.
#[derive(Clone, Debug, Default)]
pub struct Aws {
    /// The app's groups.
    pub groups: Vec<Group>,
    /// The image that would be asked for.
    pub image: ImageFact,
    /// The image that is asked for now.
    pub old_image: ImageFact,
}

/// What merging would do to one app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// In a word.
    pub effect: Effect,
    /// The image that is asked for now.
    pub from_ami: Option<AmiId>,
    /// The image that would be asked for.
    pub to_ami: Option<AmiId>,
    /// Which fields differ.
    pub changed: Vec<String>,
    /// Instances that are replaced.
    pub replaced: Option<u32>,
    /// Instances that serve at every moment of the roll.
    pub least: Option<u32>,
    /// Instances that there are at its height.
    pub most: Option<u32>,
    /// The image that a later revert would need.
    pub revert_ami: Option<AmiId>,
    /// All of it in sentences.
    pub says: Vec<String>,
    /// Why it should not be merged.
    pub problems: Vec<String>,
}

/// What merging would do to one app, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    #[default]
    Nothing,
    /// Its first release is made.
    First,
    /// A new release is rolled out.
    Roll,
    /// The group's sizes change.
    InPlace,
    /// amid behaves otherwise from then on.
    Behaviour,
    /// The app is held as unmanaged.
    Unmanaged,
    /// The manifest is refused: nothing happens.
    Refused,
}

impl Effect {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing changes",
            Self::First => "first release",
            Self::Roll => "rolls",
            Self::InPlace => "sizes change in place",
            Self::Behaviour => "behaves otherwise",
            Self::Unmanaged => "no longer managed",
            Self::Refused => "refused",
        }
    }
}

/// Foretells it.
pub fn preview(facts: &Facts<'_>) -> Preview {
    let mut told = Preview {
        from_ami: facts.before.map(|before| before.ami.clone()),
        ..Preview::default()
    };
    match &facts.after {
        After::Invalid(problems) => {
            told.effect = Effect::Refused;
            told.problems.clone_from(problems);
            told.says.push(
                "The manifest is refused as a whole; the app stays as it is and is held".to_owned(),
            );
        }
        After::Deleted => {
            told.effect = Effect::Unmanaged;
            told.says.push(
                "Nothing is destroyed: the app is held until its unit is destroyed by hand, or the manifest is back"
                    .to_owned(),
            );
        }
        After::Manifest(after) => manifest(facts, after, &mut told),
    }
    if facts.both {
        told.says.push(
            "The branch that this is merged into changed the manifest too: merge or rebase first, then look again"
                .to_owned(),
        );
    }
    told
}

fn manifest(facts: &Facts<'_>, after: &Manifest, told: &mut Preview) {
    told.to_ami = Some(after.ami.clone());
    if !facts.covered {
        told.problems
            .push("no entry of `targets` in the config covers this app".to_owned());
    }
    if !facts.unit {
        told.problems.push(format!(
            "the unit `{}` has no terragrunt.hcl on the branch",
            after.unit
        ));
    }
    let Some(before) = facts.before else {
        first(facts, after, told);
        return;
    };
    let changed = Changed::between(before, after);
    told.changed = changed.names();
    if before.unit != after.unit {
        told.says.push(format!(
            "The unit changes from `{}` to `{}`: the releases that are live stay in the state of the old one, and the app is held until they are moved",
            before.unit, after.unit
        ));
    }
    if before.settings() != after.settings() {
        roll(facts, before, after, told);
    } else if changed.sizes {
        told.effect = Effect::InPlace;
    } else if !told.changed.is_empty() {
        told.effect = Effect::Behaviour;
        told.says.push(format!(
            "No instance is touched, {} counts from then on",
            told.changed.join(", ")
        ));
    }
    if changed.sizes {
        sizes(facts, before, after, told);
    }
}

/// The desired capacity: the live one where AWS was asked, else the least
/// that git allows. And whether it is the live one.
fn capacity(facts: &Facts<'_>, before: &Manifest) -> (u32, bool) {
    let key = before.settings().key();
    let groups = facts.aws.as_ref().map(|aws| aws.groups.as_slice());
    let live = groups
        .unwrap_or_default()
        .iter()
        .find(|group| group.key == key);
    match live {
        Some(group) => (group.desired, true),
        None => (before.min_size, false),
    }
}

fn first(facts: &Facts<'_>, after: &Manifest, told: &mut Preview) {
    told.effect = Effect::First;
    told.least = Some(after.min_size);
    told.says.push(format!(
        "Makes the app's first group: {} of {}, {}–{}",
        instances(after.min_size),
        after.ami,
        after.min_size,
        after.max_size
    ));
    told.says
        .push("If it fails it is kept for a look: there is nothing to go back to".to_owned());
    image(facts, after, told);
}

fn roll(facts: &Facts<'_>, before: &Manifest, after: &Manifest, told: &mut Preview) {
    told.effect = Effect::Roll;
    told.revert_ami = Some(before.ami.clone());
    let (now, live) = capacity(facts, before);
    let known = if live { "" } else { " (as git has it)" };
    let full = full_size(after, Some(now));
    told.replaced = Some(now);
    let what = if before.ami == after.ami {
        format!("Rolls {} anew", after.ami)
    } else {
        format!("Rolls from {} to {}", before.ami, after.ami)
    };
    told.says.push(format!(
        "{what}, because of {}: {} replaced{known}",
        told.changed.join(", "),
        instances(now)
    ));
    let bake = after.roll.bake;
    if after.roll.strategy == Strategy::Recreate {
        (told.least, told.most) = (Some(0), Some(now.max(full)));
        told.says.push(format!(
            "Capacity falls to 0: the old group is drained before the new one of {} is made",
            instances(full)
        ));
    } else {
        (told.least, told.most) = (Some(now), Some(now.saturating_add(full)));
        let canary = after.roll.canary;
        let steps = if canary > 0 && canary < full {
            format!(
                "{} first, healthy for {bake}, then {full}, healthy for {bake}",
                instances(canary)
            )
        } else {
            format!("{} at once, healthy for {bake}", instances(full))
        };
        told.says.push(format!(
            "Capacity stays at {now} or more and reaches {}: new beside old, {steps}, then the old group drains",
            now.saturating_add(full)
        ));
    }
    told.says.push(failure(after, after.health.timeout));
    let kept = match facts.aws.as_ref().map(|aws| &aws.old_image) {
        Some(ImageFact::Missing) => ", which does not exist any more: there is no way back",
        Some(ImageFact::NotAvailable { .. }) => ", which cannot be launched now",
        Some(ImageFact::Available { .. }) => ", which is there",
        Some(ImageFact::NotAsked) | None => "",
    };
    told.says
        .push(format!("A later revert needs {}{kept}", before.ami));
    if let Some(suspend) = &after.suspend {
        told.says.push(format!(
            "The app is suspended, nothing rolls until that ends: {}",
            suspend.reason
        ));
    }
    if let Some(aws) = &facts.aws
        && aws.groups.len() > 1
    {
        told.says.push(format!(
            "A roll is under way, groups now: {}; it is superseded",
            aws.groups.len()
        ));
    }
    image(facts, after, told);
}

fn failure(after: &Manifest, timeout: Seconds) -> String {
    let then = match after.on_failure {
        OnFailure::Revert => "and commits the revert",
        OnFailure::PullRequest => "and opens a pull request with the revert",
        OnFailure::Hold => "and waits for a person",
    };
    format!("Not healthy within {timeout}: amid takes the new group away {then}")
}

fn sizes(facts: &Facts<'_>, before: &Manifest, after: &Manifest, told: &mut Preview) {
    let (now, live) = capacity(facts, before);
    let mut said = format!(
        "Size {}–{} becomes {}–{}",
        before.min_size, before.max_size, after.min_size, after.max_size
    );
    if told.effect == Effect::InPlace {
        (told.least, told.most) = (Some(now.min(after.max_size)), Some(after.max_size));
        said.push_str(" in place, no instance is replaced");
        if live && now > after.max_size {
            said.push_str(&format!(
                "; autoscaling terminates {} of {now}",
                now - after.max_size
            ));
        } else if live && now < after.min_size {
            said.push_str(&format!(
                "; autoscaling launches {} more",
                after.min_size - now
            ));
        }
    }
    told.says.push(said);
}

/// What AWS says of the image that would be asked for.
fn image(facts: &Facts<'_>, after: &Manifest, told: &mut Preview) {
    let Some(aws) = &facts.aws else {
        return;
    };
    let ami = &after.ami;
    let problem = match &aws.image {
        ImageFact::NotAsked | ImageFact::Available { misfit: None, .. } => return,
        ImageFact::Available {
            architecture,
            misfit: Some((instance_type, wants)),
        } => format!("{ami} is built for {architecture}, `{instance_type}` needs {wants}"),
        ImageFact::NotAvailable { state } => {
            format!("{ami} cannot be launched, its state is `{state}`")
        }
        ImageFact::Missing => format!("{ami} does not exist in this account and region"),
    };
    told.problems.push(problem);
}

fn instances(number: u32) -> String {
    match number {
        1 => "1 instance".to_owned(),
        number => format!("{number} instances"),
    }
}
