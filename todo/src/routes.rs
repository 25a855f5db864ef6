//! The resource interface: `/todos` and `/todos/{id}`, which meets the public
//! Todo-Backend contract.
//!
//! Every handler reads what it needs, asks the store and returns an answer or
//! an error; how both look is not decided here. What a route can answer stands
//! in its attribute and becomes the OpenAPI document.

use bytes::Bytes;
use mongodb::bson::oid::ObjectId;
use salvo::http::header::{self, HeaderName};
use salvo::http::{Mime, StatusCode};
use salvo::prelude::*;
use serde::Serialize;

use crate::answer::{Answer, JSON, etag, to_json};
use crate::app::{App, BODY_LIMIT};
use crate::error::{Error, Problem};
use crate::proxy::Peer;
use crate::store::{Insert, Page, Rendered};
use crate::todo::{
    Change, FieldError, ID_RULE, KEY_RULE, ListQuery, NewTodo, Todo, is_key, parse_id,
};

/// The header by which a client may repeat a POST safely.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A todo as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[salvo(schema(name = "Todo"))]
struct TodoBody {
    /// The identifier: 24 hexadecimal digits.
    id: String,
    /// The text.
    title: String,
    /// Whether it is done.
    completed: bool,
    /// A position that clients may keep, or null.
    #[salvo(schema(required = true, minimum = -9007199254740991, maximum = 9007199254740991))]
    order: Option<i64>,
    /// Where this todo can be read, changed and removed.
    url: String,
}

/// What `POST /todos` reads.
#[derive(Debug, ToSchema)]
#[salvo(schema(name = "NewTodo"))]
#[expect(dead_code, reason = "describes what `NewTodo::from_json` reads")]
struct NewTodoBody {
    /// The text: not blank.
    #[salvo(schema(min_length = 1, max_length = 1000, pattern = "[^ \\t\\r\\n]"))]
    title: String,
    /// Whether it is done already.
    #[salvo(schema(required = false, nullable = false, default = false))]
    completed: bool,
    /// A position that clients may keep.
    #[salvo(schema(required = false, minimum = -9007199254740991, maximum = 9007199254740991))]
    order: Option<i64>,
}

/// What `PATCH /todos/{id}` reads: what is left out stays as it is.
#[derive(Debug, ToSchema)]
#[salvo(schema(name = "Change"))]
#[expect(dead_code, reason = "describes what `Change::from_json` reads")]
struct ChangeBody {
    /// A new text: not blank.
    #[salvo(schema(
        required = false,
        min_length = 1,
        max_length = 1000,
        pattern = "[^ \\t\\r\\n]"
    ))]
    title: String,
    /// Done or not.
    #[salvo(schema(required = false))]
    completed: bool,
    /// A new position; null takes it away.
    #[salvo(schema(required = false, minimum = -9007199254740991, maximum = 9007199254740991))]
    order: Option<i64>,
}

/// The routes; `heads` adds HEAD beside every GET.
pub fn router(allow_delete_all: bool, heads: bool) -> Router {
    let mut todos = Router::with_path("todos").get(list).post(create);
    let mut todo = Router::with_path("{id}")
        .get(show)
        .patch(change)
        .delete(remove);
    if allow_delete_all {
        todos = todos.delete(remove_all);
    }
    if heads {
        todos = todos.head(list);
        todo = todo.head(show);
    }
    todos.push(todo)
}

