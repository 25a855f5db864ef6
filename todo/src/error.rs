//! Every way in which a request can fail, and the one place that puts it into
//! words: `application/problem+json` as of RFC 9457.
//!
//! The cases are sorted by what the client should do next. What the database
//! driver says is never part of an answer, because it may name hosts.

use std::time::Duration;

use salvo::http::header::{self, HeaderValue};
use salvo::http::{ParseError, ResBody, StatusCode};
use salvo::oapi::{Components, EndpointOutRegister, Operation, ToSchema};
use salvo::prelude::*;
use serde::Serialize;

use crate::answer::to_json;
use crate::request_id::RequestId;
use crate::store::StoreError;
use crate::todo::{BadBody, FieldError};

/// The media type of every error.
pub const PROBLEM: &str = "application/problem+json";

/// When a client should come back after a 503.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request fails.
#[derive(Debug)]
pub enum Error {
    /// The request cannot be understood: 400.
    BadRequest {
        /// What is wrong, in a sentence.
        detail: String,
        /// The fields or parameters that are wrong, when it is about some.
        fields: Vec<FieldError>,
    },
    /// There is no such todo: 404.
    NotFound,
    /// The body is larger than this many bytes: 413.
    TooLarge(usize),
    /// The body is of a type that this route does not read: 415.
    MediaType {
        /// The types it reads.
        accepted: &'static str,
    },
    /// The body can be read, but says what cannot be: 422.
    Invalid(Vec<FieldError>),
    /// The database does not answer, or too much is going on: 503.
    Unavailable(String),
    /// A defect of this program: 500. The text goes to the log alone.
    Internal(String),
}

/// What clients read when something fails, as of RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
#[salvo(schema(name = "Problem"))]
pub struct Problem {
    /// Always `about:blank`: the status says which kind of problem it is.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    /// The HTTP status code.
    status: u16,
    /// What is wrong here, and what to do about it.
    detail: String,
    /// The fields that are wrong, each with its own words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[salvo(schema(required = false))]
    errors: Vec<ProblemField>,
    /// The request's id, to be quoted when asking for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[salvo(schema(required = false))]
    request_id: Option<String>,
}

/// One wrong field.
#[derive(Debug, Serialize, ToSchema)]
#[salvo(schema(name = "ProblemField"))]
pub struct ProblemField {
    /// Its name.
    field: String,
    /// What is wrong with it.
    detail: String,
}

impl Error {
    /// A header or a parameter that is wrong.
    pub fn parameters(fields: Vec<FieldError>) -> Self {
        Self::BadRequest {
            detail: sentence("The request cannot be understood", &fields),
            fields,
        }
    }

    /// A request whose body did not arrive as announced.
    pub fn from_body(error: &ParseError, limit: usize) -> Self {
        match error {
            ParseError::PayloadTooLarge => Self::TooLarge(limit),
            _ => Self::BadRequest {
                detail: "The body ended before it was complete".into(),
                fields: Vec::new(),
            },
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn into_words(self) -> (String, Vec<FieldError>) {
        match self {
            Self::BadRequest { detail, fields } => (detail, fields),
            Self::NotFound => ("There is no todo with this id".into(), Vec::new()),
            Self::TooLarge(limit) => (
                format!("The body must be at most {limit} bytes long"),
                Vec::new(),
            ),
            Self::MediaType { accepted } => (
                format!("The header `Content-Type` must be {accepted}"),
                Vec::new(),
            ),
            Self::Invalid(fields) => (sentence("The todo cannot be like this", &fields), fields),
            Self::Unavailable(detail) => (detail, Vec::new()),
            Self::Internal(_) => (INTERNAL.into(), Vec::new()),
        }
    }
}

const INTERNAL: &str = "The server made a mistake; the log has it under this request's id";

fn sentence(start: &str, fields: &[FieldError]) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|problem| format!("`{}` {}", problem.field, problem.detail))
        .collect();
    format!("{start}: {}", fields.join(", "))
}

impl From<BadBody> for Error {
    fn from(body: BadBody) -> Self {
        match body {
            BadBody::Syntax(detail) => Self::BadRequest {
                detail,
                fields: Vec::new(),
            },
            BadBody::Fields(fields) => Self::Invalid(fields),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(failure) => {
                Self::Unavailable(format!("The list is out of reach: {failure}"))
            }
            StoreError::Refused => Self::Invalid(vec![FieldError {
                field: "title",
                detail: "is refused by the database's own rules".into(),
            }]),
            StoreError::Broken(text) => Self::Internal(text),
        }
    }
}

#[async_trait]
impl Writer for Error {
    async fn write(self, _request: &mut Request, depot: &mut Depot, response: &mut Response) {
        match &self {
            Self::Internal(text) => tracing::error!(error = text, "A request failed by a defect"),
            Self::Unavailable(text) => tracing::warn!(error = text, "A request was refused"),
            _ => {}
        }
        let status = self.status();
        let (detail, fields) = self.into_words();
        render(status, detail, fields, depot, response);
    }
}

impl EndpointOutRegister for Error {
    // Each route says in its attribute which errors can come.
    fn register(_components: &mut Components, _operation: &mut Operation) {}
}

fn render(
    status: StatusCode,
    detail: String,
    fields: Vec<FieldError>,
    depot: &Depot,
    response: &mut Response,
) {
    let problem = Problem {
        kind: "about:blank".into(),
        title: status.canonical_reason().unwrap_or("Error").into(),
        status: status.as_u16(),
        detail,
        errors: fields
            .into_iter()
            .map(|problem| ProblemField {
                field: problem.field.into(),
                detail: problem.detail,
            })
            .collect(),
        request_id: depot
            .get_typed::<RequestId>()
            .ok()
            .map(|id| id.as_str().into()),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderValue::from(RETRY_AFTER.as_secs());
        headers.insert(header::RETRY_AFTER, seconds);
    }
    response.status_code(status);
    response.body(ResBody::Once(to_json(&problem)));
}

/// Puts words to the errors that salvo finds by itself: unknown paths, unknown
/// methods, the request timeout, a panic.
#[derive(Debug)]
pub struct Catch;

#[async_trait]
impl Handler for Catch {
    async fn handle(
        &self,
        request: &mut Request,
        depot: &mut Depot,
        response: &mut Response,
        _ctrl: &mut FlowCtrl,
    ) {
        let status = response.status_code.unwrap_or(StatusCode::NOT_FOUND);
        let detail = match status {
            StatusCode::NOT_FOUND => "There is nothing at this address".into(),
            StatusCode::METHOD_NOT_ALLOWED => {
                format!("`{}` is not possible here", request.method())
            }
            StatusCode::INTERNAL_SERVER_ERROR => INTERNAL.into(),
            _ => match &response.body {
                ResBody::Error(error) => error.brief.clone(),
                _ => "The request failed".into(),
            },
        };
        render(status, detail, Vec::new(), depot, response);
    }
}
