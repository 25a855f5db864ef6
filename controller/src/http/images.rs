//! `/api/v1/images`: what the last run of clean-up says of every image.

use salvo::prelude::*;

use crate::cleanup::{Handle, not_configured};

pub(super) struct Images(pub(super) Handle);

#[handler]
impl Images {
    async fn handle(&self, res: &mut Response) {
        if !self.0.is_on() {
            res.status_code(StatusCode::NOT_FOUND);
            res.render(Json(serde_json::json!({ "error": not_configured() })));
            return;
        }
        match self.0.report() {
            Some(report) => res.render(Json(report)),
            None => {
                res.status_code(StatusCode::SERVICE_UNAVAILABLE);
                res.render(Json(serde_json::json!({
                    "error": "the first run of clean-up has not ended yet"
                })));
            }
        }
    }
}
