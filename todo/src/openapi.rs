//! The OpenAPI document at `/openapi.json`, put together once at the start
//! from what the routes say of themselves.

use bytes::Bytes;
use salvo::http::header;
use salvo::oapi::Info;
use salvo::prelude::*;

use crate::answer::{Answer, JSON, etag};
use crate::app::{App, api};
use crate::probes;

/// The document for this server's settings.
pub fn document(app: &App) -> OpenApi {
    let info = Info::new("Todo", app.settings.release.version.as_str()).description(
        "A todo list behind a load balancer. `/todos` is the interface for new clients, \
         `/api/todos` the one of the server that this app replaces. \
         Errors are `application/problem+json` and name the field.",
    );
    OpenApi::with_info(info)
        .merge_router(&api(app, false))
        .merge_router(&probes::router(false))
}

/// Serves the document.
pub fn router(app: &App) -> Router {
    let text = document(app).to_json().unwrap_or_default();
    let document = Document {
        etag: etag(text.as_bytes()),
        text: Bytes::from(text),
    };
    let document = std::sync::Arc::new(document);
    Router::with_path("openapi.json")
        .get(Served(document.clone()))
        .head(Served(document))
}

struct Document {
    text: Bytes,
    etag: String,
}

struct Served(std::sync::Arc<Document>);

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
