//! What the JSON reader takes, refuses, and says of it.

use std::ops::Range;

use super::super::json::{Kind, MAX_BYTES, MAX_DEPTH, MAX_VALUES, read};
use super::super::text::starts_with_mark;

fn error(text: &[u8]) -> (usize, String) {
    match read(text) {
        Ok(node) => panic!("was read: {node:?}"),
        Err(error) => (error.at, error.message),
    }
}

#[test]
fn every_node_knows_its_bytes() {
    let text = r#" {"a" : [1, -2.5e3], "ä": {"b":"x\u00e9\ud83d\ude00\n"}} "#;
    let Ok(node) = read(text.as_bytes()) else {
        panic!("not read");
    };
    let Kind::Object(members) = &node.kind else {
        panic!("no object");
    };
    let cut = |span: &Range<usize>| text.get(span.clone());
    assert_eq!(cut(&node.span), Some(text.trim()));
    assert_eq!(cut(&members[0].name_span), Some("\"a\""));
    assert_eq!(cut(&members[0].value.span), Some("[1, -2.5e3]"));
    assert_eq!(cut(&members[1].name_span), Some("\"ä\""));
    let Kind::Object(inner) = &members[1].value.kind else {
        panic!("no object");
    };
    assert_eq!(inner[0].value.kind, Kind::Text("xé😀\n".to_owned()));
}

#[test]
fn a_syntax_error_says_what_was_expected_and_where() {
    for (text, at, message) in [
        ("", 0, "the file is empty, expected an object"),
        (" \n", 2, "the file is empty, expected an object"),
        ("{\"a\":1,}", 6, "nothing follows this comma: remove it"),
        ("{\"a\" 1}", 5, "expected `:`, found `1`"),
        ("{a: 1}", 1, "expected a field name in quotes, found `a`"),
        ("{\"a\":1 \"b\":2}", 7, "expected `,` or `}`, found `\"`"),
        ("[1 2]", 3, "expected `,` or `]`, found `2`"),
        ("{} {}", 3, "expected the end of the file, found `{`"),
        (
            "\n{\"a\":",
            6,
            "expected a value, found the end of the file: line 2 opens what is never closed",
        ),
        ("[NaN]", 1, "expected a value, found `NaN`"),
        ("[nulls]", 1, "expected a value, found `nulls`"),
        ("[+1]", 1, "expected a value, found `+`"),
        ("[01]", 1, "a number does not begin with zeros: remove them"),
        ("[1.]", 3, "expected a digit, found `]`"),
        ("[-]", 2, "expected a digit, found `]`"),
        ("[1e]", 3, "expected a digit, found `]`"),
        (
            "{ // x\n}",
            2,
            "expected a field name in quotes, found a comment: JSON has none, use a field `$comment`",
        ),
        (
            "['a']",
            1,
            "expected a value, found `'`: JSON's quotes are `\"`",
        ),
        (
            "[\"a\n\"]",
            1,
            "this text has no closing `\"` on its line: a new line in it is written `\\n`",
        ),
        (
            "[\"\t\"]",
            2,
            "a control character stands in a text: write it as `\\u0009`",
        ),
        (
            "[\"\\x\"]",
            2,
            "JSON has no such escape: a backslash itself is written `\\\\`",
        ),
        (
            "[\"\\u12é4\"]",
            2,
            "`\\u` is followed by four hexadecimal digits, here it is not",
        ),
        (
            "[\"\\ud800\"]",
            2,
            "this escape is one half of a pair, the other is missing",
        ),
        (
            "[\"\\ude00\\ud83d\"]",
            2,
            "this escape is one half of a pair, the other is missing",
        ),
        (
            "[\0]",
            1,
            "expected a value, found a NUL byte: is this a text file?",
        ),
        (
            "[\"\0\"]",
            2,
            "a NUL byte stands in a text: is this a text file?",
        ),
    ] {
        assert_eq!(error(text.as_bytes()), (at, message.to_owned()), "{text:?}");
    }
    assert_eq!(error(b"[\"a\xff\"]").0, 3);
    assert_eq!(error(b"\xff\xfe{\0}\0").0, 0);
    assert!(error(b"\xff\xfe{\0}\0").1.contains("UTF-16"));
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
    assert!(read(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(error(&nested(MAX_DEPTH + 1)).0, MAX_DEPTH);
    assert_eq!(error(&nested(10_000)).0, MAX_DEPTH);
    assert_eq!(error(&b"{\"a\":".repeat(10_000)).0, MAX_DEPTH * 5);
    let many = |values: usize| format!("[{}0]", "0,".repeat(values - 2)).into_bytes();
    assert!(read(&many(MAX_VALUES)).is_ok());
    assert_eq!(
        error(&many(MAX_VALUES + 1)).1,
        "the file holds more than 50000 values"
    );
    let long = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2)).into_bytes();
    assert!(read(&long(MAX_BYTES)).is_ok());
    assert_eq!(error(&long(MAX_BYTES + 1)).0, 0);
    assert_eq!(
        error(&long(10 << 20)).1,
        "the file has 10485760 bytes, at most 1048576 are read"
    );
}

#[test]
fn a_byte_order_mark_is_skipped_and_can_be_asked_for() {
    let text = b"\xEF\xBB\xBF{}";
    assert!(starts_with_mark(text));
    assert_eq!(read(text).map(|node| node.span), Ok(3..5));
}
