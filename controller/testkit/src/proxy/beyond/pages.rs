//! Listings of EC2 in pages, and what belongs on them.
//!
//! moto is asked for the whole list each time. A token says where the next page begins.

use anyhow::Result;

use crate::{
    cloud::ACCOUNT,
    proxy::{Inner, rewrite, rules::LATER_PAGE, upstream::Answer},
    wire::{Call, Element},
};

/// Listings that moto answers in one page, and where their items are.
const LISTINGS: [(&str, &str); 8] = [
    ("DescribeImages", "imagesSet"),
    ("DescribeSnapshots", "snapshotSet"),
    ("DescribeVolumes", "volumeSet"),
    ("DescribeLaunchTemplates", "launchTemplates"),
    ("DescribeLaunchTemplateVersions", "launchTemplateVersionSet"),
    ("DescribeFleets", "fleetSet"),
    ("DescribeSpotFleetRequests", "spotFleetRequestConfigSet"),
    ("DescribeSpotInstanceRequests", "spotInstanceRequestSet"),
];
/// More than moto ever holds: it cuts lists of templates at 15 where a request says nothing.
const EVERYTHING: &str = "100000";

/// Which page of which listing a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    items: &'static str,
    start: usize,
    size: Option<u32>,
}

/// Asks moto for a whole list where a client asks for a page of it.
pub(crate) fn whole(call: &mut Call) -> Option<Listing> {
    if call.service != "ec2" {
        return None;
    }
    let (_, items) = LISTINGS.iter().find(|(action, _)| *action == call.action)?;
    let token = call.form.get("NextToken").unwrap_or_default();
    let start = token.strip_prefix(LATER_PAGE).unwrap_or_default();
    let listing = Listing {
        items,
        start: start.parse().unwrap_or_default(),
        size: call.form.number("MaxResults"),
    };
    let mut form = call.form.clone();
    form.remove("NextToken");
    form.set("MaxResults", EVERYTHING);
    call.use_form(form);
    Some(listing)
}

/// Leaves what AWS would show on that page.
pub(crate) fn show(
    proxy: &Inner,
    listing: &Listing,
    call: &Call,
    answer: Answer,
) -> Result<Answer> {
    let size = match (listing.size, proxy.rules.page()) {
        (Some(asked), Some(most)) => Some(asked.min(most)),
        (asked, most) => asked.or(most),
    };
    rewrite(answer, |root| {
        let items = &mut root.child_or_new(listing.items).children;
        match call.action.as_str() {
            "DescribeImages" => images(proxy, call, items),
            "DescribeSnapshots" if call.form.get("Owner.1") == Some("self") => {
                items.retain(|item| item.text_at(&["ownerId"]) == ACCOUNT);
            }
            _ => {}
        }
        let Some(size) = size.and_then(|size| usize::try_from(size).ok()) else {
            return;
        };
        let end = listing.start.saturating_add(size);
        let more = end < items.len();
        items.truncate(end);
        items.drain(..listing.start.min(items.len()));
        if more {
            root.set("nextToken", format!("{LATER_PAGE}{end}"));
        }
    })
}

/// States and deprecation times that moto does not know; disabled images only for those who ask for them.
fn images(proxy: &Inner, call: &Call, items: &mut Vec<Element>) {
    let with_disabled = call.form.get("IncludeDisabled") == Some("true");
    items.retain_mut(|item| {
        let life = proxy.lives.of(item.text_at(&["imageId"]));
        if life.disabled {
            item.set("imageState", "disabled");
        }
        if let Some(at) = life.deprecated {
            item.set("deprecationTime", at.to_string());
        }
        with_disabled || !life.disabled
    });
}
