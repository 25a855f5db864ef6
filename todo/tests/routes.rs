//! Every route and every error, in process.
//!
//! One table of requests is sent through the whole application, layers
//! included, over the store in memory. What came back is then held against
//! the OpenAPI document: a status that the document does not know fails, and
//! so does one that the document promises and no request could provoke.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use salvo::http::header::{HeaderName, HeaderValue};
use salvo::http::{Method, Response};
use salvo::prelude::*;
use salvo::test::{RequestBuilder, ResponseExt, TestClient};
use serde_json::Value;
use todo::app::{App, Lifecycle, Settings};
use todo::metrics::Metrics;
use todo::openapi::document;
use todo::proxy::TrustedProxies;
use todo::release::Release;
use todo::service::service;
use todo::store::{Memory, Store};

const JSON: (&str, &str) = ("content-type", "application/json");
/// Both what POST and PATCH need and what means DELETE for the original.
const AWAY: &[(&str, &str)] = &[JSON, ("x-http-method-override", "DELETE")];
const OVERRIDE: &[(&str, &str)] = &[("x-http-method-override", "DELETE")];
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

struct Server {
    app: Arc<App>,
    service: Service,
}

impl Server {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            list_cap: 3,
            request_timeout: Duration::from_secs(5),
            max_concurrent: 8,
            allow_delete_all: true,
            proxies: TrustedProxies::default(),
            cors_origins: Vec::new(),
            release: Release {
                ami: "ami-1".into(),
                version: "1.2.3".into(),
            },
        };
        change(&mut settings);
        let metrics = Arc::new(Metrics::new(&settings.release).expect("metrics"));
        let app = Arc::new(App {
            store: Store::Memory(Memory::default()),
            settings,
            metrics,
            lifecycle: Lifecycle::default(),
        });
        app.lifecycle.set_prepared();
        let service = service(app.clone());
        Self { app, service }
    }

    fn play_dead(&self, dead: bool) {
        if let Store::Memory(memory) = &self.app.store {
            memory.play_dead(dead);
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("http://todo.test{path}");
        let mut request = RequestBuilder::new(url, method);
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a header name");
            let value = HeaderValue::from_str(value).expect("a header value");
            request = request.add_header(name, value, true);
        }
        if !body.is_empty() {
            request = request.body(body.to_owned());
        }
        request.send(&self.service).await
    }

    async fn add(&self, title: &str) -> Value {
        let body = serde_json::json!({ "title": title }).to_string();
        let mut response = self.send("POST", "/todos", &[JSON], &body).await;
        response.take_json().await.expect("a todo")
    }

    async fn titles(&self) -> Vec<String> {
        let mut response = self.send("GET", "/todos", &[], "").await;
        let todos: Vec<Value> = response.take_json().await.expect("a list");
        let title = |todo: &Value| todo["title"].as_str().unwrap_or_default().to_owned();
        todos.iter().map(title).collect()
    }
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// One request of the table.
struct Case {
    name: &'static str,
    method: &'static str,
    /// The path; `{id}` stands for a todo that is there.
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: String,
    /// Whether the database is out of reach.
    dead: bool,
    status: u16,
    /// What the answer's text must contain.
    says: &'static str,
}

