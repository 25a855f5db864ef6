//! Tests of the module above.

use super::*;

fn fields(error: BadBody) -> Vec<String> {
    match error {
        BadBody::Fields(fields) => fields
            .into_iter()
            .map(|problem| format!("{} {}", problem.field, problem.detail))
            .collect(),
        BadBody::Syntax(text) => vec![text],
    }
}

fn refused(body: &str) -> Vec<String> {
    fields(NewTodo::from_json(body.as_bytes()).expect_err(body))
}

#[test]
fn every_wrong_field_of_a_new_todo_is_named_at_once() {
    assert_eq!(
        refused(r#"{"completed": "yes", "order": 1.5}"#),
        [
            "title is missing".to_owned(),
            "completed must be `true` or `false`".into(),
            format!("order must be a whole number from -{MAX_ORDER} to {MAX_ORDER}, or null"),
        ]
    );
}

#[test]
fn a_title_is_a_string_that_is_neither_blank_nor_too_long() {
    assert_eq!(
        refused(r#"{"title": {"$ne": ""}}"#),
        ["title must be a string"]
    );
    assert_eq!(
        refused("{\"title\": \" \\t\\n\"}"),
        ["title must not be blank"]
    );
    let longest = "ß".repeat(MAX_TITLE);
    let body = serde_json::json!({ "title": longest }).to_string();
    assert_eq!(
        NewTodo::from_json(body.as_bytes()).map(|todo| todo.title),
        Ok(longest.clone())
    );
    let body = serde_json::json!({ "title": longest + "x" }).to_string();
    assert_eq!(
        refused(&body),
        ["title must be at most 1000 characters long"]
    );
}

#[test]
fn a_body_that_is_no_object_is_a_syntax_error() {
    for body in ["", "{bad", "[]", "null", "\"a\"", "{\"title\":\"\\ud800\"}"] {
        assert!(
            matches!(NewTodo::from_json(body.as_bytes()), Err(BadBody::Syntax(_))),
            "{body}"
        );
    }
}

#[test]
fn an_order_may_be_taken_away_but_not_left_half_given() {
    let change = Change::from_json(br#"{"order": null}"#).expect("a change");
    assert_eq!(change.order, Some(None));
    let change = Change::from_json(br#"{"order": 3.0}"#).expect("a change");
    assert_eq!(change.order, Some(Some(3)));
    assert!(Change::from_json(br#"{"order": 9007199254740992}"#).is_err());
    assert!(Change::from_json(br#"{"order": "1"}"#).is_err());
    assert!(Change::from_json(b"{}").expect("a change").is_empty());
}

#[test]
fn the_originals_casts_are_kept_and_its_crashes_are_not() {
    let text = |body: &str| NewTodo::from_original_json(body.as_bytes()).map(|new| new.title);
    assert_eq!(text(r#"{"text":"a","done":true,"x":1}"#), Ok("a".into()));
    assert_eq!(text("{}"), Ok(String::new()));
    assert_eq!(text(""), Ok(String::new()));
    assert_eq!(text(r#"{"text":5}"#), Ok("5".into()));
    assert_eq!(text(r#"{"text":null}"#), Ok(String::new()));
    assert_eq!(
        fields(text(r#"{"text":{"o":1}}"#).unwrap_err()),
        ["text must be text, not an object"]
    );
    assert!(text(r#"{"text":["a"]}"#).is_err());
    let form = |body: &str| NewTodo::from_original_form(body.as_bytes()).map(|new| new.title);
    assert_eq!(form("text=form+b%21&x=1"), Ok("form b!".into()));
    assert_eq!(form("done=1"), Ok(String::new()));
    assert!(form("text[o]=1").is_err());
    assert!(form("text=a&text=b").is_err());
}

#[test]
fn a_list_query_names_each_wrong_parameter() {
    let wrong = ListQuery::parse("limit=0&after=xyz&completed=1&other=%00", 50).unwrap_err();
    let names: Vec<_> = wrong.iter().map(|problem| problem.field).collect();
    assert_eq!(names, ["limit", "after", "completed"]);
    let query = ListQuery::parse("limit=50&after=65f000000000000000000001", 50).expect("fine");
    assert_eq!(query.limit, 50);
    assert!(query.after.is_some());
    assert_eq!(ListQuery::parse("", 50), Ok(ListQuery::first(50)));
    assert!(ListQuery::parse("limit=51", 50).is_err());
}

#[test]
fn an_idempotency_key_is_short_and_visible() {
    assert!(is_key(b"9f-3c"));
    assert!(!is_key(b""));
    assert!(!is_key(b"a b"));
    assert!(!is_key(&[b'x'; 129]));
}
