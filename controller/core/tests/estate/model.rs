//! What is needed, said plainly and slowly. Written from the list of
//! references and rules, not from the code under test.

use amid_core::retention::marks::{BY, KEEP, KIND, PERMISSIONS};
use amid_core::retention::{Permission, Policy, Source, Span};
use jiff::Timestamp;

use super::truth::{Img, Point, STRANGER, State, Tpl, Truth};

/// The controller that runs in these worlds.
pub const US: &str = "us";

/// Which images are needed at `now`.
pub fn needed(truth: &Truth, policy: &Policy, now: Timestamp) -> Vec<bool> {
    let mut needed: Vec<bool> = truth
        .images
        .iter()
        .enumerate()
        .map(|(n, image)| {
            !image.gone
                && (is_named(truth, policy, n, now)
                    || rules(image, policy, now)
                    || is_newest(truth, policy, n))
        })
        .collect();
    // What a needed image was built from, as often as it takes.
    loop {
        let mut more = false;
        for n in 0..needed.len() {
            let Some(base) = truth.images[n].base else {
                continue;
            };
            if needed[n] && !needed[base] && !truth.images[base].gone {
                needed[base] = true;
                more = true;
            }
        }
        if !more {
            return needed;
        }
    }
}

fn older(at: Timestamp, span: Span, now: Timestamp) -> bool {
    now.duration_since(at) >= span.as_duration()
}

/// Whether anything names the image.
pub fn is_named(truth: &Truth, policy: &Policy, n: usize, now: Timestamp) -> bool {
    let by_thing = truth.things.iter().any(|thing| {
        let counts =
            thing.source != Source::Volumes || !older(thing.created, policy.longest_build, now);
        counts && leads_to(truth, &thing.point, n)
    });
    let by_template = truth.templates.iter().enumerate().any(|(t, tpl)| {
        tpl.versions.iter().any(|(number, point, created)| {
            let counts = match policy.weak.template_versions {
                Some(span) if older(*created, span, now) => {
                    *number == tpl.default
                        || *number == tpl.latest()
                        || is_used(truth, t, tpl, *number)
                }
                _ => true,
            };
            counts && leads_to(truth, point, n)
        })
    });
    let by_parameter = truth
        .parameters
        .values()
        .any(|(_, point)| leads_to(truth, point, n));
    let by_branch = truth.branches.iter().any(|branch| {
        let counts = policy
            .weak
            .branches
            .is_none_or(|span| !older(branch.committed, span, now));
        counts && branch.names.contains(&n)
    });
    let by_tag = truth.git_tags.iter().any(|(_, image)| *image == n);
    by_thing
        || by_template
        || by_parameter
        || by_branch
        || by_tag
        || in_window(truth, policy, n, now)
}

fn is_used(truth: &Truth, t: usize, tpl: &Tpl, number: u64) -> bool {
    truth.things.iter().any(
        |thing| matches!(thing.point, Point::Template(at, pin) if at == t && tpl.number(pin) == number),
    )
}

/// Whether a pointer ends at the image.
fn leads_to(truth: &Truth, point: &Point, n: usize) -> bool {
    match point {
        Point::Image(image) | Point::Copy(image) => *image == n,
        Point::Parameter(name) => truth
            .parameters
            .get(name)
            .is_some_and(|(_, point)| leads_to(truth, point, n)),
        Point::Template(t, pin) => {
            // A stale list may not have it yet.
            let Some(tpl) = truth.templates.get(*t) else {
                return false;
            };
            let number = tpl.number(*pin);
            tpl.versions
                .iter()
                .any(|(version, point, _)| *version == number && leads_to(truth, point, n))
        }
        Point::Disk(disk) => truth.images[n].disks.contains(disk),
        Point::Foreign | Point::Nothing => false,
    }
}

/// Whether a `git revert` may ask for the image.
fn in_window(truth: &Truth, policy: &Policy, n: usize, now: Timestamp) -> bool {
    truth.changes.iter().enumerate().any(|(at, change)| {
        let later: Vec<_> = truth.changes[at + 1..]
            .iter()
            .filter(|other| other.app == change.app)
            .collect();
        let recent = later
            .first()
            .is_none_or(|next| !older(next.at, policy.revert_window.age, now));
        let near = later.len() <= policy.revert_window.changes as usize;
        change.image == n && (near || recent)
    })
}

/// What the image itself and the policy say.
fn rules(image: &Img, policy: &Policy, now: Timestamp) -> bool {
    let keep = &policy.default;
    let by = image.tags.get(BY);
    !is_claimed(image)
        || image.state == State::Pending
        || image.protected
        || by.is_some_and(|by| by != US)
        || (image.state == State::Disabled && !image.tags.contains_key(PERMISSIONS))
        || image
            .tags
            .get(KEEP)
            .is_some_and(|value| !value.starts_with("1960"))
        || image.meant.contains(&Permission::Everybody)
        || image
            .meant
            .contains(&Permission::Account(STRANGER.to_owned()))
        || !older(image.created, keep.min_age, now)
        || (image.tags.is_empty() && !older(image.created, policy.longest_build, now))
        || image
            .launched
            .is_some_and(|at| !older(at, keep.not_launched_for, now))
}

pub fn is_claimed(image: &Img) -> bool {
    !image.name.starts_with("foreign")
}

fn is_newest(truth: &Truth, policy: &Policy, n: usize) -> bool {
    let family = |image: &Img| {
        image
            .tags
            .get(KIND)
            .cloned()
            .unwrap_or_else(|| image.name.split(' ').next().unwrap().to_owned())
    };
    let counts = |image: &Img| {
        !image.gone
            && is_claimed(image)
            && image.tags.get(BY).is_none_or(|by| by == US)
            && match image.state {
                State::Available => true,
                State::Disabled => image.tags.contains_key(PERMISSIONS),
                State::Pending | State::Failed => false,
            }
    };
    let image = &truth.images[n];
    let newer = truth.images.iter().enumerate().filter(|(m, other)| {
        counts(other) && family(other) == family(image) && (other.created, *m) > (image.created, n)
    });
    counts(image) && newer.count() < policy.default.keep_newest as usize
}