fn case(
    name: &'static str,
    request: (&'static str, &'static str),
    sent: (&'static [(&'static str, &'static str)], &str),
    expected: (u16, &'static str),
) -> Case {
    Case {
        name,
        method: request.0,
        path: request.1,
        headers: sent.0,
        body: sent.1.to_owned(),
        dead: false,
        status: expected.0,
        says: expected.1,
    }
}

// A table reads best with a case to the line.
#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let none = (&[] as &[_], "");
    let large = format!(r#"{{"title": "{}"}}"#, "x".repeat(todo::app::BODY_LIMIT));
    let long = format!(r#"{{"title": "{}"}}"#, "x".repeat(1_001));
    let long_text = long.replace("title", "text");
    let plain: &[_] = &[("content-type", "text/plain")];
    let bad_key: &[_] = &[JSON, ("idempotency-key", "a b")];
    let mut cases = vec![
        case("lists", ("GET", "/todos"), none, (200, "there")),
        case("HEAD", ("HEAD", "/todos"), none, (200, "")),
        case("the list is known", ("GET", "/todos"), (&[("if-none-match", "*")], ""), (304, "")),
        case("limit 0", ("GET", "/todos?limit=0"), none, (400, "\"field\":\"limit\"")),
        case("limit past the cap", ("GET", "/todos?limit=4"), none, (400, "from 1 to 3")),
        case("after nothing", ("GET", "/todos?after=x"), none, (400, "\"field\":\"after\"")),
        case("completed perhaps", ("GET", "/todos?completed=2"), none, (400, "\"field\":\"completed\"")),
        case("adds", ("POST", "/todos"), (&[JSON], r#"{"title":"new"}"#), (201, "\"title\":\"new\"")),
        case("adds by a JSON type", ("POST", "/todos"),
            (&[("content-type", "application/vnd.api+json; charset=utf-8")], r#"{"title":"new"}"#), (201, "new")),
        case("no JSON", ("POST", "/todos"), (&[JSON], "{bad"), (400, "not JSON")),
        case("no object", ("POST", "/todos"), (&[JSON], "[]"), (400, "JSON object")),
        case("a bad key", ("POST", "/todos"), (bad_key, r#"{"title":"a"}"#), (400, "\"field\":\"Idempotency-Key\"")),
        case("too large", ("POST", "/todos"), (&[JSON], &large), (413, "102400 bytes")),
        case("plain text", ("POST", "/todos"), (plain, "new"), (415, "`application/json`")),
        case("no type", ("POST", "/todos"), (&[], r#"{"title":"new"}"#), (415, "Content-Type")),
        case("no title", ("POST", "/todos"), (&[JSON], "{}"), (422, "\"field\":\"title\"")),
        case("an operator", ("POST", "/todos"), (&[JSON], r#"{"title":{"$ne":""}}"#), (422, "\"field\":\"title\"")),
        case("a blank title", ("POST", "/todos"), (&[JSON], r#"{"title":"  "}"#), (422, "blank")),
        case("a long title", ("POST", "/todos"), (&[JSON], &long), (422, "1000 characters")),
        case("a bad order", ("POST", "/todos"), (&[JSON], r#"{"title":"a","order":"1"}"#), (422, "\"field\":\"order\"")),
        case("shows", ("GET", "/todos/{id}"), none, (200, "there")),
        case("HEAD of one", ("HEAD", "/todos/{id}"), none, (200, "")),
        case("shows nothing", ("GET", "/todos/65f000000000000000000001"), none, (404, "no todo")),
        case("shows no id", ("GET", "/todos/xyz"), none, (404, "no todo")),
        case("changes", ("PATCH", "/todos/{id}"), (&[JSON], r#"{"completed":true}"#), (200, "\"completed\":true")),
        case("changes nothing", ("PATCH", "/todos/{id}"), (&[JSON], "{}"), (200, "there")),
        case("changes by no JSON", ("PATCH", "/todos/{id}"), (&[JSON], "x"), (400, "not JSON")),
        case("changes what is not", ("PATCH", "/todos/65f000000000000000000001"), (&[JSON], "{}"), (404, "no todo")),
        case("changes too much", ("PATCH", "/todos/{id}"), (&[JSON], &large), (413, "102400 bytes")),
        case("changes by text", ("PATCH", "/todos/{id}"), (plain, "x"), (415, "`application/json`")),
        case("changes badly", ("PATCH", "/todos/{id}"), (&[JSON], r#"{"completed":1}"#), (422, "\"field\":\"completed\"")),
        case("removes", ("DELETE", "/todos/{id}"), none, (204, "")),
        case("removes nothing", ("DELETE", "/todos/65f000000000000000000001"), none, (404, "no todo")),
        case("removes all", ("DELETE", "/todos"), none, (204, "")),
        case("original lists", ("GET", "/api/todos"), none, (200, r#"{"text":"there","_id":""#)),
        case("original adds", ("POST", "/api/todos"), (&[JSON], r#"{"text":"new","done":true}"#), (200, r#"{"text":"new""#)),
        case("original adds by form", ("POST", "/api/todos"), (&[FORM], "text=form+b"), (200, r#"{"text":"form b""#)),
        case("original adds nothing", ("POST", "/api/todos"), (&[JSON], "{}"), (200, r#"{"text":"""#)),
        case("original adds a number", ("POST", "/api/todos"), (&[JSON], r#"{"text":5}"#), (200, r#"{"text":"5""#)),
        case("original, no JSON", ("POST", "/api/todos"), (&[JSON], "{bad"), (400, "not JSON")),
        case("original, too large", ("POST", "/api/todos"), (&[JSON], &large), (413, "102400 bytes")),
        case("original, plain text", ("POST", "/api/todos"), (plain, "x"), (415, "urlencoded")),
        case("original, an object", ("POST", "/api/todos"), (&[JSON], r#"{"text":{"o":1}}"#), (422, "\"field\":\"text\"")),
        case("original, a long text", ("POST", "/api/todos"), (&[JSON], &long_text), (422, "1000 characters")),
        case("original, an object by form", ("POST", "/api/todos"), (&[FORM], "text[$ne]="), (422, "\"field\":\"text\"")),
        case("original removes", ("DELETE", "/api/todos/{id}"), none, (200, "[]")),
        case("original removes twice", ("DELETE", "/api/todos/65f000000000000000000001"), none, (200, "there")),
        case("original removes no id", ("DELETE", "/api/todos/xyz"), none, (400, "\"field\":\"id\"")),
        case("original overridden", ("POST", "/api/todos/{id}"), (OVERRIDE, ""), (200, "[]")),
        case("original overridden, no id", ("POST", "/api/todos/xyz"), (OVERRIDE, ""), (400, "\"field\":\"id\"")),
        case("original not overridden", ("POST", "/api/todos/{id}"), none, (400, "X-HTTP-Method-Override")),
        case("alive", ("GET", "/livez"), none, (200, "ami-1 1.2.3")),
        case("ready", ("GET", "/readyz"), none, (200, "\"status\":\"ok\"")),
    ];
    for (method, path, body) in [
        ("POST", "/api/todos/{id}", ""),
        ("GET", "/todos", ""),
        ("POST", "/todos", r#"{"title":"a"}"#),
        ("DELETE", "/todos", ""),
        ("GET", "/todos/{id}", ""),
        ("PATCH", "/todos/{id}", r#"{"completed":true}"#),
        ("DELETE", "/todos/{id}", ""),
        ("GET", "/api/todos", ""),
        ("POST", "/api/todos", r#"{"text":"a"}"#),
        ("DELETE", "/api/todos/{id}", ""),
        ("GET", "/readyz", ""),
    ] {
        cases.push(Case {
            dead: true,
            ..case("the database is away", (method, path), (AWAY, body), (503, "out of reach"))
        });
    }
    cases
}

fn template(path: &str) -> &'static str {
    let path = path.split('?').next().unwrap_or_default();
    match path.split('/').collect::<Vec<_>>()[..] {
        ["", "todos"] => "/todos",
        ["", "todos", _] => "/todos/{id}",
        ["", "api", "todos"] => "/api/todos",
        ["", "api", "todos", _] => "/api/todos/{id}",
        ["", "livez"] => "/livez",
        ["", "readyz"] => "/readyz",
        _ => panic!("no template for {path}"),
    }
}

#[tokio::test]
async fn every_route_answers_every_request_as_documented() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        let server = Server::new();
        let there = server.add("there").await;
        let path = case
            .path
            .replace("{id}", there["id"].as_str().expect("an id"));
        server.play_dead(case.dead);
        let mut response = server
            .send(case.method, &path, case.headers, &case.body)
            .await;
        let what = format!("{}: {} {}", case.name, case.method, case.path);
        let status = response.status_code.expect("a status");
        let text = response.take_string().await.expect("text");
        assert_eq!(status.as_u16(), case.status, "{what}: {text}");
        assert!(text.contains(case.says), "{what}: {text}");
        if status.is_client_error() || (status.is_server_error() && case.path != "/readyz") {
            assert_eq!(
                header(&response, "content-type"),
                "application/problem+json",
                "{what}"
            );
            let problem: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(problem["status"], case.status, "{what}");
            assert_eq!(
                problem["request_id"],
                header(&response, "x-request-id"),
                "{what}"
            );
        }
        if case.status == 503 && case.path != "/readyz" {
            assert_eq!(header(&response, "retry-after"), "1", "{what}");
        }
        assert_eq!(header(&response, "x-todo-release"), "ami-1 1.2.3", "{what}");
        assert_eq!(
            header(&response, "x-content-type-options"),
            "nosniff",
            "{what}"
        );
        if case.method != "HEAD" {
            let operation = format!("{} {}", case.method.to_lowercase(), template(case.path));
            seen.insert(format!("{operation} {}", case.status));
        }
    }
    assert_eq!(seen, documented());
}

/// Every operation and status of the OpenAPI document.
fn documented() -> BTreeSet<String> {
    let server = Server::new();
    let document = document(&server.app);
    assert_eq!(document["openapi"].as_str().map(|v| &v[..3]), Some("3.1"));
    let limit = &document["paths"]["/todos"]["get"]["parameters"][0];
    assert_eq!(
        (&limit["name"], &limit["schema"]["maximum"]),
        (&"limit".into(), &3.into())
    );
    let original = &document["components"]["schemas"]["OriginalNewTodo"];
    assert!(original["properties"]["text"]["type"].is_array());
    let mut all = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            for status in operation["responses"]
                .as_object()
                .expect("responses")
                .keys()
            {
                all.insert(format!("{method} {path} {status}"));
            }
        }
    }
    all
}

#[tokio::test]
async fn an_unknown_method_is_told_which_ones_there_are() {
    let server = Server::with(|settings| settings.allow_delete_all = false);
    for (method, path, allowed) in [
        ("PUT", "/todos", "GET, HEAD, POST"),
        ("DELETE", "/todos", "GET, HEAD, POST"),
        ("POST", "/todos/1", "DELETE, GET, HEAD, PATCH"),
        ("PUT", "/api/todos", "GET, HEAD, POST"),
        ("GET", "/api/todos/1", "DELETE, POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("POST", "/readyz", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/app.js", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
    ] {
        let mut response = server.send(method, path, &[], "").await;
        assert_eq!(
            response.status_code,
            Some(StatusCode::METHOD_NOT_ALLOWED),
            "{method} {path}"
        );
        let mut allow: Vec<_> = header(&response, "allow").split(", ").collect();
        allow.sort_unstable();
        assert_eq!(allow.join(", "), allowed, "{method} {path}");
        let problem: Value = response.take_json().await.expect("JSON");
        assert_eq!(problem["status"], 405);
    }
}

#[tokio::test]
async fn an_unknown_address_is_a_problem_too() {
    let server = Server::new();
    for path in [
        "/nowhere",
        "/todos/1/2",
        "/api",
        "/metrics",
        "/..%2f..%2fetc/passwd",
    ] {
        let response = server.send("GET", path, &[], "").await;
        assert_eq!(response.status_code, Some(StatusCode::NOT_FOUND), "{path}");
        assert_eq!(
            header(&response, "content-type"),
            "application/problem+json"
        );
    }
}

#[tokio::test]
async fn pages_follow_each_other_by_the_link_header() {
    let server = Server::new();
    for title in ["a", "b", "c", "d", "e"] {
        server.add(title).await;
    }
    let mut path = "/todos?limit=2".to_owned();
    let mut titles = Vec::new();
    loop {
        let mut response = server.send("GET", &path, &[], "").await;
        let link = header(&response, "link").to_owned();
        let todos: Vec<Value> = response.take_json().await.expect("a list");
        titles.extend(todos.iter().map(|todo| todo["title"].to_string()));
        let Some(next) = link.strip_prefix("<http://todo.test") else {
            assert_eq!(link, "");
            break;
        };
        assert!(next.ends_with(">; rel=\"next\""), "{link}");
        path = next.split('>').next().unwrap_or_default().to_owned();
    }
    assert_eq!(titles, ["\"a\"", "\"b\"", "\"c\"", "\"d\"", "\"e\""]);
}

#[tokio::test]
async fn the_originals_list_is_cut_at_the_cap_and_says_so() {
    let server = Server::new();
    for title in ["a", "b", "c"] {
        server.add(title).await;
    }
    let response = server.send("GET", "/api/todos", &[], "").await;
    assert_eq!(header(&response, "x-todo-truncated"), "");
    server.add("d").await;
    let mut response = server.send("GET", "/api/todos", &[], "").await;
    assert_eq!(header(&response, "x-todo-truncated"), "3");
    assert!(header(&response, "link").starts_with("</todos?limit=3&after="));
    let todos: Vec<Value> = response.take_json().await.expect("a list");
    assert_eq!(todos.len(), 3);
}

#[tokio::test]
async fn a_post_with_a_key_can_be_repeated() {
    let server = Server::new();
    let mut ids = BTreeSet::new();
    for title in ["a", "a", "something else"] {
        let body = serde_json::json!({ "title": title }).to_string();
        let headers = [JSON, ("idempotency-key", "9f3c")];
        let mut response = server.send("POST", "/todos", &headers, &body).await;
        assert_eq!(response.status_code, Some(StatusCode::CREATED));
        let todo: Value = response.take_json().await.expect("a todo");
        assert_eq!(todo["title"], "a");
        ids.insert(todo["id"].to_string());
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(server.titles().await, ["a"]);
}

#[tokio::test]
async fn a_todo_goes_through_its_whole_life() {
    let server = Server::new();
    let body = r#"{"title":"milk","order":523,"completed":false}"#;
    let mut response = server.send("POST", "/todos", &[JSON], body).await;
    let url = header(&response, "location").to_owned();
    let todo: Value = response.take_json().await.expect("a todo");
    assert_eq!(todo["url"], url.as_str());
    assert_eq!(
        (&todo["order"], &todo["completed"]),
        (&Value::from(523), &Value::from(false))
    );
    let path = url
        .strip_prefix("http://todo.test")
        .expect("an absolute address");
    for (change, field, value) in [
        (r#"{"title":"bread"}"#, "title", Value::from("bread")),
        (r#"{"completed":true}"#, "completed", Value::from(true)),
        (r#"{"order":95}"#, "order", Value::from(95)),
        (r#"{"order":null}"#, "order", Value::Null),
    ] {
        let mut response = server.send("PATCH", path, &[JSON], change).await;
        let changed: Value = response.take_json().await.expect("a todo");
        assert_eq!(changed[field], value);
        let mut response = server.send("GET", path, &[], "").await;
        let shown: Value = response.take_json().await.expect("a todo");
        assert_eq!(shown, changed);
    }
    let response = server.send("DELETE", path, &[], "").await;
    assert_eq!(response.status_code, Some(StatusCode::NO_CONTENT));
    assert_eq!(server.titles().await, [""; 0]);
}

#[tokio::test]
async fn an_unchanged_list_is_not_sent_again() {
    let server = Server::new();
    server.add("a").await;
    let response = server.send("GET", "/todos", &[], "").await;
    let tag = header(&response, "etag").to_owned();
    let known = [("if-none-match", tag.as_str())];
    let mut response = server.send("GET", "/todos", &known, "").await;
    assert_eq!(response.status_code, Some(StatusCode::NOT_MODIFIED));
    assert_eq!(response.take_string().await.expect("text"), "");
    server.add("b").await;
    let response = server.send("GET", "/todos", &known, "").await;
    assert_eq!(response.status_code, Some(StatusCode::OK));
}

#[tokio::test]
async fn browsers_of_allowed_origins_may_call_and_read_errors_too() {
    let server = Server::with(|settings| {
        settings.cors_origins = vec![HeaderValue::from_static("https://app.example")];
    });
    let asked = ("access-control-request-method", "PATCH");
    let preflight = [("origin", "https://app.example"), asked];
    let response = server.send("OPTIONS", "/todos/1", &preflight, "").await;
    assert_eq!(response.status_code, Some(StatusCode::NO_CONTENT));
    assert_eq!(
        header(&response, "access-control-allow-origin"),
        "https://app.example"
    );
    assert!(header(&response, "access-control-allow-methods").contains("PATCH"));
    let preflight = [("origin", "https://evil.example"), asked];
    let response = server.send("OPTIONS", "/todos/1", &preflight, "").await;
    assert_eq!(header(&response, "access-control-allow-origin"), "");
    let origin = [("origin", "https://app.example"), JSON];
    let response = server.send("POST", "/todos", &origin, "{bad").await;
    assert_eq!(response.status_code, Some(StatusCode::BAD_REQUEST));
    assert_eq!(
        header(&response, "access-control-allow-origin"),
        "https://app.example"
    );
}

#[tokio::test]
async fn when_too_much_is_going_on_requests_are_refused_but_probes_answer() {
    let server = Server::with(|settings| settings.max_concurrent = 0);
    let mut response = server.send("GET", "/todos", &[], "").await;
    assert_eq!(response.status_code, Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(header(&response, "retry-after"), "1");
    let problem: Value = response.take_json().await.expect("JSON");
    assert!(
        problem["detail"]
            .as_str()
            .expect("text")
            .contains("Too many requests")
    );
    for probe in ["/livez", "/readyz"] {
        let response = server.send("GET", probe, &[], "").await;
        assert_eq!(response.status_code, Some(StatusCode::OK));
    }
}

#[tokio::test]
async fn a_draining_server_says_so_and_ends_its_connections() {
    let server = Server::new();
    server.app.lifecycle.set_draining();
    let mut response = server.send("GET", "/readyz", &[], "").await;
    assert_eq!(response.status_code, Some(StatusCode::SERVICE_UNAVAILABLE));
    let health: Value = response.take_json().await.expect("JSON");
    assert_eq!(health["status"], "draining");
    let response = server.send("GET", "/todos", &[], "").await;
    assert_eq!(response.status_code, Some(StatusCode::OK));
    assert_eq!(header(&response, "connection"), "close");
    let response = server.send("GET", "/livez", &[], "").await;
    assert_eq!(response.status_code, Some(StatusCode::OK));
}

#[tokio::test]
async fn the_page_is_whole_and_names_its_release() {
    let server = Server::new();
    let mut response = server.send("GET", "/", &[], "").await;
    let html = response.take_string().await.expect("text");
    assert!(html.contains("ami-1") && html.contains("1.2.3") && !html.contains("{{"));
    let policy = header(&response, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    for address in ["src=\"", "href=\""] {
        for link in html.split(address).skip(1) {
            let link = link.split('"').next().unwrap_or_default();
            if link.starts_with("#/") {
                continue;
            }
            let response = TestClient::get(format!("http://127.0.0.1{link}"))
                .send(&server.service)
                .await;
            assert_eq!(response.status_code, Some(StatusCode::OK), "{link}");
            let tag = header(&response, "etag").to_owned();
            let known = [("if-none-match", tag.as_str())];
            let response = server.send("GET", link, &known, "").await;
            assert_eq!(
                response.status_code,
                Some(StatusCode::NOT_MODIFIED),
                "{link}"
            );
        }
    }
}
