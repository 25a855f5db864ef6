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
mod images;
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

use crate::cleanup::Handle;
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
    cleanup: Handle,
    pace: Duration,
    stop: CancellationToken,
) -> Router {
    let page = Page {
        board: Arc::new(Board::start(status, now, cleanup.clone(), pace, stop)),
        cleanup,
        now,
    };
    Router::new()
        .get(Index(page.clone()))
        .push(Router::with_path("apps/{*+app}").get(OneApp(page.clone())))
        .push(Router::with_path("images").get(Images(page.clone())))
        .push(Router::with_path("events").get(events::Events(Arc::clone(&page.board))))
        .push(file("style.css", "text/css; charset=utf-8", STYLE))
        .push(file("app.js", "text/javascript; charset=utf-8", SCRIPT))
        .push(file("icon.svg", "image/svg+xml", ICON))
}

#[derive(Clone)]
struct Page {
    board: Arc<Board>,
    cleanup: Handle,
    now: fn() -> Timestamp,
}

struct Index(Page);

#[handler]
impl Index {
    async fn handle(&self, req: &mut Request, res: &mut Response) {
        let filter = fleet::Filter::new(req.query("q"), req.query::<String>("show").as_deref());
        let (version, status) = self.0.board.now();
        let outline = Outline {
            title: "amid",
            events: "/events",
            version: &version,
            images: self.0.cleanup.is_on(),
        };
        send(res, fleet::page(&status, &filter, &outline, (self.0.now)()));
    }
}

struct OneApp(Page);

#[handler]
impl OneApp {
    async fn handle(&self, req: &mut Request, res: &mut Response) {
        let name = req.param::<String>("app").unwrap_or_default();
        let (version, status) = self.0.board.now();
        let now = (self.0.now)();
        if let Some(app) = status.app(&name) {
            send(
                res,
                detail::page(&status, app, &version, &self.0.cleanup, now),
            );
        } else {
            res.status_code(StatusCode::NOT_FOUND);
            send(res, detail::missing(&name, now));
        }
    }
}

struct Images(Page);

#[handler]
impl Images {
    async fn handle(&self, res: &mut Response) {
        let (version, _) = self.0.board.now();
        match images::page(&self.0.cleanup, &version, (self.0.now)()) {
            Some(page) => send(res, page),
            None => {
                res.status_code(StatusCode::NOT_FOUND);
                res.render(Text::Plain(format!(
                    "{}\n",
                    crate::cleanup::not_configured()
                )));
            }
        }
    }
}

fn send(res: &mut Response, page: Html) {
    res.headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    res.render(Text::Html(page.into_string()));
}

/// What is around the middle of a page.
#[derive(Default)]
struct Outline<'a> {
    /// Its title.
    title: &'a str,
    /// Where its changes come from; a page without never changes.
    events: &'a str,
    /// The version that they go on from.
    version: &'a str,
    /// Whether there is a page of images.
    images: bool,
}

/// What every page has around its middle.
fn frame(outline: &Outline<'_>, main: &Html, now: Timestamp) -> Html {
    let mut out = Html::new();
    let mut links = Html::new();
    if outline.images {
        html!(
            links,
            "<nav class=\"places\" aria-label=\"Pages\"><a href=\"/\">Apps</a><a href=\"/images\">Images</a></nav>"
        );
    }
    html!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title>\
         <link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"/style.css\"><script src=\"/app.js\" defer></script></head>\
         <body data-events=\"{}\" data-version=\"{}\" data-now=\"{}\">\
         <header class=\"top\"><a class=\"brand\" href=\"/\"><img src=\"/icon.svg\" alt=\"\" width=\"28\" height=\"28\">amid</a>{}\
         <span id=\"link\" role=\"status\"></span></header><main>{}</main>\
         <footer class=\"foot\"><p>amid {} · <a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/apps\">JSON</a></p></footer></body></html>\n",
        outline.title,
        outline.events,
        outline.version,
        words::machine(now),
        links,
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
