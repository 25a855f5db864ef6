//! The OpenAPI document at `/openapi.json`, put together once at the start
//! from what the routes say of themselves.

use std::sync::Arc;

use bytes::Bytes;
use salvo::http::header;
use salvo::oapi::Info;
use salvo::prelude::*;
use serde_json::{Value, json};

use crate::answer::{Answer, JSON, etag, to_json};
use crate::api::api;
use crate::app::App;
use crate::probes;

/// The document for this server's settings.
pub fn document(app: &App) -> Value {
    let info = Info::new("Todo", app.settings.release.version.as_str()).description(
        "A todo list behind a load balancer. `/todos` is the interface for new clients, \
         `/api/todos` the one of the server that this app replaces. \
         Errors are `application/problem+json` and name the field.",
    );
    let document = OpenApi::with_info(info)
        .merge_router(&api(app, false))
        .merge_router(&probes::router(false));
    let mut document = serde_json::to_value(document).unwrap_or_default();
    complete(&mut document, app.settings.list_cap);
    document
}

/// Says what the routes' attributes cannot: the cap is known only now, and the
/// original reads several types where an attribute describes one.
fn complete(document: &mut Value, list_cap: usize) {
    let limit = "/paths/~1todos/get/parameters/0/schema/maximum";
    if let Some(maximum) = document.pointer_mut(limit) {
        *maximum = list_cap.into();
    }
    let text = "/components/schemas/OriginalNewTodo/properties/text/type";
    if let Some(text) = document.pointer_mut(text) {
        *text = json!(["string", "number", "boolean", "null"]);
    }
    if let Some(content) = document.pointer_mut("/paths/~1api~1todos/post/requestBody/content") {
        let schema = json!({ "schema": { "$ref": "#/components/schemas/OriginalNewTodo" } });
        *content = json!({
            "application/json": schema,
            "application/x-www-form-urlencoded": schema,
        });
    }
}

/// Serves the document.
pub fn router(app: &App) -> Router {
    let text = to_json(&document(app));
    let document = Arc::new(Document {
        etag: etag(&text),
        text,
    });
    Router::with_path("openapi.json")
        .get(Served(document.clone()))
        .head(Served(document))
}

struct Document {
    text: Bytes,
    etag: String,
}

struct Served(Arc<Document>);

#[async_trait]
impl Handler for Served {
    async fn handle(
        &self,
        request: &mut Request,
        depot: &mut Depot,
        response: &mut Response,
        _ctrl: &mut FlowCtrl,
    ) {
        let answer = Answer::bytes(JSON, self.0.text.clone())
            .header(header::ETAG, &self.0.etag)
            .header(header::CACHE_CONTROL, "no-cache");
        answer.write(request, depot, response).await;
    }
}
