//! Finding image ids in any text: manifests, terraform's states, parameters.
//!
//! Clean-up must see an image wherever it is named, also in a text that nobody
//! can read otherwise, so ids are found by their form alone.

use crate::model::AmiId;

/// Every image id in a text, each once; in JSON also one that is written with escapes.
pub fn amis_in(text: &[u8]) -> Vec<AmiId> {
    let mut found = Vec::new();
    scan(text, &mut found);
    if text.windows(2).any(|two| two == b"\\u")
        && let Ok(value) = serde_json::from_slice::<serde_json::Value>(text)
    {
        scan(value.to_string().as_bytes(), &mut found);
    }
    found
}

fn scan(text: &[u8], found: &mut Vec<AmiId>) {
    let mut rest = text;
    while let Some(at) = rest.windows(4).position(|four| four == b"ami-") {
        rest = &rest[at + 4..];
        let length = rest
            .iter()
            .take_while(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
            .count();
        // An id ends where its digits do, or it is not known where it ends: both lengths are taken then.
        for digits in [8, 17] {
            if length >= digits
                && let Ok(hex) = std::str::from_utf8(&rest[..digits])
                && let Ok(ami) = AmiId::parse(&format!("ami-{hex}"))
                && (length == digits || length != 17)
                && !found.contains(&ami)
            {
                found.push(ami);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_ids_are_found_wherever_they_stand() {
        let found = |text: &str| {
            amis_in(text.as_bytes())
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            found(r#"{"ami": "ami-0f3a9c2b7d1e48a60", "$comment": "was ami-0f3a9c2b"}"#),
            ["ami-0f3a9c2b7d1e48a60", "ami-0f3a9c2b"]
        );
        assert_eq!(found(r#"{"ami": "ami\u002d0f3a9c2b"}"#), ["ami-0f3a9c2b"]);
        assert_eq!(found("ami-0F3A9C2B ami-12 ami"), Vec::<String>::new());
    }
}
