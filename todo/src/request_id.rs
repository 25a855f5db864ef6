//! What a request is called in logs and answers.

use mongodb::bson::oid::ObjectId;
use salvo::http::HeaderMap;
use salvo::http::header::{HeaderName, HeaderValue};

/// The header that carries a request's id, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The identifier of a request, from whoever stands before us or our own.
#[derive(Clone, Debug)]
pub struct RequestId(String);

impl RequestId {
    /// Takes over the id that came along, if it is short and harmless.
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).map(HeaderValue::as_bytes);
        let harmless = |id: &&[u8]| {
            (1..=128).contains(&id.len())
                && id
                    .iter()
                    .all(|c| c.is_ascii_alphanumeric() || b"-_.:=+/".contains(c))
        };
        let given = given
            .filter(harmless)
            .and_then(|id| std::str::from_utf8(id).ok());
        Self(given.map_or_else(|| ObjectId::new().to_hex(), str::to_owned))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_from_outside_is_passed_on_if_it_is_harmless() {
        let id = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(text));
            RequestId::of(&headers).0
        };
        assert_eq!(id("Root=1-67891233-abcdef"), "Root=1-67891233-abcdef");
        for bad in ["", "a b", "x\"y", "<script>"] {
            assert_eq!(id(bad).len(), 24, "{bad}");
        }
        assert_ne!(
            RequestId::of(&HeaderMap::new()).0,
            RequestId::of(&HeaderMap::new()).0
        );
    }
}
