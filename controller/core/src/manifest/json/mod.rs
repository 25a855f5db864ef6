//! A JSON reader that remembers where everything stands.
//!
//! It gives a tree whose nodes carry their byte ranges, so that the decoder
//! can point at a value and the editor can replace one. It keeps to RFC 8259:
//! no comments, no trailing commas, no `NaN`. Numbers stay as they are
//! written, repeated names stay in the tree, and what either means is the
//! decoder's to say. Size and depth are bounded before anything is stored.

mod text;

use std::ops::Range;

use super::text::{BOM, shown, starts_with_mark};

/// The longest text that is read, in bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// How many lists and objects may stand inside each other.
pub(super) const MAX_DEPTH: usize = 64;

/// How many values a text may hold: a tree of more takes far more memory than
/// its text.
pub(super) const MAX_VALUES: usize = 50_000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// What it is.
    pub(super) kind: Kind,
    /// Its bytes in the text.
    pub(super) span: Range<usize>,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A text, its escapes resolved.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// An object in the order of the text, repeated names included.
    Object(Vec<Member>),
}

/// One field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name, escapes resolved.
    pub(super) name: String,
    /// The bytes of the name, quotes included.
    pub(super) name_span: Range<usize>,
    /// Its value.
    pub(super) value: Node,
}

impl Node {
    /// What the value is, for a message such as "found a list".
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "null".to_owned(),
            Kind::Bool(value) => format!("`{value}`"),
            Kind::Number(literal) => format!("the number `{literal}`"),
            Kind::Text(text) => format!("the text `{}`", shown(text)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Object(_) => "an object".to_owned(),
        }
    }
}

/// Why a text is not JSON, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// The byte at which reading stopped.
    pub(super) at: usize,
    /// What was expected there.
    pub(super) message: String,
}

/// Reads one value and makes sure that nothing follows it.
pub(super) fn read(bytes: &[u8]) -> Result<Node, SyntaxError> {
    let text = as_text(bytes)?;
    let mut reader = Reader {
        text,
        at: if starts_with_mark(bytes) {
            BOM.len()
        } else {
            0
        },
        open: Vec::new(),
        values: 0,
    };
    reader.skip_space();
    if reader.peek().is_none() {
        return Err(reader.wrong("the file is empty, expected an object"));
    }
    let node = reader.value()?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err(reader.expected("the end of the file")),
    }
}

