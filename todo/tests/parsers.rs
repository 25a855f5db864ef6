//! The fuzz target's checks on bytes that are drawn to be nearly right, so
//! that every `cargo test` runs a little of it.

#[path = "../fuzz/src/check.rs"]
mod check;

use proptest::prelude::*;

/// Text that looks like a request's body, query or header.
fn nearly_right() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "\"(\\PC|[ \t]|\\\\n|\\\\u0000){0,8}\"",
        Just(r#"{"$ne":""}"#.to_owned()),
    ];
    let field = ("(title|text|completed|order|x)", value);
    let json = prop::collection::vec(field, 0..5).prop_map(|fields| {
        let fields: Vec<_> = fields
            .into_iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    });
    prop_oneof![
        json,
        "((limit|after|completed|text)(=|%3D)[0-9a-f%+]{0,26}&?){0,4}",
        "[a-zA-Z0-9.:\\[\\], /@-]{0,40}",
        "[0-9]{0,22}(ms|s|m|h)?",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_that_is_nearly_right_breaks_a_parser(text in nearly_right()) {
        check::check(text.as_bytes());
    }

    #[test]
    fn no_bytes_break_a_parser(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check::check(&bytes);
    }
}
