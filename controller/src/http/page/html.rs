//! HTML that cannot forget to escape.
//!
//! [`html!`] takes a format string, which is ours, and values, which may be
//! anybody's: a commit's subject, an AWS error. Every value is escaped for
//! elements and quoted attributes alike; only another [`Html`] goes in as it
//! is.

use std::fmt::{self, Display, Write};

/// Text that is safe to be sent as HTML.
#[derive(Clone, Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Our own text, such as a fixed fragment.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds what [`html!`] made.
    pub(super) fn add(&mut self, safe: fmt::Arguments<'_>) {
        // A `String` takes everything.
        let _ = self.0.write_fmt(safe);
    }

    /// The text.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Something that can stand in HTML.
pub(super) trait Part {
    /// Writes it so that it cannot be anything but text.
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl Part for Html {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Part for str {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (before, special) = rest.split_at(at);
            f.write_str(before)?;
            f.write_str(match special.as_bytes().first() {
                Some(b'&') => "&amp;",
                Some(b'<') => "&lt;",
                Some(b'>') => "&gt;",
                Some(b'"') => "&quot;",
                _ => "&#39;",
            })?;
            rest = special.get(1..).unwrap_or_default();
        }
        f.write_str(rest)
    }
}

impl Part for String {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().write(f)
    }
}

impl<T: Part + ?Sized> Part for &T {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).write(f)
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Part for $number {
            fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.fmt(f)
            }
        })*
    };
}
numbers!(u32 u64 usize i64 f64);

/// A part on its way into a format string.
pub(super) struct Safe<'a, T: ?Sized>(pub(super) &'a T);

impl<T: Part + ?Sized> Display for Safe<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f)
    }
}

/// Adds to an [`Html`]: `html!(out, "<b>{}</b>", anything)`.
macro_rules! html {
    ($out:expr, $format:literal $(, $part:expr)* $(,)?) => {
        $out.add(format_args!($format $(, $crate::http::page::html::Safe(&$part))*))
    };
}
pub(super) use html;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_only_ever_text() {
        let mut inner = Html::new();
        html!(inner, "<i title=\"{}\">{}</i>", "a\"b", "<script>'&'");
        let mut outer = Html::new();
        html!(outer, "<p>{}{}</p>", inner, 7_u32);
        assert_eq!(
            outer.into_string(),
            "<p><i title=\"a&quot;b\">&lt;script&gt;&#39;&amp;&#39;</i>7</p>"
        );
    }
}
