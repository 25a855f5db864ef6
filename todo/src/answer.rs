//! A successful answer: status, bytes that are ready to send, a few headers.
//!
//! Routes return it instead of writing to the response, so that the happy path
//! of each route is one expression. It also answers `If-None-Match`, which is
//! what makes a page that asks every two seconds cheap.

use std::hash::Hasher;

use bytes::Bytes;
use salvo::http::header::{self, HeaderName, HeaderValue};
use salvo::http::{Method, StatusCode};
use salvo::oapi::{Components, EndpointOutRegister, Operation};
use salvo::prelude::*;
use serde::Serialize;

/// The media type of everything but errors and the page.
pub const JSON: &str = "application/json";

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    /// An answer with bytes of a type.
    pub fn bytes(content_type: &'static str, body: Bytes) -> Self {
        Self {
            status: StatusCode::OK,
            content_type,
            body,
            headers: Vec::new(),
        }
    }

    /// An answer with a JSON value.
    pub fn json(value: &impl Serialize) -> Self {
        Self::bytes(JSON, to_json(value))
    }

    /// An answer without a body.
    pub fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            ..Self::bytes(JSON, Bytes::new())
        }
    }

    /// The same answer with another status.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same answer with one more header. A value that no header can hold
    /// is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

/// Writes a value as JSON. Our own types always can be; should one ever not,
/// the answer is empty rather than a panic.
pub fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).map_or_else(|_| Bytes::new(), Bytes::from)
}

/// The entity tag of some bytes. It is weak because a proxy may compress them.
pub fn etag(body: &[u8]) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(body);
    format!("W/\"{:016x}\"", hasher.finish())
}

/// Whether the client has this version already.
fn is_known(request: &Request, tag: &HeaderValue) -> bool {
    let Some(known) = request.headers().get(header::IF_NONE_MATCH) else {
        return false;
    };
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else {
        return false;
    };
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known
        .split(',')
        .any(|each| each.trim() == "*" || strong(each) == strong(tag))
}

#[async_trait]
impl Writer for Answer {
    async fn write(self, request: &mut Request, _depot: &mut Depot, response: &mut Response) {
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        let safe = matches!(*request.method(), Method::GET | Method::HEAD);
        if safe
            && self.status == StatusCode::OK
            && let Some(tag) = response.headers().get(header::ETAG)
            && is_known(request, tag)
        {
            response.status_code(StatusCode::NOT_MODIFIED);
            return;
        }
        response.status_code(self.status);
        if self.status == StatusCode::NO_CONTENT {
            return;
        }
        let content_type = HeaderValue::from_static(self.content_type);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        if *request.method() == Method::HEAD {
            // The body is dropped on the way out, its length is worth telling.
            let length = HeaderValue::from(self.body.len());
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length);
        }
        response.body(self.body);
    }
}

impl EndpointOutRegister for Answer {
    // Each route says in its attribute what it answers.
    fn register(_components: &mut Components, _operation: &mut Operation) {}
}
