//! Every rule of clean-up by a table: what keeps an image, what the stages
//! wait for, when a run only reports.

#![allow(missing_docs)]

mod account;
mod keeps;
mod runs;
mod stages;

use account::{Account, app, commit};
use amid_core::retention::{Evidence, ImageState};

type Change = fn(&mut Account);

/// Each change to an account with one image that nothing needs, and the word
/// for what then becomes of the image.
fn check(rows: &[(&str, Change, &str)]) {
    for (what, change, expected) in rows {
        let mut account = Account::new();
        change(&mut account);
        assert_eq!(account.word(), *expected, "{what}");
    }
}

fn instance() -> Evidence {
    Evidence::Instance {
        id: "i-1".to_owned(),
        state: "stopped".to_owned(),
    }
}

fn version(version: u64, default: bool, latest: bool, days: i64, account: &Account) -> Evidence {
    Evidence::TemplateVersion {
        template: "lt-1".to_owned(),
        name: "web".to_owned(),
        version,
        default,
        latest,
        created: Some(account.ago(days)),
    }
}

fn branch(accepted: bool, days: i64, account: &Account) -> Evidence {
    Evidence::Branch {
        branch: "feature".to_owned(),
        accepted,
        commit: commit(),
        committed: Some(account.ago(days)),
        path: "desired/prod/web.json".to_owned(),
    }
}

fn history(changes_since: u32, days: i64, account: &Account) -> Evidence {
    Evidence::History {
        app: app(),
        commit: commit(),
        path: "desired/prod/web.json".to_owned(),
        changes_since,
        until: Some(account.ago(days)),
    }
}

/// The stages with how long the image is in each.
const STALE: &[(&str, i64)] = &[("amid:stale", 8)];
const DEPRECATED: &[(&str, i64)] = &[("amid:stale", 20), ("amid:deprecated", 8)];
const DISABLED: &[(&str, i64)] = &[
    ("amid:stale", 50),
    ("amid:deprecated", 30),
    ("amid:disabled", 15),
];

fn disabled(a: &mut Account, stages: &[(&str, i64)]) {
    a.stage(stages);
    a.tag("amid:deprecating", "none");
    a.tag("amid:permissions", "222222222222");
    a.elsewhere("222222222222");
    a.image().state = ImageState::Disabled;
    a.image().deprecated = Some(a.now);
}
