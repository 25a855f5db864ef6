//! The API of GitHub, and that of Gitea where it differs.

use hyper::Method;
use serde_json::{Value, json};

use super::{
    Answer, Asked, Inner, Kind, Pull, State, Status, TOKEN, is_commit, unauthorized, wrong,
};

pub(super) fn answer(forge: &Inner, state: &mut State, asked: &Asked) -> Answer {
    let (root, token) = match forge.kind {
        Kind::Gitea => ("/api/v1", format!("token {TOKEN}")),
        _ => ("/api/v3", format!("Bearer {TOKEN}")),
    };
    if asked.header("authorization") != token {
        return unauthorized();
    }
    if forge.kind == Kind::Github {
        if asked.header("user-agent").is_empty() {
            return (
                403,
                json!({ "message": "Request forbidden by administrative rules" }),
            );
        }
        if asked.header("accept") != "application/vnd.github+json" {
            return wrong("ask for application/vnd.github+json");
        }
    }
    let Some(path) = asked.path.strip_prefix(root) else {
        return wrong("no such API");
    };
    if path == "/repos/you/desired" && asked.method == Method::GET {
        let may = json!({ "admin": false, "push": !state.read_only, "pull": true });
        return (
            200,
            json!({ "full_name": "you/desired", "permissions": may }),
        );
    }
    let Some(path) = path.strip_prefix("/repos/you/desired/") else {
        return (404, json!({ "message": "Not Found" }));
    };
    let parts: Vec<&str> = path.split('/').collect();
    match (&asked.method, parts.as_slice()) {
        (&Method::GET, ["pulls"]) => list(forge, state, asked),
        (&Method::POST, ["pulls"]) => open(forge, state, asked),
        (&Method::PATCH, ["pulls", number]) => update(state, asked, number),
        (&Method::GET, ["issues", number, "comments"]) => match pull(state, number) {
            Some(pull) => {
                let all: Vec<Value> = pull.comments.iter().map(comment).collect();
                // Gitea gives all of them, whatever page is asked for.
                let page = match forge.kind {
                    Kind::Gitea => all,
                    _ => asked.page(&all, "per_page"),
                };
                (200, json!(page))
            }
            None => wrong("no such pull request"),
        },
        (&Method::POST, ["issues", number, "comments"]) => {
            let body = match asked.texts(["body"], &[]) {
                Ok([body]) => body,
                Err(answer) => return answer,
            };
            state.ids += 1;
            let id = state.ids;
            match pull(state, number) {
                Some(pull) => {
                    pull.comments.push((id, body.clone()));
                    (201, comment(&(id, body)))
                }
                None => wrong("no such pull request"),
            }
        }
        (&Method::PATCH, ["issues", "comments", id]) => {
            let body = match asked.texts(["body"], &[]) {
                Ok([body]) => body,
                Err(answer) => return answer,
            };
            let mut all = state.pulls.iter_mut().flat_map(|pull| &mut pull.comments);
            match all.find(|(known, _)| known.to_string() == **id) {
                Some(found) => {
                    found.1 = body;
                    (200, comment(found))
                }
                None => wrong("no such comment"),
            }
        }
        (&Method::POST, ["statuses", commit]) => status(forge, state, asked, commit),
        _ => wrong("no such path"),
    }
}

fn list(forge: &Inner, state: &State, asked: &Asked) -> Answer {
    let mut found: Vec<&Pull> = state.pulls.iter().collect();
    match asked.query("state") {
        Some("open") => found.retain(|pull| pull.open),
        Some("closed") => found.retain(|pull| !pull.open),
        _ => {}
    }
    let size = match forge.kind {
        Kind::Gitea => "limit",
        _ => {
            if let Some(head) = asked.query("head") {
                // Without the owner in front it filters nothing.
                if let Some(branch) = head.strip_prefix("you:") {
                    found.retain(|pull| pull.head == branch);
                }
            }
            if let Some(base) = asked.query("base") {
                found.retain(|pull| pull.base == base);
            }
            "per_page"
        }
    };
    let all: Vec<Value> = found.into_iter().map(shown).collect();
    (200, json!(asked.page(&all, size)))
}

fn open(forge: &Inner, state: &mut State, asked: &Asked) -> Answer {
    let [title, head, base, body] = match asked.texts(["title", "head", "base", "body"], &[]) {
        Ok(texts) => texts,
        Err(answer) => return answer,
    };
    if !forge.has_branch(&head) || !forge.has_branch(&base) {
        return (
            422,
            json!({ "message": "Validation Failed", "errors": [{ "field": "head", "code": "invalid" }] }),
        );
    }
    if state
        .pulls
        .iter()
        .any(|pull| pull.open && pull.head == head && pull.base == base)
    {
        let said = format!("A pull request already exists for you:{head}.");
        return match forge.kind {
            Kind::Gitea => (409, json!({ "message": said })),
            _ => (
                422,
                json!({ "message": "Validation Failed", "errors": [{ "message": said }] }),
            ),
        };
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

fn update(state: &mut State, asked: &Asked, number: &str) -> Answer {
    match (asked.texts(["title", "body"], &[]), pull(state, number)) {
        (Ok([title, body]), Some(pull)) => {
            (pull.title, pull.body) = (title, body);
            (200, shown(pull))
        }
        (Err(answer), _) => answer,
        (_, None) => wrong("no such pull request"),
    }
}

fn status(forge: &Inner, state: &mut State, asked: &Asked, commit: &str) -> Answer {
    let [word, context, text] =
        match asked.texts(["state", "context", "description"], &["target_url"]) {
            Ok(texts) => texts,
            Err(answer) => return answer,
        };
    let states: &[&str] = match forge.kind {
        Kind::Gitea => &["pending", "success", "error", "failure", "warning"],
        _ => &["pending", "success", "error", "failure"],
    };
    if !states.contains(&word.as_str()) {
        return wrong("no such state");
    }
    if forge.kind == Kind::Github && text.chars().count() > 140 {
        return wrong("description is too long (maximum is 140 characters)");
    }
    if !is_commit(commit) || !forge.has_commit(commit) {
        return wrong(&format!("No commit found for SHA: {commit}"));
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

fn comment((id, body): &(u64, String)) -> Value {
    json!({ "id": id, "body": body })
}

fn shown(pull: &Pull) -> Value {
    json!({
        "number": pull.number,
        "html_url": format!("https://forge.example.com/you/desired/pull/{}", pull.number),
        "title": pull.title,
        "body": pull.body,
        "head": { "ref": pull.head },
        "base": { "ref": pull.base },
    })
}
