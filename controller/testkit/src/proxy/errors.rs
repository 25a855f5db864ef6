//! Errors as AWS writes them, each service in its own form.

use hyper::{Response, StatusCode};

use crate::server::{Body, answer};
use crate::wire::Element;

/// The id of every error's request; people who see it in a log know where it comes from.
const REQUEST_ID: &str = "00000000-0000-0000-0000-000000000000";

/// The service's answer to too many requests.
pub(crate) fn throttled(service: &str) -> Response<Body> {
    match service {
        "ec2" => error(
            service,
            503,
            "RequestLimitExceeded",
            "Request limit exceeded.",
        ),
        "s3" => error(service, 503, "SlowDown", "Please reduce your request rate."),
        "dynamodb" | "ssm" | "secretsmanager" => {
            error(service, 400, "ThrottlingException", "Rate exceeded")
        }
        _ => error(service, 400, "Throttling", "Rate exceeded"),
    }
}

/// An error of this status with the code that the service usually gives with it.
pub(crate) fn of_status(service: &str, status: u16) -> Response<Body> {
    let (code, message) = match (service, status) {
        ("ec2", 401 | 403) => (
            "UnauthorizedOperation",
            "You are not authorized to perform this operation.",
        ),
        (_, 401 | 403) => (
            "AccessDenied",
            "You are not authorized to perform this operation.",
        ),
        ("ec2", 503) => (
            "Unavailable",
            "The server is overloaded and can't handle the request.",
        ),
        (_, 503) => (
            "ServiceUnavailable",
            "The request has failed due to a temporary failure of the server.",
        ),
        ("ec2", 500..) => ("InternalError", "An internal error has occurred"),
        (_, 500..) => (
            "InternalFailure",
            "The request processing has failed because of an unknown error.",
        ),
        _ => (
            "ValidationError",
            "The request is refused by a rule of the test",
        ),
    };
    error(service, status, code, message)
}

/// An error in the service's form.
pub(crate) fn error(service: &str, status: u16, code: &str, message: &str) -> Response<Body> {
    let status_code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code_and_message = vec![
        Element::leaf("Code", code),
        Element::leaf("Message", message),
    ];
    let request_id = |name: &str| Element::leaf(name, REQUEST_ID);
    let document = match service {
        "dynamodb" | "ssm" | "secretsmanager" => {
            let body = serde_json::json!({ "__type": code, "message": message }).to_string();
            return answer(status_code, "application/x-amz-json-1.0", body);
        }
        "ec2" => Element::node(
            "Response",
            vec![
                Element::node("Errors", vec![Element::node("Error", code_and_message)]),
                request_id("RequestID"),
            ],
        ),
        "s3" => {
            let mut root = Element::node("Error", code_and_message);
            root.children.push(request_id("RequestId"));
            root
        }
        _ => {
            let kind = if status < 500 { "Sender" } else { "Receiver" };
            let mut inner = code_and_message;
            inner.insert(0, Element::leaf("Type", kind));
            Element::node(
                "ErrorResponse",
                vec![Element::node("Error", inner), request_id("RequestId")],
            )
        }
    };
    answer(status_code, "text/xml", document.document())
}
