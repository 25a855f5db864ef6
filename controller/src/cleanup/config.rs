//! The section `cleanup` of `amid.json`.

use anyhow::bail;
use serde::Deserialize;

use amid_core::manifest::Seconds;
use amid_core::retention::Policy;

/// How and how often images are cleaned up. Without the section nothing is
/// read and nothing is done.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time between two runs.
    pub interval: Seconds,
    /// Requests a second that change something, at the most.
    pub requests_per_second: f64,
    /// What is kept, how long each stage waits, and when a run only reports.
    pub policy: Policy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Seconds(3600),
            requests_per_second: 1.0,
            policy: Policy::default(),
        }
    }
}

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// One sentence that names the field.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.interval.0 == 0 {
            bail!("`cleanup.interval` is `0s`: it takes at least a second");
        }
        let rate = self.requests_per_second;
        if !(rate.is_finite() && rate > 0.0 && rate <= 5.0) {
            bail!(
                "`cleanup.requests_per_second` is {rate}: it is above 0 and at most 5, which is all that AWS allows an account"
            );
        }
        let policy = &self.policy;
        let name = &policy.controller;
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(fine) {
            bail!(
                "`cleanup.policy.controller` is a name of letters, digits, `-`, `_`, `.` and `/`, not `{name}`"
            );
        }
        for (at, claim) in policy.claims.iter().enumerate() {
            if claim.name.is_none() && claim.tags.is_empty() {
                bail!(
                    "`cleanup.policy.claims[{at}]` names neither a `name` nor `tags`: it would claim nothing"
                );
            }
        }
        let price = policy.price_per_gib_month;
        if !(price.is_finite() && (0.0..=100.0).contains(&price)) {
            bail!("`cleanup.policy.price_per_gib_month` is a price in dollars, not {price}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> anyhow::Result<()> {
        let config: Config = serde_json::from_str(text)?;
        config.check()
    }

    #[test]
    fn an_empty_section_only_reports() {
        config("{}").unwrap();
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(
            config.policy.mode,
            amid_core::retention::Mode::Report,
            "nothing is deleted by a section that says nothing"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, word) in [
            (r#"{"interval": "0s"}"#, "at least a second"),
            (r#"{"requests_per_second": 50}"#, "at most 5"),
            (r#"{"requests_per_second": 0}"#, "above 0"),
            (r#"{"policy": {"claims": [{}]}}"#, "claim nothing"),
            (r#"{"policy": {"controller": ""}}"#, "is a name"),
            (r#"{"policy": {"price_per_gib_month": -1}}"#, "a price"),
            (r#"{"polcy": {}}"#, "unknown field"),
        ] {
            let error = config(text).unwrap_err();
            assert!(format!("{error:#}").contains(word), "{text}: {error:#}");
        }
    }
}
