//! The whole application: its router and the layers around it.
//!
//! [`service`] is what both the server and the tests in process use. The order
//! of the layers matters: observing is outermost, so that every answer has an
//! id and is counted; CORS stands outside the panic handler, so that browsers
//! can read a 500 as well; the limits are only around routes that need the
//! database ([`api`]).

use std::sync::Arc;
use std::time::Duration;

use salvo::affix_state;
use salvo::catcher::Catcher;
use salvo::cors::{Any, Cors};
use salvo::http::Method;
use salvo::http::header::{self, HeaderName, HeaderValue};
use salvo::prelude::*;

use crate::api::api;
use crate::app::App;
use crate::error::Catch;
use crate::observe::{Observe, RELEASE};
use crate::request_id::REQUEST_ID;
use crate::{compat, openapi, page, probes};

/// Every route, without the layers around all of them.
pub fn router(app: &Arc<App>) -> Router {
    let heads = true;
    Router::new()
        .hoop(affix_state::inject(app.clone()))
        .push(page::router(&app.settings.release))
        .push(probes::router(heads))
        .push(openapi::router(app))
        .push(api(app, heads))
}

/// The whole application with its layers.
pub fn service(app: Arc<App>) -> Service {
    let router = router(&app);
    Service::new(router)
        .catcher(Catcher::new(Catch))
        .hoop(Observe::new(app.clone()))
        .hoop(cors(&app.settings.cors_origins))
        .hoop(CatchPanic::new())
}

fn cors(origins: &[HeaderValue]) -> impl Handler {
    let cors = Cors::new()
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("x-http-method-override"),
            REQUEST_ID,
        ])
        .expose_headers([
            header::ALLOW,
            header::ETAG,
            header::LINK,
            header::LOCATION,
            header::RETRY_AFTER,
            compat::TRUNCATED,
            RELEASE,
            REQUEST_ID,
        ])
        .max_age(Duration::from_secs(3_600));
    if origins.is_empty() {
        cors.allow_origin(Any).into_handler()
    } else {
        cors.allow_origin(origins.to_vec()).into_handler()
    }
}
