//! Durations of clean-up as people write them: `90d`, `12h`, `1d12h`.
//!
//! Longer than those of a manifest ([`crate::manifest::Seconds`]), which end
//! at 30 days, and therefore with days.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::history::later;

/// A duration in whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

/// The longest one: ten years.
const MAX: u64 = 3653 * 86_400;

impl Span {
    /// So many days.
    pub const fn days(days: u64) -> Self {
        Self(days * 86_400)
    }

    /// So many hours.
    pub const fn hours(hours: u64) -> Self {
        Self(hours * 3600)
    }

    /// Reads `1d12h`: whole numbers, each with its unit `d`, `h`, `m` or `s`,
    /// the larger units first.
    ///
    /// # Errors
    ///
    /// A sentence that shows the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is not a duration: write `90d`, `12h` or `1d12h`",
                text.escape_debug()
            )
        };
        let mut rest = text;
        let mut total: u64 = 0;
        for (unit, seconds) in [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)] {
            let Some((number, after)) = rest.split_once(unit) else {
                continue;
            };
            if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
                return Err(wrong());
            }
            let number: u64 = number.parse().map_err(|_| wrong())?;
            total = number
                .checked_mul(seconds)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(wrong)?;
            rest = after;
        }
        if text.is_empty() || !rest.is_empty() {
            return Err(wrong());
        }
        if total > MAX {
            return Err(format!("`{text}` is longer than ten years"));
        }
        Ok(Self(total))
    }

    /// As a duration of the time library.
    pub fn as_duration(self) -> SignedDuration {
        SignedDuration::from_secs(i64::try_from(self.0).unwrap_or(i64::MAX))
    }

    /// The moment that lies so much later than `at`.
    pub fn after(self, at: Timestamp) -> Timestamp {
        later(at, self.as_duration())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.0 / 86_400, 'd'),
            (self.0 / 3600 % 24, 'h'),
            (self.0 / 60 % 60, 'm'),
            (self.0 % 60, 's'),
        ];
        for (number, unit) in parts {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        if self.0 == 0 {
            f.write_str("0s")?;
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_reads_back_as_it_was_written() {
        for (text, seconds) in [
            ("90d", 90 * 86_400),
            ("1d12h", 129_600),
            ("30m", 1800),
            ("0s", 0),
        ] {
            assert_eq!(Span::parse(text), Ok(Span(seconds)), "{text}");
            assert_eq!(Span(seconds).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            "",
            "10",
            "d",
            "-5d",
            "1.5h",
            "5m1h",
            "4000d",
            " 5d",
            "99999999999999999999d",
        ] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }
}
