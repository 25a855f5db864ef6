//! Sees the answers that ask for fewer requests, also those that the SDK's
//! retries hide: an account that is throttled is slow long before anything
//! fails. It counts, and changes nothing.

use std::fmt;

use aws_sdk_autoscaling::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_autoscaling::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_autoscaling::error::BoxError;

use super::{Counter, Outcome, outcome};

/// An error of AWS is short; this much of an answer is looked through.
const LOOKED_AT: usize = 4 * 1024;

/// Counts the throttled answers of one service.
pub(super) struct Throttles {
    service: &'static str,
    count: Counter,
}

impl Throttles {
    pub(super) fn new(service: &'static str, count: &Counter) -> Self {
        let count = count.clone();
        Self { service, count }
    }
}

impl fmt::Debug for Throttles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Throttles({})", self.service)
    }
}

impl Intercept for Throttles {
    fn name(&self) -> &'static str {
        "Throttles"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(response) = context.response() {
            let body = response.body().bytes().unwrap_or_default();
            if is_throttled(response.status().as_u16(), body) {
                (self.count.throttled)(self.service);
            }
        }
        Ok(())
    }
}

/// EC2 says 503 or 400 with its code in XML, the others 400 or 429.
fn is_throttled(status: u16, body: &[u8]) -> bool {
    if status == 429 {
        return true;
    }
    if !matches!(status, 400 | 503) {
        return false;
    }
    let body = String::from_utf8_lossy(body.get(..LOOKED_AT).unwrap_or(body));
    let code = body
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"));
    code.is_some_and(|(code, _)| outcome(code) == Outcome::Throttled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_asks_for_fewer_requests_counts() {
        let xml = |code: &str| format!("<Response><Errors><Error><Code>{code}</Code>");
        let throttled = xml("RequestLimitExceeded");
        for (status, body, want) in [
            (503, throttled.as_str(), true),
            (400, &xml("Throttling"), true),
            (429, "", true),
            (503, &xml("Unavailable"), false),
            (400, &xml("ValidationError"), false),
            (200, throttled.as_str(), false),
            (503, "not XML", false),
        ] {
            assert_eq!(
                is_throttled(status, body.as_bytes()),
                want,
                "{status} {body}"
            );
        }
    }
}
