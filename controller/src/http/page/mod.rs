//! The page: what runs where, and why.
//!
//! It is rendered here and nowhere else, so it reads the same without
//! JavaScript; with it, the browser swaps in the pieces that changed, as
//! `live` sends them. Everything comes from the [`Status`](crate::status::Status)
//! snapshot, every sentence is the engine's, and the files are part of the
//! program: nothing is fetched from elsewhere, which the policy enforces.

mod detail;
mod events;
mod fleet;
mod html;
mod live;
mod roll;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use salvo::http::HeaderValue;
use salvo::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use salvo::prelude::*;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::status::Status;
use html::{Html, html};
use live::Board;
pub(super) use live::PACE;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("app.js");
const ICON: &str = include_str!("icon.svg");

/// Its own style, script, pictures and events; forms that lead back to it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The paths of the page, and the task that feeds its watchers until `stop`.
pub(super) fn router(
    status: watch::Receiver<Arc<Status>>,
    now: fn() -> Timestamp,
    pace: Duration,
    stop: CancellationToken,
) -> Router {
    let page = Page {
        board: Arc::new(Board::start(status, now, pace, stop)),
        now,
    };
    Router::new()
        .get(Index(page.clone()))
        .push(Router::with_path("apps/{*+app}").get(OneApp(page.clone())))
        .push(Router::with_path("events").get(events::Events(Arc::clone(&page.board))))
        .push(file("style.css", "text/css; charset=utf-8", STYLE))
        .push(file("app.js", "text/javascript; charset=utf-8", SCRIPT))
        .push(file("icon.svg", "image/svg+xml", ICON))
}

#[derive(Clone)]
struct Page {
    board: Arc<Board>,
    now: fn() -> Timestamp,
}

struct Index(Page);

#[handler]
impl Index {
    async fn handle(&self, req: &mut Request, res: &mut Response) {
        let filter = fleet::Filter::new(req.query("q"), req.query::<String>("show").as_deref());
        let shown = self.0.board.shown();
        let version = self.0.board.version(&shown);
        send(
            res,
            fleet::page(&shown.status, &filter, &version, (self.0.now)()),
        );
    }
}

struct OneApp(Page);

#[handler]
impl OneApp {
    async fn handle(&self, req: &mut Request, res: &mut Response) {
        let name = req.param::<String>("app").unwrap_or_default();
        let shown = self.0.board.shown();
        let now = (self.0.now)();
        if let Some(app) = shown.app(&name) {
            let version = self.0.board.version(&shown);
            send(res, detail::page(&shown.status, app, &version, now));
        } else {
            res.status_code(StatusCode::NOT_FOUND);
            send(res, detail::missing(&name, now));
        }
    }
}

fn send(res: &mut Response, page: Html) {
    res.headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    res.render(Text::Html(page.into_string()));
}

/// What every page has around its middle. Without `events` it never changes.
fn frame(title: &str, events: &str, version: &str, main: &Html, now: Timestamp) -> Html {
    let mut out = Html::new();
    html!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title>\
         <link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"/style.css\"><script src=\"/app.js\" defer></script></head>\
         <body data-events=\"{}\" data-version=\"{}\" data-now=\"{}\">\
         <header class=\"top\"><a class=\"brand\" href=\"/\"><img src=\"/icon.svg\" alt=\"\" width=\"28\" height=\"28\">amid</a>\
         <span id=\"link\" role=\"status\"></span></header><main>{}</main>\
         <footer class=\"foot\"><p>amid {} · <a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/apps\">JSON</a></p></footer></body></html>\n",
        title,
        events,
        version,
        words::machine(now),
        main,
        env!("CARGO_PKG_VERSION")
    );
    out
}

fn file(path: &str, kind: &'static str, text: &'static str) -> Router {
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    let tag = format!("\"{}\"", digest.get(..16).unwrap_or_default());
    Router::with_path(path).get(File { kind, text, tag })
}

/// A file of the program. Browsers ask each time and mostly get told that
/// theirs is good, so that a new version is never mixed with an old file.
struct File {
    kind: &'static str,
    text: &'static str,
    tag: String,
}

#[handler]
impl File {
    async fn handle(&self, req: &mut Request, res: &mut Response) {
        let known = req
            .headers()
            .get(IF_NONE_MATCH)
            .is_some_and(|known| known.as_bytes() == self.tag.as_bytes());
        let headers = res.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            headers.insert(ETAG, tag);
        }
        if known {
            res.status_code(StatusCode::NOT_MODIFIED);
            return;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        res.body(self.text);
    }
}
