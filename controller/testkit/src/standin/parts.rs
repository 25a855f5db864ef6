//! What several of AWS's answers hold.

use std::collections::BTreeMap;

use crate::wire::Element;

/// Where everything runs.
pub(super) const ZONE: &str = "us-east-1a";

/// The tags of a thing, as EC2 shows them.
pub(super) fn tag_set(tags: &BTreeMap<String, String>) -> Element {
    let item = |(key, value): (&String, &String)| {
        Element::node(
            "item",
            vec![
                Element::leaf("key", &**key),
                Element::leaf("value", &**value),
            ],
        )
    };
    Element::node("tagSet", tags.iter().map(item).collect())
}
