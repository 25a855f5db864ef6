//! What the query of a request asks for.
//!
//! Everything is checked here, so that the loop gets only well-formed
//! commands: a name that is no app's, a time that is none, a field that is
//! unknown or stands there twice are refused with a sentence.

use std::collections::BTreeMap;

use amid_core::model::AppName;
use jiff::Timestamp;
use url::form_urlencoded;

use crate::status::Command;

/// Entries of the journal that are answered when nobody says how many.
const DEFAULT_LIMIT: usize = 50;
/// The most that are answered.
const MAX_LIMIT: usize = 1_000;
/// The longest reason or hold id, in characters.
const MAX_TEXT: usize = 300;

/// Which entries of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Only this app's; `None` for all.
    pub app: Option<String>,
    /// At most so many, the newest.
    pub limit: usize,
}

/// Which dry run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanQuery {
    /// Only this app; `None` for all.
    pub app: Option<String>,
    /// With the commands for doing it by hand.
    pub commands: bool,
}

/// The fields of a query, each at most once.
#[derive(Debug)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Splits `text`; only the fields in `known` may stand there.
    pub(super) fn parse(text: &str, known: &[&str]) -> Result<Self, String> {
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                return Err(format!("unknown field: `{}`", name.escape_debug()));
            }
            if fields.contains_key(name.as_ref()) {
                return Err(format!("field given twice: `{name}`"));
            }
            if value.chars().count() > MAX_TEXT {
                return Err(format!(
                    "`{name}` is too long, at most {MAX_TEXT} characters"
                ));
            }
            if value.chars().any(char::is_control) {
                return Err(format!("`{name}` has control characters or line ends"));
            }
            fields.insert(name.into_owned(), value.into_owned());
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.trim().is_empty())
    }

    pub(super) fn needed(&self, name: &str) -> Result<&str, String> {
        self.get(name).ok_or_else(|| format!("`{name}` is missing"))
    }

    fn app(&self) -> Result<Option<String>, String> {
        self.get("app").map(checked_app).transpose()
    }
}

fn checked_app(name: &str) -> Result<String, String> {
    AppName::parse(name).map(|name| name.to_string())
}

impl HistoryQuery {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let query = Query::parse(text, &["app", "limit"])?;
        let limit = match query.get("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| format!("`limit` is a number from 1 to {MAX_LIMIT}"))?,
        };
        Ok(Self {
            app: query.app()?,
            limit,
        })
    }
}

impl PlanQuery {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let query = Query::parse(text, &["app", "commands"])?;
        let commands = match query.get("commands") {
            None | Some("0") => false,
            Some("1") => true,
            Some(_) => return Err("`commands` is 0 or 1".to_owned()),
        };
        Ok(Self {
            app: query.app()?,
            commands,
        })
    }
}

/// The command that a POST to `path` means when `user` sends it.
pub(super) fn command(path: &str, text: &str, user: String) -> Result<Command, String> {
    match path {
        "/reconcile" => {
            let query = Query::parse(text, &["app"])?;
            Ok(Command::Reconcile { app: query.app()? })
        }
        "/approve" => {
            let query = Query::parse(text, &["hold"])?;
            let hold = query.needed("hold")?.to_owned();
            Ok(Command::Approve { hold, user })
        }
        "/suspend" => {
            let query = Query::parse(text, &["app", "until", "reason"])?;
            let until = query.get("until").map(time).transpose()?;
            let reason = match query.get("reason") {
                Some(reason) => reason.to_owned(),
                None => format!("{user} gave no reason"),
            };
            Ok(Command::Suspend {
                app: checked_app(query.needed("app")?)?,
                reason,
                until,
                user,
            })
        }
        "/resume" => {
            let query = Query::parse(text, &["app"])?;
            let app = checked_app(query.needed("app")?)?;
            Ok(Command::Resume { app, user })
        }
        other => Err(format!("no command: `{other}`")),
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        format!(
            "`until` is a time such as `2026-11-30T08:00:00Z`, not `{}`",
            text.escape_debug()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_is_wrong_is_refused_with_the_field() {
        for (path, query, want) in [
            ("/reconcile", "ap=demo%2Ftodo", "unknown field: `ap`"),
            ("/reconcile", "app=a&app=b", "field given twice: `app`"),
            ("/reconcile", "app=Demo", "`Demo` is not an app name"),
            ("/approve", "", "`hold` is missing"),
            ("/approve", "hold=a%0Ab", "control characters"),
            ("/suspend", "until=2026-11-30T08:00:00Z", "`app` is missing"),
            ("/suspend", "app=a&until=tomorrow", "`until` is a time"),
            ("/resume", "app=", "`app` is missing"),
        ] {
            let error = command(path, query, "ann".to_owned()).expect_err(query);
            assert!(error.contains(want), "{query}: {error}");
        }
        let long = format!("app=a&reason={}", "x".repeat(MAX_TEXT + 1));
        let error = command("/suspend", &long, "ann".to_owned()).expect_err("too long");
        assert!(error.contains("`reason` is too long"), "{error}");
    }

    #[test]
    fn a_limit_has_bounds() {
        assert_eq!(
            HistoryQuery::parse("").map(|query| query.limit),
            Ok(DEFAULT_LIMIT)
        );
        for wrong in ["limit=0", "limit=1001", "limit=-1", "limit=many"] {
            assert!(HistoryQuery::parse(wrong).is_err(), "{wrong}");
        }
        let query = HistoryQuery::parse("app=demo/todo&limit=1000").expect("in bounds");
        assert_eq!(query.app.as_deref(), Some("demo/todo"));
        assert_eq!(query.limit, MAX_LIMIT);
    }

    #[test]
    fn a_plan_may_ask_for_commands() {
        let plan = PlanQuery::parse("app=todo&commands=1").expect("right");
        assert!(plan.commands);
        assert!(PlanQuery::parse("commands=yes").is_err());
    }
}
