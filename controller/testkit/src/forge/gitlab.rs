//! The API of GitLab.

use hyper::Method;
use serde_json::{Value, json};

use super::{Answer, Asked, Inner, Pull, State, Status, TOKEN, is_commit, unauthorized, wrong};

pub(super) fn answer(forge: &Inner, state: &mut State, asked: &Asked) -> Answer {
    if asked.header("private-token") != TOKEN {
        return unauthorized();
    }
    let Some(path) = asked.path.strip_prefix("/api/v4") else {
        return wrong("no such API");
    };
    if path == "/projects/you%2Fdesired" && asked.method == Method::GET {
        let level = if state.read_only { 20 } else { 30 };
        let may = json!({ "project_access": { "access_level": level }, "group_access": null });
        return (
            200,
            json!({ "path_with_namespace": "you/desired", "permissions": may }),
        );
    }
    let Some(path) = path.strip_prefix("/projects/you%2Fdesired/") else {
        return (404, json!({ "message": "404 Project Not Found" }));
    };
    let parts: Vec<&str> = path.split('/').collect();
    match (&asked.method, parts.as_slice()) {
        (&Method::GET, ["merge_requests"]) => {
            let mut found: Vec<&Pull> = state.pulls.iter().collect();
            if asked.query("state") == Some("opened") {
                found.retain(|pull| pull.open);
            }
            if let Some(branch) = asked.query("source_branch") {
                found.retain(|pull| pull.head == branch);
            }
            if let Some(branch) = asked.query("target_branch") {
                found.retain(|pull| pull.base == branch);
            }
            let all: Vec<Value> = found.into_iter().map(shown).collect();
            (200, json!(asked.page(&all, "per_page")))
        }
        (&Method::POST, ["merge_requests"]) => open(forge, state, asked),
        (&Method::PUT, ["merge_requests", number]) => {
            match (
                asked.texts(["title", "description"], &[]),
                pull(state, number),
            ) {
                (Ok([title, body]), Some(pull)) => {
                    (pull.title, pull.body) = (title, body);
                    (200, shown(pull))
                }
                (Err(answer), _) => answer,
                (_, None) => wrong("no such merge request"),
            }
        }
        (&Method::GET, ["merge_requests", number, "notes"]) => match pull(state, number) {
            Some(pull) => {
                let all: Vec<Value> = pull.comments.iter().map(note).collect();
                (200, json!(asked.page(&all, "per_page")))
            }
            None => wrong("no such merge request"),
        },
        (&Method::POST, ["merge_requests", number, "notes"]) => {
            let body = match asked.texts(["body"], &[]) {
                Ok([body]) => body,
                Err(answer) => return answer,
            };
            state.ids += 1;
            let id = state.ids;
            match pull(state, number) {
                Some(pull) => {
                    pull.comments.push((id, body.clone()));
                    (201, note(&(id, body)))
                }
                None => wrong("no such merge request"),
            }
        }
        (&Method::PUT, ["merge_requests", number, "notes", id]) => {
            let body = match asked.texts(["body"], &[]) {
                Ok([body]) => body,
                Err(answer) => return answer,
            };
            let found = pull(state, number).and_then(|pull| {
                let mut notes = pull.comments.iter_mut();
                notes.find(|(known, _)| known.to_string() == **id)
            });
            match found {
                Some(found) => {
                    found.1 = body;
                    (200, note(found))
                }
                None => wrong("no such note"),
            }
        }
        (&Method::POST, ["statuses", commit]) => status(forge, state, asked, commit),
        _ => wrong("no such path"),
    }
}

fn open(forge: &Inner, state: &mut State, asked: &Asked) -> Answer {
    let names = ["source_branch", "target_branch", "title", "description"];
    let [head, base, title, body] = match asked.texts(names, &["remove_source_branch"]) {
        Ok(texts) => texts,
        Err(answer) => return answer,
    };
    if !forge.has_branch(&head) || !forge.has_branch(&base) {
        return wrong("source_branch does not exist");
    }
    if let Some(same) = state
        .pulls
        .iter()
        .find(|pull| pull.open && pull.head == head && pull.base == base)
    {
        let said = format!(
            "Another open merge request already exists for this source branch: !{}",
            same.number
        );
        return (409, json!({ "message": [said] }));
    }
    let number = state.pulls.len() as u64 + 1;
    let pull = Pull {
        number,
        head,
        base,
        title,
        body,
        open: true,
        comments: Vec::new(),
    };
    let made = shown(&pull);
    state.pulls.push(pull);
    (201, made)
}

fn status(forge: &Inner, state: &mut State, asked: &Asked, commit: &str) -> Answer {
    let [word, context, text] = match asked.texts(["state", "name", "description"], &["target_url"])
    {
        Ok(texts) => texts,
        Err(answer) => return answer,
    };
    if !["pending", "running", "success", "failed", "canceled"].contains(&word.as_str()) {
        return wrong("no such state");
    }
    if text.chars().count() > 255 {
        return wrong("description is too long (maximum is 255 characters)");
    }
    if !is_commit(commit) || !forge.has_commit(commit) {
        return wrong("Commit not found");
    }
    let before = state
        .statuses
        .iter()
        .rev()
        .find(|status| status.commit == commit && status.context == context);
    if before.is_some_and(|before| before.state == word) {
        // The real one does so, too: a client has to live with it.
        let said = format!(
            "Cannot transition status via :run from :{word} (Reason(s): Status cannot transition via \"run\")"
        );
        return (400, json!({ "message": said, "expected": true }));
    }
    state.statuses.push(Status {
        commit: commit.to_owned(),
        state: word,
        context,
        text,
        link: asked.body["target_url"].as_str().map(str::to_owned),
    });
    (201, json!({}))
}

fn pull<'a>(state: &'a mut State, number: &str) -> Option<&'a mut Pull> {
    let mut pulls = state.pulls.iter_mut();
    pulls.find(|pull| pull.number.to_string() == number)
}

fn note((id, body): &(u64, String)) -> Value {
    json!({ "id": id, "body": body })
}

fn shown(pull: &Pull) -> Value {
    json!({
        "iid": pull.number,
        "web_url": format!("https://forge.example.com/you/desired/-/merge_requests/{}", pull.number),
        "title": pull.title,
        "description": pull.body,
        "source_branch": pull.head,
        "target_branch": pull.base,
        "source_project_id": 7,
        "target_project_id": 7,
    })
}
