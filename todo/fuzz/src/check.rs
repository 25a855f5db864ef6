//! What must hold for any bytes, shared by the fuzz target and a property
//! test: no parser panics, and whatever is accepted keeps the model's rules
//! and reads the same when it is written and read again.

use todo::config::parse_duration;
use todo::proxy::TrustedProxies;
use todo::request_id::RequestId;
use todo::todo::{Change, ListQuery, MAX_ORDER, MAX_TITLE, NewTodo};

/// Feeds the bytes to every parser of requests.
pub fn check(data: &[u8]) {
    if let Ok(new) = NewTodo::from_json(data) {
        check_new(&new);
        let json = to_json(&new);
        assert_eq!(NewTodo::from_json(json.as_bytes()), Ok(new));
    }
    if let Ok(change) = Change::from_json(data) {
        assert!(change.title.is_none_or(|title| is_title(&title)));
        assert!(change.order.flatten().is_none_or(is_order));
    }
    for new in [
        NewTodo::from_original_json(data),
        NewTodo::from_original_form(data),
    ]
    .into_iter()
    .flatten()
    {
        assert!(new.title.chars().count() <= MAX_TITLE);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(query) = ListQuery::parse(text, 100) {
        assert!((1..=100).contains(&query.limit));
    }
    let _ = parse_duration(text);
    check_headers(text);
}

fn check_new(new: &NewTodo) {
    assert!(is_title(&new.title));
    assert!(new.order.is_none_or(is_order));
}

fn is_title(title: &str) -> bool {
    title.chars().count() <= MAX_TITLE && title.chars().any(|c| !" \t\r\n".contains(c))
}

fn is_order(order: i64) -> bool {
    (-MAX_ORDER..=MAX_ORDER).contains(&order)
}

fn to_json(new: &NewTodo) -> String {
    let NewTodo {
        title,
        completed,
        order,
    } = new;
    serde_json::json!({ "title": title, "completed": completed, "order": order }).to_string()
}

/// The headers that name the client, the host and the request.
fn check_headers(text: &str) {
    let Ok(value) = salvo::http::HeaderValue::from_str(text) else {
        return;
    };
    let mut headers = salvo::http::HeaderMap::new();
    for name in [
        "host",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-request-id",
    ] {
        headers.insert(name, value.clone());
    }
    let id = RequestId::of(&headers);
    assert!((1..=128).contains(&id.as_str().len()));
    let everyone = TrustedProxies::new(vec!["0.0.0.0/0".parse().expect("a network")]);
    let peer = everyone.look("10.0.0.1".parse().ok(), &headers, None, "localhost");
    let host = peer.base.strip_prefix("http://").expect("a scheme");
    assert!(!host.is_empty() && !host.contains(['/', '@', '"', '<', ' ']));
}
