//! Gitea's and Forgejo's API, where it differs from GitHub's.

use amid_core::notice::CommitState;
use reqwest::Method;

use super::{Error, Forge, MAX_PAGES, NewPull, Pull, Status, github};

/// Characters of a status's text.
const MAX_TEXT: usize = 255;

pub(super) async fn find_pull(
    forge: &Forge,
    head: &str,
    base: &str,
) -> Result<Option<Pull>, Error> {
    let path = format!("{}/pulls", forge.at);
    // It cannot be asked for one branch.
    for page in 1..=MAX_PAGES {
        let page = page.to_string();
        let query = [("state", "open"), ("limit", "50"), ("page", page.as_str())];
        let list = forge.http.ask(Method::GET, &path, &query, None).await?;
        let Some(list) = list.as_array().filter(|list| !list.is_empty()) else {
            break;
        };
        let found = list
            .iter()
            .find(|pull| pull["head"]["ref"] == head && pull["base"]["ref"] == base);
        if let Some(found) = found {
            return Ok(github::pull(found));
        }
    }
    Ok(None)
}

pub(super) async fn open(forge: &Forge, new: &NewPull<'_>) -> Result<Pull, Error> {
    github::open(forge, new).await
}

pub(super) async fn status(forge: &Forge, status: &Status<'_>) -> Result<(), Error> {
    let state = match status.state {
        CommitState::Pending => "pending",
        CommitState::Deployed => "success",
        CommitState::Failed => "failure",
        CommitState::Superseded => "warning",
    };
    github::post_status(forge, status, state, MAX_TEXT).await
}
