//! Filters and pages, as AWS's listings have them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::wire::{Element, Form};

/// The filters of a request; all of them must fit.
pub(super) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Autoscaling writes `Filters.member.1.Values.member.1`, EC2 `Filter.1.Value.1`.
    pub(super) fn read(form: &Form) -> Filters {
        let numbered = |prefix: &str, values: &str| {
            (1..=50)
                .map_while(|at| {
                    let name = form.get(&format!("{prefix}.{at}.Name"))?.to_owned();
                    let values = form.list(&format!("{prefix}.{at}.{values}"));
                    Some((name, values.into_iter().map(str::to_owned).collect()))
                })
                .collect::<Vec<_>>()
        };
        let mut filters = numbered("Filters.member", "Values.member");
        filters.extend(numbered("Filter", "Value"));
        Filters(filters)
    }

    /// Whether a thing with these tags and fields fits; an error for a filter that it has no field for.
    pub(super) fn fit(
        &self,
        tags: &BTreeMap<String, String>,
        fields: &[(&str, &str)],
    ) -> Result<bool> {
        for (name, values) in &self.0 {
            let one_of = |text: &str| values.iter().any(|value| value == text);
            let fits = if let Some(key) = name.strip_prefix("tag:") {
                tags.get(key).is_some_and(|value| one_of(value))
            } else if name == "tag-key" {
                tags.keys().any(|key| one_of(key))
            } else if name == "tag-value" {
                tags.values().any(|value| one_of(value))
            } else if let Some((_, value)) = fields.iter().find(|(field, _)| field == name) {
                one_of(value)
            } else {
                bail!("InvalidParameterValue: The filter '{name}' is invalid");
            };
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A page of a listing.
pub(super) struct Page {
    pub(super) items: Vec<Element>,
    pub(super) next: Option<String>,
}

/// The page that a request asks for; `size` is its limit, `default` what it is without one.
///
/// Only the things on the page are written out: a sweep reads each of a thousand groups once, not ten times.
pub(super) fn page<T>(
    things: &[T],
    form: &Form,
    size: &str,
    default: u32,
    write: impl Fn(&T) -> Element,
) -> Result<Page> {
    let start = match form.get("NextToken") {
        Some(token) => token
            .parse::<usize>()
            .context("InvalidNextToken: The token is not valid")?,
        None => 0,
    };
    let size = usize::try_from(form.number(size).unwrap_or(default))
        .unwrap_or(1)
        .clamp(1, 1_000);
    let items = things.iter().skip(start).take(size).map(write).collect();
    let end = start.saturating_add(size);
    Ok(Page {
        items,
        next: (end < things.len()).then(|| end.to_string()),
    })
}

/// Makes an answer lead to itself: its token is the one that it was asked with.
pub(super) fn repeat(root: &mut Element, form: &Form) {
    let token = form.get("NextToken").unwrap_or("0").to_owned();
    match root
        .children
        .iter_mut()
        .find(|child| child.name.ends_with("Result"))
    {
        Some(result) => result.set("NextToken", token),
        None => root.set("nextToken", token),
    }
}

/// Whether a list of wanted names, where there is one, holds this name.
pub(super) fn wants(names: &[&str], name: &str) -> bool {
    names.is_empty() || names.contains(&name)
}