/// Lists the todos, oldest first.
///
/// A list that is longer than `limit` continues at the address in the header
/// `Link` with `rel="next"`. Pages never skip or repeat a todo, whatever is
/// added meanwhile.
#[endpoint(
    operation_id = "listTodos",
    parameters(
        ("limit" = Option<u32>, Query, description = "At most so many todos", minimum = 1, maximum = 1000),
        ("after" = Option<String>, Query, description = "Only todos behind the one with this id", pattern = "^[0-9a-fA-F]{24}$"),
        ("completed" = Option<bool>, Query, description = "Only todos that are done, or that are not"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the list that is known already"),
    ),
    responses(
        (status_code = 200, description = "The todos", body = Vec<TodoBody>, content_type = "application/json",
            headers(("ETag" = String, description = "Changes when the list does"),
                ("Link" = String, description = "Where the list continues, if it does"))),
        (status_code = 304, description = "The list is still the one of `If-None-Match`"),
        (status_code = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status_code = 503, description = "The database is out of reach", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(request: &mut Request, depot: &mut Depot) -> Result<Answer, Error> {
    let app = App::of(depot)?;
    let query = request.uri().query().unwrap_or_default();
    let query = ListQuery::parse(query, app.settings.list_cap).map_err(Error::parameters)?;
    let page = app.store.list(query.clone()).await?;
    let base = base(depot);
    let rendered = render(&page, base);
    let mut answer = Answer::bytes(JSON, rendered.body)
        .header(header::ETAG, &rendered.etag)
        .header(header::CACHE_CONTROL, "no-cache");
    if let Some(next) = next(&page, &query) {
        answer = answer.header(header::LINK, &format!("<{base}{next}>; rel=\"next\""));
    }
    Ok(answer)
}

/// The address behind the last todo of a page, if there is more.
pub fn next(page: &Page, query: &ListQuery) -> Option<String> {
    let last = page.todos.last().filter(|_| page.more)?;
    let mut next = format!("/todos?limit={}&after={}", query.limit, last.id);
    if let Some(completed) = query.completed {
        next.push_str(&format!("&completed={completed}"));
    }
    Some(next)
}

/// Adds a todo.
///
/// With the header `Idempotency-Key` the request can be repeated safely: the
/// todo is stored once, and the answer is always what was stored.
#[endpoint(
    operation_id = "createTodo",
    parameters(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to repeat the request",
        min_length = 1, max_length = 128, pattern = "^[!-~]+$")),
    request_body(content = NewTodoBody, content_type = "application/json"),
    responses(
        (status_code = 201, description = "The todo as it was stored", body = TodoBody, content_type = "application/json",
            headers(("Location" = String, description = "The todo's address"))),
        (status_code = 400, description = "The body is not a JSON object", body = Problem, content_type = "application/problem+json"),
        (status_code = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status_code = 415, description = "The body is not announced as JSON", body = Problem, content_type = "application/problem+json"),
        (status_code = 422, description = "A field is wrong", body = Problem, content_type = "application/problem+json"),
        (status_code = 503, description = "The database is out of reach", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn create(request: &mut Request, depot: &mut Depot) -> Result<Answer, Error> {
    let key = idempotency_key(request)?;
    let body = json_body(request).await?;
    let insert = Insert {
        id: ObjectId::new(),
        todo: NewTodo::from_json(&body)?,
        key,
    };
    let todo = App::of(depot)?.store.insert(insert).await?;
    let body = TodoBody::new(&todo, base(depot));
    Ok(Answer::json(&body)
        .status(StatusCode::CREATED)
        .header(header::LOCATION, &body.url))
}

/// Shows one todo.
#[endpoint(
    operation_id = "showTodo",
    parameters(("id" = String, Path, description = "The todo's id", pattern = "^[0-9a-fA-F]{24}$")),
    responses(
        (status_code = 200, description = "The todo", body = TodoBody, content_type = "application/json"),
        (status_code = 404, description = "There is no such todo", body = Problem, content_type = "application/problem+json"),
        (status_code = 503, description = "The database is out of reach", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(request: &mut Request, depot: &mut Depot) -> Result<Answer, Error> {
    let id = id(request)?;
    let todo = App::of(depot)?.store.get(id).await?;
    one(todo, depot)
}

/// Changes a todo.
#[endpoint(
    operation_id = "changeTodo",
    parameters(("id" = String, Path, description = "The todo's id", pattern = "^[0-9a-fA-F]{24}$")),
    request_body(content = ChangeBody, content_type = "application/json"),
    responses(
        (status_code = 200, description = "What the todo became", body = TodoBody, content_type = "application/json"),
        (status_code = 400, description = "The body is not a JSON object", body = Problem, content_type = "application/problem+json"),
        (status_code = 404, description = "There is no such todo", body = Problem, content_type = "application/problem+json"),
        (status_code = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status_code = 415, description = "The body is not announced as JSON", body = Problem, content_type = "application/problem+json"),
        (status_code = 422, description = "A field is wrong", body = Problem, content_type = "application/problem+json"),
        (status_code = 503, description = "The database is out of reach", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn change(request: &mut Request, depot: &mut Depot) -> Result<Answer, Error> {
    let id = id(request)?;
    let body = json_body(request).await?;
    let wanted = Change::from_json(&body)?;
    let todo = App::of(depot)?.store.update(id, wanted).await?;
    one(todo, depot)
}

/// Removes a todo.
#[endpoint(
    operation_id = "removeTodo",
    parameters(("id" = String, Path, description = "The todo's id", pattern = "^[0-9a-fA-F]{24}$")),
    responses(
        (status_code = 204, description = "The todo is gone"),
        (status_code = 404, description = "There was no such todo", body = Problem, content_type = "application/problem+json"),
        (status_code = 503, description = "The database is out of reach", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn remove(request: &mut Request, depot: &mut Depot) -> Result<Answer, Error> {
    let id = id(request)?;
    if App::of(depot)?.store.delete(id).await? {
        Ok(Answer::no_content())
    } else {
        Err(Error::NotFound)
    }
}

/// Removes every todo.
///
/// Only there when the server was started with `--allow-delete-all`.
#[endpoint(
    operation_id = "removeAllTodos",
    responses(
        (status_code = 204, description = "The list is empty"),
        (status_code = 503, description = "The database is out of reach", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn remove_all(depot: &mut Depot) -> Result<Answer, Error> {
    App::of(depot)?.store.delete_all().await?;
    Ok(Answer::no_content())
}

impl TodoBody {
    fn new(todo: &Todo, base: &str) -> Self {
        let id = todo.id.to_hex();
        Self {
            url: format!("{base}/todos/{id}"),
            id,
            title: todo.title.clone(),
            completed: todo.completed,
            order: todo.order,
        }
    }
}

fn one(todo: Option<Todo>, depot: &Depot) -> Result<Answer, Error> {
    let todo = todo.ok_or(Error::NotFound)?;
    let answer = Answer::json(&TodoBody::new(&todo, base(depot)));
    Ok(answer.header(header::CACHE_CONTROL, "no-cache"))
}

/// The JSON of a page. All who came by the same address share one copy.
fn render(page: &Page, base: &str) -> Rendered {
    let write = || {
        let todos: Vec<_> = page
            .todos
            .iter()
            .map(|todo| TodoBody::new(todo, base))
            .collect();
        let body = to_json(&todos);
        Rendered {
            base: base.to_owned(),
            etag: etag(&body),
            body,
        }
    };
    let shared = page.resource.get_or_init(write);
    if shared.base == base {
        shared.clone()
    } else {
        write()
    }
}

/// Scheme and host by which this client reached us.
fn base(depot: &Depot) -> &str {
    depot
        .get_typed::<Peer>()
        .map_or("http://localhost", |peer| peer.base.as_str())
}

/// The id in the path. One that is none names no todo.
fn id(request: &Request) -> Result<ObjectId, Error> {
    let id = request.params().get("id");
    id.and_then(|id| parse_id(id)).ok_or(Error::NotFound)
}

/// The id in the path, for routes where a malformed one is the client's error.
pub fn strict_id(request: &Request) -> Result<ObjectId, Error> {
    id(request).map_err(|_| {
        Error::parameters(vec![FieldError {
            field: "id",
            detail: ID_RULE.into(),
        }])
    })
}

fn idempotency_key(request: &Request) -> Result<Option<String>, Error> {
    let Some(key) = request.headers().get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match key.to_str() {
        Ok(text) if is_key(key.as_bytes()) => Ok(Some(text.to_owned())),
        _ => Err(Error::parameters(vec![FieldError {
            field: "Idempotency-Key",
            detail: KEY_RULE.into(),
        }])),
    }
}

async fn json_body(request: &mut Request) -> Result<Bytes, Error> {
    match request.content_type() {
        Some(kind) if is_json(&kind) => read_body(request).await,
        _ => Err(Error::MediaType {
            accepted: "`application/json`",
        }),
    }
}

/// Whether a media type is JSON, in its plain or a specific form.
pub fn is_json(kind: &Mime) -> bool {
    kind.type_() == mime::APPLICATION
        && (kind.subtype() == mime::JSON || kind.suffix() == Some(mime::JSON))
}

/// The body, as long as it is not too large.
pub async fn read_body(request: &mut Request) -> Result<Bytes, Error> {
    let body = request.payload_with_max_size(BODY_LIMIT).await;
    body.cloned()
        .map_err(|error| Error::from_body(&error, BODY_LIMIT))
}
