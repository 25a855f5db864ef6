//! What `amid gc` and `amid why` ask.

use super::query::Query;
use super::{Handlers, Refusal, json_text, late, user};
use crate::cleanup::{Order, not_configured};
use amid_core::model::AmiId;
use hyper::StatusCode;

impl Handlers {
    /// `/images`: the last run; `/why?ami=…`: one image of it.
    pub(super) fn images(&self, path: &str, query: &str) -> Result<Vec<u8>, Refusal> {
        let bad = |text| Refusal(StatusCode::BAD_REQUEST, text);
        let known: &[&str] = if path == "/why" { &["ami"] } else { &[] };
        let query = Query::parse(query, known).map_err(bad)?;
        if !self.images.is_on() {
            return Err(Refusal(StatusCode::CONFLICT, not_configured()));
        }
        let Some(run) = self.images.last() else {
            return Err(late(
                "the first run of clean-up has not ended yet: `amid gc --now` waits for the end of one",
            ));
        };
        let report = match path {
            "/why" => {
                let ami = AmiId::parse(query.needed("ami").map_err(bad)?).map_err(bad)?;
                run.why(ami.as_str()).ok_or_else(|| {
                    let text = format!(
                        "{ami} is not among the images of the accounts that are read, as of {:.0}: it is gone, or somebody else's",
                        run.ended
                    );
                    Refusal(StatusCode::NOT_FOUND, text)
                })?
            }
            _ => run.report(),
        };
        json_text(&report)
    }

    /// `/gc`: begin a run, or throw the kill switch or take it back.
    pub(super) async fn clean_up(&self, query: &str, uid: u32) -> Result<String, Refusal> {
        let bad = |text| Refusal(StatusCode::BAD_REQUEST, text);
        let query = Query::parse(query, &["do", "reason"]).map_err(bad)?;
        let user = user::name(uid).await;
        let order = match query.needed("do").map_err(bad)? {
            "look" => Order::Run { apply: false },
            "apply" => Order::Run { apply: true },
            "stop" => Order::Stop {
                reason: query.needed("reason").map_err(bad)?.to_owned(),
                user,
            },
            "start" => Order::Start { user },
            other => {
                let text = format!("`do` is look, apply, stop or start, not `{other}`");
                return Err(bad(text));
            }
        };
        tracing::info!(?order, "asked of clean-up");
        let said = self.images.order(order).await;
        said.map_err(|text| Refusal(StatusCode::CONFLICT, text))
    }
}
