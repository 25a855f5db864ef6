//! A forge on loopback: as much of the APIs of GitHub, GitLab and Gitea as pull requests, comments and commit
//! statuses need.
//!
//! It is strict where the real ones are: about the token, about paths and bodies, about branches and commits that the
//! repository must have, and about a second pull request from one branch. What it refuses for the form of a request is
//! kept in [`Forge::complaints`], so that a test can see that there was none.

mod github;
mod gitlab;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use http_body_util::{BodyExt, Limited};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, body::Incoming};
use serde_json::{Value, json};

use crate::server::{Body, Dropped, Server, answer};

/// The token that it wants.
pub const TOKEN: &str = "t0ken-of-the-forge";
/// Bytes of one request.
const LARGEST: usize = 1 << 20;

/// Which API it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// GitHub Enterprise Server, below `/api/v3`.
    Github,
    /// GitLab, below `/api/v4`.
    Gitlab,
    /// Gitea, below `/api/v1`.
    Gitea,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Github, Self::Gitlab, Self::Gitea];

    /// As amid's configuration names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
        }
    }
}

/// A pull request.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// The branch that is to be merged.
    pub head: String,
    /// The branch that it is merged into.
    pub base: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Whether it is open.
    pub open: bool,
    /// Comments, by id.
    pub comments: Vec<(u64, String)>,
}

/// A commit status, as it was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The commit.
    pub commit: String,
    /// Its state, in the forge's own word.
    pub state: String,
    /// Its name.
    pub context: String,
    /// What it says.
    pub text: String,
    /// Where it links to.
    pub link: Option<String>,
}

/// A running forge with one repository; it stops when dropped.
#[derive(Debug)]
pub struct Forge {
    server: Server,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    repository: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pulls: Vec<Pull>,
    statuses: Vec<Status>,
    complaints: Vec<String>,
    requests: usize,
    codes: VecDeque<u16>,
    hangs: bool,
    read_only: bool,
    ids: u64,
}

/// One request, taken apart.
struct Asked {
    method: Method,
    /// Below the API's root.
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Value,
}

/// An answer: code and body.
type Answer = (u16, Value);

impl Forge {
    /// Hosts the repository that lies at `repository` as `you/desired`.
    pub fn start(kind: Kind, repository: &Path) -> Result<Forge> {
        let inner = Arc::new(Inner {
            kind,
            repository: repository.to_owned(),
            state: Mutex::default(),
        });
        let handler = {
            let inner = Arc::clone(&inner);
            move |request| {
                let inner = Arc::clone(&inner);
                async move { inner.serve(request).await }
            }
        };
        Ok(Forge {
            server: Server::start("forge", handler, async {})?,
            inner,
        })
    }

    /// Its address as a browser has it.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    /// The section `forge` of a configuration; writes the token into `folder`.
    pub fn config(&self, folder: &Path) -> Result<Value> {
        let file = folder.join("forge-token");
        std::fs::write(&file, format!("{TOKEN}\n"))?;
        Ok(json!({
            "type": self.inner.kind.name(),
            "url": self.url(),
            "project": "you/desired",
            "token_file": file,
        }))
    }

    /// Its pull requests.
    pub fn pulls(&self) -> Vec<Pull> {
        self.inner.lock().pulls.clone()
    }

    /// Closes a pull request, as a merge or a person does.
    pub fn close(&self, number: u64) {
        let mut state = self.inner.lock();
        let found = state.pulls.iter_mut().find(|pull| pull.number == number);
        if let Some(pull) = found {
            pull.open = false;
        }
    }

    /// Adds a comment of somebody else.
    pub fn say(&self, number: u64, text: &str) {
        let mut state = self.inner.lock();
        state.ids += 1;
        let id = state.ids;
        let found = state.pulls.iter_mut().find(|pull| pull.number == number);
        if let Some(pull) = found {
            pull.comments.push((id, text.to_owned()));
        }
    }

    /// The statuses, in the order in which they were posted.
    pub fn statuses(&self) -> Vec<Status> {
        self.inner.lock().statuses.clone()
    }

