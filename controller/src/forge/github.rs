//! GitHub's REST API, and what Gitea has in common with it.

use amid_core::notice::CommitState;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Did, Error, Forge, MAX_PAGES, NewPull, Pull, Status, cut};

/// Entries of one page of a list.
const PAGE: usize = 100;
/// Characters of a status's text.
const MAX_TEXT: usize = 140;

/// Whether the token may push, by what GitHub says of the repository; `None`
/// where it does not say.
pub(super) fn may_write(repository: &Value) -> Option<bool> {
    repository["permissions"]["push"].as_bool()
}

pub(super) async fn find_pull(
    forge: &Forge,
    head: &str,
    base: &str,
) -> Result<Option<Pull>, Error> {
    let path = format!("{}/pulls", forge.at);
    let from = format!("{}:{head}", forge.owner);
    let query = [("state", "open"), ("head", from.as_str()), ("base", base)];
    let list = forge.http.ask(Method::GET, &path, &query, None).await?;
    let found = list.as_array().into_iter().flatten().find(|pull| {
        // A head that the API does not know filters nothing.
        pull["head"]["ref"] == head && pull["base"]["ref"] == base
    });
    Ok(found.and_then(pull))
}

pub(super) fn pull(value: &Value) -> Option<Pull> {
    Some(Pull {
        number: value["number"].as_u64()?,
        link: value["html_url"].as_str()?.to_owned(),
    })
}

pub(super) async fn open(forge: &Forge, new: &NewPull<'_>) -> Result<Pull, Error> {
    let path = format!("{}/pulls", forge.at);
    let body = json!({
        "title": new.title, "body": new.body, "head": new.head, "base": new.base,
    });
    let made = forge
        .http
        .ask(Method::POST, &path, &[], Some(&body))
        .await?;
    pull(&made).ok_or_else(strange)
}

pub(super) async fn update(forge: &Forge, pull: &Pull, new: &NewPull<'_>) -> Result<(), Error> {
    let path = format!("{}/pulls/{}", forge.at, pull.number);
    let body = json!({ "title": new.title, "body": new.body });
    let done = forge.http.ask(Method::PATCH, &path, &[], Some(&body)).await;
    done.map(drop)
}

pub(super) async fn comment(
    forge: &Forge,
    pull: &Pull,
    mark: &str,
    body: &str,
) -> Result<Did, Error> {
    let path = format!("{}/issues/{}/comments", forge.at, pull.number);
    let mut before = None;
    let mut seen = None;
    for page in 1..=MAX_PAGES {
        let page = page.to_string();
        // Gitea knows no pages here and gives all: the same list twice is
        // its end, too.
        let query = [("per_page", "100"), ("page", page.as_str())];
        let list = forge.http.ask(Method::GET, &path, &query, None).await?;
        let list = list.as_array().cloned().unwrap_or_default();
        let marked = |comment: &&Value| {
            comment["body"]
                .as_str()
                .is_some_and(|text| text.contains(mark))
        };
        before = list.iter().find(marked).cloned();
        let first = list.first().map(|comment| comment["id"].clone());
        if before.is_some() || list.len() < PAGE || first == seen {
            break;
        }
        seen = first;
    }
    let body_ = json!({ "body": body });
    let Some(before) = before else {
        forge
            .http
            .ask(Method::POST, &path, &[], Some(&body_))
            .await?;
        return Ok(Did::Made);
    };
    if before["body"] == body {
        return Ok(Did::Nothing);
    }
    let id = before["id"].as_u64().ok_or_else(strange)?;
    let path = format!("{}/issues/comments/{id}", forge.at);
    forge
        .http
        .ask(Method::PATCH, &path, &[], Some(&body_))
        .await?;
    Ok(Did::Changed)
}

pub(super) async fn status(forge: &Forge, status: &Status<'_>) -> Result<(), Error> {
    let state = match status.state {
        CommitState::Pending => "pending",
        CommitState::Deployed => "success",
        CommitState::Failed => "failure",
        CommitState::Superseded => "error",
    };
    post_status(forge, status, state, MAX_TEXT).await
}

/// Posts a status; Gitea takes the same body.
pub(super) async fn post_status(
    forge: &Forge,
    status: &Status<'_>,
    state: &str,
    most: usize,
) -> Result<(), Error> {
    let path = format!("{}/statuses/{}", forge.at, status.commit);
    let mut body = json!({
        "state": state, "context": status.context, "description": cut(status.text, most),
    });
    if let Some(link) = status.link {
        body["target_url"] = json!(link);
    }
    let done = forge.http.ask(Method::POST, &path, &[], Some(&body)).await;
    done.map(drop)
}

pub(super) fn strange() -> Error {
    Error::Later {
        why: "its answer has another form than its API's".to_owned(),
        after: None,
    }
}
