//! Texts in JSON: quotes, escapes, and the pairs that stand for one character.
//!
//! A new line or another control character in a text is an error, as in
//! every JSON reader; the message says how it is written instead.

use super::{Reader, SyntaxError};

impl Reader<'_> {
    /// Reads a text whose opening quote is next.
    pub(super) fn text(&mut self) -> Result<String, SyntaxError> {
        let opened = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let plain = self.at;
            self.skip_while(|b| b != b'"' && b != b'\\' && b >= 0x20);
            text.push_str(self.text.get(plain..self.at).unwrap_or(""));
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(b'\n' | b'\r') | None => {
                    self.at = opened;
                    return Err(
                        self.wrong("this text has no closing `\"` on its line: a new line in it is written `\\n`")
                    );
                }
                Some(0) => {
                    return Err(self.wrong("a NUL byte stands in a text: is this a text file?"));
                }
                Some(byte) => {
                    return Err(self.wrong(format!(
                        "a control character stands in a text: write it as `\\u{byte:04x}`"
                    )));
                }
            }
        }
    }

    /// Reads an escape whose backslash is next.
    fn escape(&mut self) -> Result<char, SyntaxError> {
        let from = self.at;
        let wrong = |message: &str| SyntaxError {
            at: from,
            message: message.to_owned(),
        };
        self.at += 1;
        let c = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let half = "this escape is one half of a pair, the other is missing";
                let first = self.four_digits().ok_or_else(|| {
                    wrong("`\\u` is followed by four hexadecimal digits, here it is not")
                })?;
                if !(0xD800..0xE000).contains(&first) {
                    return char::from_u32(first).ok_or_else(|| wrong(half));
                }
                let second = if first < 0xDC00 && self.rest().starts_with("\\u") {
                    self.at += 2;
                    self.four_digits()
                } else {
                    None
                };
                return second
                    .filter(|second| (0xDC00..0xE000).contains(second))
                    .and_then(|second| {
                        char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))
                    })
                    .ok_or_else(|| wrong(half));
            }
            _ => {
                return Err(wrong(
                    "JSON has no such escape: a backslash itself is written `\\\\`",
                ));
            }
        };
        self.at += 1;
        Ok(c)
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}