    /// What was wrong with the form of requests.
    pub fn complaints(&self) -> Vec<String> {
        self.inner.lock().complaints.clone()
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.inner.lock().requests
    }

    /// The next requests get these codes and nothing is done for them.
    pub fn answer_with(&self, codes: &[u16]) {
        self.inner.lock().codes.extend(codes);
    }

    /// From now on it says that the token may only read.
    pub fn read_only(&self) {
        self.inner.lock().read_only = true;
    }

    /// From now on requests are taken and never answered, or answered again.
    pub fn hang(&self, hangs: bool) {
        self.inner.lock().hangs = hangs;
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let bytes = body.map_err(|_| Dropped)?.to_bytes();
        let (hangs, code) = {
            let mut state = self.lock();
            state.requests += 1;
            (state.hangs, state.codes.pop_front())
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        let (code, value) = match code {
            Some(code) => (code, json!({ "message": "as the test says" })),
            None => self.answer(head.method, head.uri, head.headers, &bytes),
        };
        let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Ok(answer(code, "application/json", value.to_string()))
    }

    fn answer(&self, method: Method, uri: hyper::Uri, headers: HeaderMap, bytes: &[u8]) -> Answer {
        let asked = Asked {
            path: uri.path().to_owned(),
            query: query(uri.query().unwrap_or_default()),
            body: serde_json::from_slice(bytes).unwrap_or_default(),
            headers,
            method,
        };
        let shown = format!("{} {uri}", asked.method);
        let mut state = self.lock();
        let (code, value) = match self.kind {
            Kind::Github | Kind::Gitea => github::answer(self, &mut state, &asked),
            Kind::Gitlab => gitlab::answer(self, &mut state, &asked),
        };
        // 401 is about the token and 409 about what is there already.
        if matches!(code, 400 | 404) && value["expected"].is_null() {
            let body = &asked.body;
            state
                .complaints
                .push(format!("{shown} {body}: {code} {value}"));
        }
        (code, value)
    }

    fn has_branch(&self, name: &str) -> bool {
        let repo = git2::Repository::open_bare(&self.repository);
        repo.is_ok_and(|repo| repo.refname_to_id(&format!("refs/heads/{name}")).is_ok())
    }

    fn has_commit(&self, id: &str) -> bool {
        let repo = git2::Repository::open_bare(&self.repository);
        let id = git2::Oid::from_str(id);
        id.is_ok_and(|id| repo.is_ok_and(|repo| repo.find_commit(id).is_ok()))
    }
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The page of a list, by this parameter.
    fn page<T: Clone>(&self, all: &[T], size: &str) -> Vec<T> {
        let number = |name| self.query(name).and_then(|text| text.parse().ok());
        let size: usize = number(size).unwrap_or(30).clamp(1, 100);
        let page: usize = number("page").unwrap_or(1).max(1);
        all.iter()
            .skip((page - 1) * size)
            .take(size)
            .cloned()
            .collect()
    }

    /// Texts of the body; an error where one is missing or there is a field that is not among these.
    fn texts<const N: usize>(&self, names: [&str; N], may: &[&str]) -> Result<[String; N], Answer> {
        let Some(fields) = self.body.as_object() else {
            return Err(wrong("the body is no object"));
        };
        let known = |name: &str| names.contains(&name) || may.contains(&name);
        if let Some(unknown) = fields.keys().find(|name| !known(name)) {
            return Err(wrong(&format!("there is no field `{unknown}`")));
        }
        let mut found = [const { String::new() }; N];
        for (place, name) in found.iter_mut().zip(names) {
            match fields.get(name).and_then(Value::as_str) {
                Some(text) => text.clone_into(place),
                None => return Err(wrong(&format!("`{name}` is missing"))),
            }
        }
        Ok(found)
    }
}

fn wrong(message: &str) -> Answer {
    (400, json!({ "message": message }))
}

fn unauthorized() -> Answer {
    (401, json!({ "message": "Bad credentials" }))
}

fn is_commit(id: &str) -> bool {
    id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The pairs of a query, percent-decoded.
fn query(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}
