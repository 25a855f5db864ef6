//! Random and mutated texts: nothing panics, and what is said holds.
//!
//! serde_json is the second opinion on what JSON is and what a manifest
//! says. The seeds are fixed, so that a failure is the same every time.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::super::*;
use super::{one, without_comments};

const MANIFEST: &str = r#"{ "$comment": [1.5e3, "\u00e9\ud83d\ude00\n"], "unit": "live/a",
  "ami": "ami-0f3a9c2b", "instance_types": ["m7g.large"], "min_size": 1, "max_size": 20,
  "env": {"A": "é", "B": -7}, "secrets": {"C": "ssm:/c:1"}, "revision": 0,
  "health": {"type": "none", "timeout": "1m"}, "roll": {"canary": 1, "bake": "1h"},
  "suspend": {"reason": "x", "until": "2026-11-30T08:00:00Z"} }"#;

/// Pieces that make a mutation more interesting than a random byte does.
const PIECES: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"null",
    b"true",
    b"-",
    b"0",
    b"1e400",
    b"1.5",
    b" ",
    b"\n",
    b"\0",
    b"\xEF\xBB\xBF",
    b"\xff",
    b"//",
    b"\"ami\":1,",
    b"\"$comment\":{},",
];

/// A manifest with a few changes that nobody would make on purpose.
pub(super) fn mutated(random: &mut StdRng) -> Vec<u8> {
    let mut bytes = MANIFEST.as_bytes().to_vec();
    for _ in 0..random.random_range(1..4) {
        let from = random.random_range(0..=bytes.len());
        let to = (from + random.random_range(0..6)).min(bytes.len());
        let with: Vec<u8> = match random.random_range(0..4) {
            0 => Vec::new(),
            1 => vec![random.random()],
            2 => {
                let other = random.random_range(0..bytes.len());
                bytes[other..(other + 12).min(bytes.len())].to_vec()
            }
            _ => PIECES[random.random_range(0..PIECES.len())].to_vec(),
        };
        bytes.splice(from..to, with);
    }
    bytes
}

/// What must hold of any text whatever.
fn check(bytes: &[u8]) {
    let shown = String::from_utf8_lossy(bytes);
    let serde: Result<Value, _> = serde_json::from_slice(bytes);
    match (json::read(bytes), &serde) {
        (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
        // serde_json refuses numbers beyond a double, and the mark.
        (Ok(_), Err(error)) => assert!(
            error.to_string().contains("out of range")
                || super::super::text::starts_with_mark(bytes),
            "{error}: {shown}"
        ),
        (Err(error), Ok(_)) => panic!("{error:?}: {shown}"),
    }
    match one(bytes) {
        Ok(manifest) => {
            // A comment may hold a number that serde_json refuses.
            if let Ok(mut value) = serde {
                without_comments(&mut value);
                let expected: Result<Manifest, _> = serde_json::from_value(value);
                assert_eq!(expected.ok(), Some(manifest), "{shown}");
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "{shown}");
            let lines = 1 + bytes.iter().filter(|&&b| b == b'\n').count();
            for problem in &problems {
                let line = usize::try_from(problem.line).unwrap_or(usize::MAX);
                let column = usize::try_from(problem.column).unwrap_or(usize::MAX);
                assert!((1..=lines).contains(&line), "{problem}: {shown}");
                assert!(
                    (1..=bytes.len() + 1).contains(&column),
                    "{problem}: {shown}"
                );
                assert!(!problem.message.contains(['\n', '\0']), "{problem}");
            }
        }
    }
}

#[test]
fn no_text_breaks_the_parser() {
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..5_000 {
        let length = random.random_range(0..200);
        let bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
        check(&bytes);
        let pieces = random.random_range(0..30);
        let bytes: Vec<&[u8]> = (0..pieces)
            .map(|_| PIECES[random.random_range(0..PIECES.len())])
            .collect();
        check(&bytes.concat());
    }
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let bytes = mutated(&mut random);
        check(&bytes);
        match one(&bytes) {
            Ok(_) => good += 1,
            Err(_) => bad += 1,
        }
    }
    assert!(good > 500 && bad > 500, "{good} good, {bad} bad");
}
