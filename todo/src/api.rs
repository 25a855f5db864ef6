//! The routes that need the database, with the limits around them. Probes stand
//! outside, so that they answer when everything else is busy.

use salvo::http::StatusError;
use salvo::prelude::*;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::error::Error;
use crate::{compat, routes};

/// The routes that the OpenAPI document describes. Their HEAD twins are left
/// out there, since OpenAPI implies nothing about them and repeats everything.
pub fn api(app: &App, heads: bool) -> Router {
    Router::new()
        .hoop(Gate(Semaphore::new(app.settings.max_concurrent)))
        .hoop(Timeout::new(app.settings.request_timeout).error(|| {
            StatusError::service_unavailable().brief("The request took too long and was given up")
        }))
        .push(routes::router(app.settings.allow_delete_all, heads))
        .push(compat::router(heads))
}

/// Refuses requests when too many are in flight: waiting in a queue that grows
/// would help nobody.
#[derive(Debug)]
struct Gate(Semaphore);

#[async_trait]
impl Handler for Gate {
    async fn handle(
        &self,
        request: &mut Request,
        depot: &mut Depot,
        response: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let Ok(_permit) = self.0.try_acquire() else {
            if let Ok(app) = App::of(depot) {
                app.metrics.request_refused();
            }
            ctrl.skip_rest();
            let busy = Error::Unavailable("Too many requests at once; try again soon".into());
            return busy.write(request, depot, response).await;
        };
        ctrl.call_next(request, depot, response).await;
    }
}
