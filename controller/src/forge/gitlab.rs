//! GitLab's REST API. Pull requests are merge requests there, and comments
//! are notes.

use amid_core::notice::CommitState;
use reqwest::Method;
use serde_json::{Value, json};

use super::github::strange;
use super::{Did, Error, Forge, MAX_PAGES, NewPull, Pull, Status, cut};

/// Entries of one page of a list.
const PAGE: usize = 100;
/// The access level of a developer: the first that may write.
const DEVELOPER: u64 = 30;
/// Characters of a status's text.
const MAX_TEXT: usize = 255;

/// Whether the token may write, by what GitLab says of the project; `None`
/// where it does not say.
pub(super) fn may_write(project: &Value) -> Option<bool> {
    ["project_access", "group_access"]
        .iter()
        .filter_map(|access| project["permissions"][access]["access_level"].as_u64())
        .max()
        .map(|level| level >= DEVELOPER)
}

pub(super) async fn find_pull(
    forge: &Forge,
    head: &str,
    base: &str,
) -> Result<Option<Pull>, Error> {
    let path = format!("{}/merge_requests", forge.at);
    let query = [
        ("state", "opened"),
        ("source_branch", head),
        ("target_branch", base),
    ];
    let list = forge.http.ask(Method::GET, &path, &query, None).await?;
    let found = list.as_array().into_iter().flatten().find(|one| {
        // Another project's branch of the same name is not ours.
        one["source_branch"] == head
            && one["target_branch"] == base
            && one["source_project_id"] == one["target_project_id"]
    });
    Ok(found.and_then(pull))
}

fn pull(value: &Value) -> Option<Pull> {
    Some(Pull {
        number: value["iid"].as_u64()?,
        link: value["web_url"].as_str()?.to_owned(),
    })
}

pub(super) async fn open(forge: &Forge, new: &NewPull<'_>) -> Result<Pull, Error> {
    let path = format!("{}/merge_requests", forge.at);
    let body = json!({
        "source_branch": new.head, "target_branch": new.base,
        "title": new.title, "description": new.body, "remove_source_branch": true,
    });
    let made = forge
        .http
        .ask(Method::POST, &path, &[], Some(&body))
        .await?;
    pull(&made).ok_or_else(strange)
}

pub(super) async fn update(forge: &Forge, pull: &Pull, new: &NewPull<'_>) -> Result<(), Error> {
    let path = format!("{}/merge_requests/{}", forge.at, pull.number);
    let body = json!({ "title": new.title, "description": new.body });
    let done = forge.http.ask(Method::PUT, &path, &[], Some(&body)).await;
    done.map(drop)
}

pub(super) async fn comment(
    forge: &Forge,
    pull: &Pull,
    mark: &str,
    body: &str,
) -> Result<Did, Error> {
    let path = format!("{}/merge_requests/{}/notes", forge.at, pull.number);
    let mut before = None;
    for page in 1..=MAX_PAGES {
        let page = page.to_string();
        let query = [("per_page", "100"), ("page", page.as_str())];
        let list = forge.http.ask(Method::GET, &path, &query, None).await?;
        let list = list.as_array().cloned().unwrap_or_default();
        let marked = |note: &&Value| {
            note["body"]
                .as_str()
                .is_some_and(|text| text.contains(mark))
        };
        before = list.iter().find(marked).cloned();
        if before.is_some() || list.len() < PAGE {
            break;
        }
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
    let path = format!("{path}/{id}");
    forge
        .http
        .ask(Method::PUT, &path, &[], Some(&body_))
        .await?;
    Ok(Did::Changed)
}

pub(super) async fn status(forge: &Forge, status: &Status<'_>) -> Result<(), Error> {
    // `running` throughout: what is `pending` may not succeed at once.
    let state = match status.state {
        CommitState::Pending => "running",
        CommitState::Deployed => "success",
        CommitState::Failed => "failed",
        CommitState::Superseded => "canceled",
    };
    let path = format!("{}/statuses/{}", forge.at, status.commit);
    let mut body = json!({
        "state": state, "name": status.context, "description": cut(status.text, MAX_TEXT),
    });
    if let Some(link) = status.link {
        body["target_url"] = json!(link);
    }
    match forge.http.ask(Method::POST, &path, &[], Some(&body)).await {
        Ok(_) => Ok(()),
        // From running to running is an error to GitLab, and no news to us:
        // only the sentence stays the older one.
        Err(Error::Refused(refusal))
            if refusal.code == 400 && refusal.said.contains("Cannot transition status") =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}
