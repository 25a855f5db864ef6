//! Texts as users write them: how they begin, and how they are shown.

/// The byte order mark that some editors put in front.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Whether the text starts with a byte order mark. [`super::json::read`] skips it; the
/// caller decides what it thinks of that.
pub(super) fn starts_with_mark(bytes: &[u8]) -> bool {
    bytes.starts_with(BOM)
}

/// A text of the user's in a message: what cannot be seen is escaped.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}
