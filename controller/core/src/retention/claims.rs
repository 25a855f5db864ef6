//! Which images the policy is about, and what belongs together: claims, apps
//! and families.

use std::collections::BTreeMap;

use super::inventory::Image;
use super::marks::{APP, FAMILY, KIND};
use super::policy::{Claim, Policy, Retention};
use crate::model::AppName;

/// An image that an entry of the allow-list claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The app that it is for.
    pub app: Option<AppName>,
    /// The images among which the newest are kept.
    pub family: String,
}

/// What the policy says of an image; `None` when it says nothing.
pub fn claim(image: &Image, policy: &Policy) -> Option<Claimed> {
    let claim = policy.claims.iter().find(|claim| fits(claim, image))?;
    let tag = |key: &str| image.tags.get(key).filter(|value| !value.is_empty());
    let app = claim
        .app
        .clone()
        .or_else(|| tag(APP).and_then(|name| AppName::parse(name).ok()));
    let family = match (tag(FAMILY), tag(KIND)) {
        (Some(family), _) => family.clone(),
        (None, Some(kind)) => kind.clone(),
        (None, None) => stem(&image.name).to_owned(),
    };
    let family = match &app {
        Some(app) => format!("{app}: {family}"),
        None => family,
    };
    Some(Claimed { app, family })
}

/// What is kept of the images of an app.
pub fn retention<'p>(policy: &'p Policy, app: Option<&AppName>) -> &'p Retention {
    app.and_then(|app| policy.apps.get(app))
        .unwrap_or(&policy.default)
}

fn fits(claim: &Claim, image: &Image) -> bool {
    if claim.name.is_none() && claim.tags.is_empty() {
        return false;
    }
    claim
        .name
        .as_ref()
        .is_none_or(|name| glob(name, &image.name))
        && tags_fit(&claim.tags, image)
}

fn tags_fit(wanted: &BTreeMap<String, String>, image: &Image) -> bool {
    wanted.iter().all(|(key, pattern)| {
        image
            .tags
            .get(key)
            .is_some_and(|value| glob(pattern, value))
    })
}

/// Whether a text fits a pattern in which `*` stands for any text. Goes back
/// to the last `*` only, so that no pattern makes it slow.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after, from)) = star else {
                    return false;
                };
                star = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// A name without what only tells its builds apart: the times, versions and
/// commits at its end.
fn stem(name: &str) -> &str {
    let is_separator = |c: char| " -_.:@/".contains(c);
    let mut stem = name;
    loop {
        let trimmed = stem.trim_end_matches(is_separator);
        let start = trimmed.rfind(is_separator).map_or(0, |at| at + 1);
        let last = &trimmed[start..];
        let digits = last.bytes().filter(u8::is_ascii_digit).count();
        let time = last
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'T' | b'Z'));
        let commit = last.len() >= 7 && last.bytes().all(|b| b.is_ascii_hexdigit());
        if start == 0 || digits == 0 || !(time || commit) {
            return if trimmed.is_empty() { name } else { trimmed };
        }
        stem = &trimmed[..start];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("web-*", "web-1", true),
            ("web-*", "web", false),
            ("*-1", "web-1-1", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("", "", true),
            ("", "a", false),
            ("web", "web1", false),
            ("**a", "bba", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_not_slow() {
        let pattern = "a*".repeat(500) + "b";
        assert!(!glob(&pattern, &"a".repeat(5000)));
    }

    #[test]
    fn names_lose_what_tells_builds_apart() {
        for (name, expected) in [
            ("sample-app 1511301234", "sample-app"),
            ("app-1.2.3-20261125T101010Z", "app"),
            ("web-v2 1543", "web-v2"),
            ("todo-9f3c2e1d", "todo"),
            ("base", "base"),
            ("20261125", "20261125"),
            ("1-2-3", "1"),
            ("", ""),
            ("--", "--"),
            ("café-12", "café"),
        ] {
            assert_eq!(stem(name), expected, "{name}");
        }
    }
}
