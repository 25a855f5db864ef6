//! The page at `/`: three files inside the binary, nothing from elsewhere.
//!
//! The HTML carries the release that served it, so that the page can notice
//! when another one answers. Browsers ask again each time (`no-cache`) and get
//! a 304 while nothing changed, so a new release is never mixed with old files.

use std::sync::Arc;

use bytes::Bytes;
use salvo::http::header;
use salvo::prelude::*;

use crate::answer::{Answer, etag};
use crate::release::Release;

const HTML: &str = include_str!("index.html");
const SCRIPT: &str = include_str!("app.js");
const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("favicon.svg");

/// The routes of the page.
pub fn router(release: &Release) -> Router {
    let html = HTML
        .replace("{{ami}}", &escape(&release.ami))
        .replace("{{version}}", &escape(&release.version))
        .replace("{{release}}", &escape(&release.to_string()));
    Router::new()
        .push(file("", "text/html; charset=utf-8", html))
        .push(file("app.js", "text/javascript; charset=utf-8", SCRIPT))
        .push(file("style.css", "text/css; charset=utf-8", STYLE))
        .push(file("favicon.svg", "image/svg+xml", ICON))
}

fn file(path: &str, content_type: &'static str, text: impl Into<String>) -> Router {
    let text = text.into();
    let file = Arc::new(File {
        content_type,
        etag: etag(text.as_bytes()),
        text: Bytes::from(text),
    });
    let router = if path.is_empty() {
        Router::new()
    } else {
        Router::with_path(path)
    };
    router.get(Served(file.clone())).head(Served(file))
}

/// Makes a text safe inside an attribute or an element.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

struct File {
    content_type: &'static str,
    text: Bytes,
    etag: String,
}

struct Served(Arc<File>);

#[async_trait]
impl Handler for Served {
    async fn handle(
        &self,
        request: &mut Request,
        depot: &mut Depot,
        response: &mut Response,
        _ctrl: &mut FlowCtrl,
    ) {
        let answer = Answer::bytes(self.0.content_type, self.0.text.clone())
            .header(header::ETAG, &self.0.etag)
            .header(header::CACHE_CONTROL, "no-cache");
        answer.write(request, depot, response).await;
    }
}
