//! The interface of the Node.js server that this app replaces, kept so that
//! its clients go on working: `GET`, `POST` and `DELETE` under `/api/todos`,
//! each answering the whole list.
//!
//! Kept on purpose: 200 where 201 would be usual, fields that are not known
//! are dropped, text is cast, deleting twice is fine, and a POST with
//! `X-HTTP-Method-Override` deletes. Not kept: the two requests that killed
//! the process, and a list without an end.

use mongodb::bson::oid::ObjectId;
use salvo::http::header::{self, HeaderName};
use salvo::prelude::*;
use serde::Serialize;

use crate::answer::{Answer, JSON, to_json};
use crate::app::App;
use crate::error::{Error, Problem};
use crate::routes::{is_json, next, read_body, strict_id};
use crate::store::Insert;
use crate::todo::{FieldError, ListQuery, NewTodo, Todo};

/// The header of a list that was cut; its value is the cap.
pub const TRUNCATED: HeaderName = HeaderName::from_static("x-todo-truncated");

const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// A todo as the original showed it.
#[derive(Debug, Serialize, ToSchema)]
#[salvo(schema(name = "OriginalTodo"))]
struct OriginalTodo {
    /// The text.
    text: String,
    /// The identifier: 24 hexadecimal digits.
    #[serde(rename = "_id")]
    id: String,
    /// Always 0.
    #[serde(rename = "__v")]
    version: u32,
}

/// What the original's POST reads.
#[derive(Debug, ToSchema)]
#[salvo(schema(name = "OriginalNewTodo"))]
#[expect(
    dead_code,
    reason = "describes what `NewTodo::from_original_json` reads"
)]
struct OriginalNewTodo {
    /// The text.
    #[salvo(schema(required = false, max_length = 1000))]
    text: String,
}

/// The routes; `heads` adds HEAD beside every GET.
pub fn router(heads: bool) -> Router {
    let mut todos = Router::with_path("api/todos").get(list).post(create);
    if heads {
        todos = todos.head(list);
    }
    todos.push(Router::with_path("{id}").delete(remove).post(overridden))
}

/// Lists all todos, in the original's form.
///
/// A list past the server's cap is cut: the header `X-Todo-Truncated` tells
/// the cap, and `Link` with `rel="next"` where the rest can be read.
#[endpoint(
    operation_id = "listOriginalTodos",
    responses(
        (status_code = 200, description = "The todos", body = Vec<OriginalTodo>, content_type = "application/json",
            headers(("X-Todo-Truncated" = u32, description = "The cap, if the list was cut"),
                ("Link" = String, description = "Where the list continues, if it was cut"))),
        (status_code = 503, description = "The database is out of reach", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(depot: &mut Depot) -> Result<Answer, Error> {
    whole_list(App::of(depot)?).await
}

/// Adds a todo and answers the whole list.
#[endpoint(
    operation_id = "createOriginalTodo",
    request_body(content = Option<OriginalNewTodo>, content_type = "application/json"),
    responses(
        (status_code = 200, description = "The todos", body = Vec<OriginalTodo>, content_type = "application/json"),
        (status_code = 400, description = "The body cannot be read", body = Problem, content_type = "application/problem+json"),
        (status_code = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status_code = 415, description = "The body is neither JSON nor a form", body = Problem, content_type = "application/problem+json"),
        (status_code = 422, description = "`text` is not text", body = Problem, content_type = "application/problem+json"),
        (status_code = 503, description = "The database is out of reach", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn create(request: &mut Request, depot: &mut Depot) -> Result<Answer, Error> {
    let todo = new_todo(request).await?;
    let app = App::of(depot)?;
    let insert = Insert {
        id: ObjectId::new(),
        todo,
        key: None,
    };
    app.store.insert(insert).await?;
    whole_list(app).await
}

/// Removes a todo and answers the whole list.
///
/// A todo that is not there is not an error: it is gone, as wanted.
#[endpoint(
    operation_id = "removeOriginalTodo",
    parameters(("id" = String, Path, description = "The todo's id", pattern = "^[0-9a-fA-F]{24}$")),
    responses(
        (status_code = 200, description = "The todos", body = Vec<OriginalTodo>, content_type = "application/json"),
        (status_code = 400, description = "The id is none", body = Problem, content_type = "application/problem+json"),
        (status_code = 503, description = "The database is out of reach", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn remove(request: &mut Request, depot: &mut Depot) -> Result<Answer, Error> {
    remove_and_list(request, depot).await
}

/// Removes a todo, for clients that cannot send a DELETE.
#[endpoint(
    operation_id = "overrideOriginalTodo",
    parameters(
        ("id" = String, Path, description = "The todo's id", pattern = "^[0-9a-fA-F]{24}$"),
        ("X-HTTP-Method-Override" = String, Header, description = "Must be `DELETE`", pattern = "^DELETE$"),
    ),
    responses(
        (status_code = 200, description = "The todos", body = Vec<OriginalTodo>, content_type = "application/json"),
        (status_code = 400, description = "The id or the header is none", body = Problem, content_type = "application/problem+json"),
        (status_code = 503, description = "The database is out of reach", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn overridden(request: &mut Request, depot: &mut Depot) -> Result<Answer, Error> {
    let method = request.headers().get(METHOD_OVERRIDE);
    if !method.is_some_and(|method| method.as_bytes() == b"DELETE") {
        return Err(Error::parameters(vec![FieldError {
            field: "X-HTTP-Method-Override",
            detail: "must be `DELETE` for a POST to a todo".into(),
        }]));
    }
    remove_and_list(request, depot).await
}

async fn remove_and_list(request: &Request, depot: &Depot) -> Result<Answer, Error> {
    let id = strict_id(request)?;
    let app = App::of(depot)?;
    app.store.delete(id).await?;
    whole_list(app).await
}

async fn whole_list(app: &App) -> Result<Answer, Error> {
    let query = ListQuery::first(app.settings.list_cap);
    let page = app.store.list(query.clone()).await?;
    let body = page.original.get_or_init(|| {
        let todos: Vec<_> = page.todos.iter().map(OriginalTodo::new).collect();
        to_json(&todos)
    });
    let mut answer = Answer::bytes(JSON, body.clone()).header(header::CACHE_CONTROL, "no-cache");
    if let Some(next) = next(&page, &query) {
        answer = answer
            .header(TRUNCATED, &query.limit.to_string())
            .header(header::LINK, &format!("<{next}>; rel=\"next\""));
    }
    Ok(answer)
}

async fn new_todo(request: &mut Request) -> Result<NewTodo, Error> {
    match request.content_type() {
        Some(kind) if is_json(&kind) => {
            let body = read_body(request).await?;
            Ok(NewTodo::from_original_json(&body)?)
        }
        Some(kind) if kind.essence_str() == "application/x-www-form-urlencoded" => {
            let body = read_body(request).await?;
            Ok(NewTodo::from_original_form(&body)?)
        }
        // The original took a POST of nothing for a todo without text.
        None if read_body(request).await?.is_empty() => Ok(NewTodo::from_original_json(b"")?),
        _ => Err(Error::MediaType {
            accepted: "`application/json` or `application/x-www-form-urlencoded`",
        }),
    }
}

impl OriginalTodo {
    fn new(todo: &Todo) -> Self {
        Self {
            text: todo.title.clone(),
            id: todo.id.to_hex(),
            version: 0,
        }
    }
}