fn as_text(bytes: &[u8]) -> Result<&str, SyntaxError> {
    let wrong = |at, message: String| Err(SyntaxError { at, message });
    if bytes.len() > MAX_BYTES {
        let length = bytes.len();
        return wrong(
            0,
            format!("the file has {length} bytes, at most {MAX_BYTES} are read"),
        );
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return wrong(0, "the file is UTF-16: save it as UTF-8".to_owned());
    }
    std::str::from_utf8(bytes).or_else(|error| {
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        wrong(
            at,
            format!("the byte `0x{byte:02x}` is not UTF-8: save the file as UTF-8"),
        )
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Where the lists and objects that are being read begin.
    open: Vec<usize>,
    /// How many values were begun.
    values: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) -> usize {
        let from = self.at;
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
        self.at - from
    }

    fn skip_space(&mut self) {
        self.skip_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn wrong(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError {
            at: self.at,
            message: message.into(),
        }
    }

    /// "expected this, found that", with a hint for the usual habits from
    /// other languages.
    fn expected(&self, what: &str) -> SyntaxError {
        let message = match self.rest().chars().next() {
            None => {
                let line = self.open.last().map(|&at| {
                    let before = self.text.as_bytes().get(..at).unwrap_or_default();
                    1 + before.iter().filter(|&&b| b == b'\n').count()
                });
                match line {
                    Some(line) => format!(
                        "expected {what}, found the end of the file: line {line} opens what is never closed"
                    ),
                    None => format!("expected {what}, found the end of the file"),
                }
            }
            Some('\0') => format!("expected {what}, found a NUL byte: is this a text file?"),
            Some('/' | '#') => {
                format!("expected {what}, found a comment: JSON has none, use a field `$comment`")
            }
            Some('\'') => format!("expected {what}, found `'`: JSON's quotes are `\"`"),
            Some(c) if c.is_alphanumeric() => {
                let word: String = self
                    .rest()
                    .chars()
                    .take_while(|c| c.is_alphanumeric())
                    .take(20)
                    .collect();
                format!("expected {what}, found `{word}`")
            }
            Some(c) => format!(
                "expected {what}, found `{}`",
                shown(c.encode_utf8(&mut [0; 4]))
            ),
        };
        self.wrong(message)
    }

    fn value(&mut self) -> Result<Node, SyntaxError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(self.wrong(format!("the file holds more than {MAX_VALUES} values")));
        }
        let from = self.at;
        let kind = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"') => Kind::Text(self.text()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node {
            kind,
            span: from..self.at,
        })
    }

    fn word(&mut self) -> Result<Kind, SyntaxError> {
        for (word, kind) in [
            ("null", Kind::Null),
            ("true", Kind::Bool(true)),
            ("false", Kind::Bool(false)),
        ] {
            let rest = self.rest().strip_prefix(word);
            if rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)) {
                self.at += word.len();
                return Ok(kind);
            }
        }
        Err(self.expected("a value"))
    }

    /// Reads a list or an object whose bracket is next, one level deeper.
    fn nested(
        &mut self,
        inner: fn(&mut Self) -> Result<Kind, SyntaxError>,
    ) -> Result<Kind, SyntaxError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.wrong(format!(
                "lists and objects stand more than {MAX_DEPTH} levels deep"
            )));
        }
        self.open.push(self.at);
        self.at += 1;
        self.skip_space();
        let kind = inner(self)?;
        self.open.pop();
        Ok(kind)
    }

    fn list(&mut self) -> Result<Kind, SyntaxError> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.ends_after_item(b']', "`,` or `]`")? {
                return Ok(Kind::List(items));
            }
        }
    }

    fn object(&mut self) -> Result<Kind, SyntaxError> {
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Kind::Object(members));
        }
        loop {
            let from = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a field name in quotes"));
            }
            let name = self.text()?;
            let name_span = from..self.at;
            self.skip_space();
            if !self.take(b':') {
                return Err(self.expected("`:`"));
            }
            self.skip_space();
            let value = self.value()?;
            members.push(Member {
                name,
                name_span,
                value,
            });
            if self.ends_after_item(b'}', "`,` or `}`")? {
                return Ok(Kind::Object(members));
            }
        }
    }

    /// After an item: true at the closing bracket, false where a comma leads
    /// to the next item.
    fn ends_after_item(&mut self, close: u8, wanted: &str) -> Result<bool, SyntaxError> {
        self.skip_space();
        if self.take(close) {
            return Ok(true);
        }
        let comma = self.at;
        if !self.take(b',') {
            return Err(self.expected(wanted));
        }
        self.skip_space();
        if matches!(self.peek(), Some(b']' | b'}')) {
            return Err(SyntaxError {
                at: comma,
                message: "nothing follows this comma: remove it".to_owned(),
            });
        }
        Ok(false)
    }

    fn number(&mut self) -> Result<Kind, SyntaxError> {
        let from = self.at;
        self.take(b'-');
        let zero = self.peek() == Some(b'0');
        let digits = self.skip_while(|b| b.is_ascii_digit());
        if digits == 0 {
            return Err(self.expected("a digit"));
        }
        if zero && digits > 1 {
            self.at = from;
            return Err(self.wrong("a number does not begin with zeros: remove them"));
        }
        if self.take(b'.') && self.skip_while(|b| b.is_ascii_digit()) == 0 {
            return Err(self.expected("a digit"));
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            if self.skip_while(|b| b.is_ascii_digit()) == 0 {
                return Err(self.expected("a digit"));
            }
        }
        let literal = self.text.get(from..self.at).unwrap_or("");
        Ok(Kind::Number(literal.to_owned()))
    }
}
