//! What load balancers and supervisors ask: is the process alive, and should
//! it get requests?
//!
//! `/livez` touches nothing, so that an outage of the database never becomes a
//! restart of every machine. `/readyz` asks the database with a limit of its
//! own. When all machines turn red at once because of the database, an AWS
//! load balancer sends requests to all of them anyway, and they answer 503 in
//! bounded time.

use std::time::Instant;

use salvo::http::{StatusCode, header};
use salvo::prelude::*;
use serde::Serialize;

use crate::answer::Answer;
use crate::app::App;
use crate::error::Error;

/// What a probe answers.
#[derive(Debug, Serialize, ToSchema)]
#[salvo(schema(name = "Health"))]
struct Health {
    /// `ok`, `starting`, `unavailable` or `draining`.
    status: &'static str,
    /// What is wrong, when something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[salvo(schema(required = false))]
    reason: Option<String>,
    /// How long the database took to answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[salvo(schema(required = false))]
    database_ms: Option<f64>,
    /// The image and the version of this server.
    release: String,
}

/// The two probes; `heads` adds HEAD beside every GET.
pub fn router(heads: bool) -> Router {
    let mut live = Router::with_path("livez").get(livez);
    let mut ready = Router::with_path("readyz").get(readyz);
    if heads {
        live = live.head(livez);
        ready = ready.head(readyz);
    }
    Router::new().push(live).push(ready)
}

/// Tells that the process is alive.
#[endpoint(
    operation_id = "livez",
    responses((status_code = 200, description = "It is", body = Health, content_type = "application/json"))
)]
async fn livez(depot: &mut Depot) -> Result<Answer, Error> {
    let app = App::of(depot)?;
    Ok(answer(app, StatusCode::OK, "ok", None, None))
}

/// Tells whether this server should get requests.
#[endpoint(
    operation_id = "readyz",
    responses(
        (status_code = 200, description = "It should", body = Health, content_type = "application/json"),
        (status_code = 503, description = "It should not, and why", body = Health, content_type = "application/json"),
    )
)]
async fn readyz(depot: &mut Depot) -> Result<Answer, Error> {
    let app = App::of(depot)?;
    let refuse = |status, reason: String| {
        let reason = Some(reason);
        Ok(answer(
            app,
            StatusCode::SERVICE_UNAVAILABLE,
            status,
            reason,
            None,
        ))
    };
    if app.lifecycle.is_draining() {
        return refuse("draining", "The server is about to stop".into());
    }
    let start = Instant::now();
    if let Err(error) = app.store.ping().await {
        let reason = match error {
            crate::store::StoreError::Unavailable(failure) => failure.to_string(),
            _ => "the database gave an odd answer".into(),
        };
        return refuse("unavailable", format!("The list is out of reach: {reason}"));
    }
    if !app.lifecycle.is_prepared() {
        return refuse("starting", "The indexes are not there yet".into());
    }
    let took = start.elapsed().as_secs_f64() * 1_000.0;
    Ok(answer(app, StatusCode::OK, "ok", None, Some(took)))
}

fn answer(
    app: &App,
    code: StatusCode,
    status: &'static str,
    reason: Option<String>,
    database_ms: Option<f64>,
) -> Answer {
    let health = Health {
        status,
        reason,
        database_ms,
        release: app.settings.release.to_string(),
    };
    Answer::json(&health)
        .status(code)
        .header(header::CACHE_CONTROL, "no-store")
}
