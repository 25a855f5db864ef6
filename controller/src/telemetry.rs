//! The log: lines for people on a terminal, JSON anywhere else.
//!
//! Both go to stderr, so that what a command prints stays clean. The filter is
//! handed in; nothing here reads the environment.

use anyhow::{Context, Result};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What is logged when nobody says otherwise: what amid does, and of its
/// libraries only what is wrong.
pub const DEFAULT_FILTER: &str = "warn,amid=info,amid_core=info";

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Time, level, message, fields.
    Human {
        /// Colours.
        color: bool,
    },
    /// One JSON object a line.
    Json,
}

/// Starts logging to stderr. `filter` is what the user gave, in the manner of
/// `info` or `warn,amid=debug`.
///
/// # Errors
///
/// The filter cannot be read, or logging was started before.
pub fn start(filter: Option<&str>, format: Format) -> Result<()> {
    let subscriber = subscriber(filter, format, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).context("Failed to start logging")
}

/// What writes the lines.
fn subscriber<W>(
    filter: Option<&str>,
    format: Format,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let given = filter
        .map(str::trim)
        .filter(|filter| !filter.is_empty())
        .unwrap_or(DEFAULT_FILTER);
    let filter = EnvFilter::builder().parse(given).with_context(|| {
        format!(
            "Failed to read the log filter `{}`: write a level (`error`, `warn`, `info`, `debug`) or pairs such as `warn,amid=debug`",
            given.escape_debug()
        )
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    Ok(match format {
        Format::Human { color } => Box::new(builder.with_target(false).with_ansi(color).finish()),
        Format::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: Option<&str>, format: Format, log: impl FnOnce()) -> String {
        let page = Page::default();
        let out = page.clone();
        let subscriber =
            subscriber(filter, format, move || out.clone()).expect("the filter is right");
        tracing::subscriber::with_default(subscriber, log);
        let bytes = page.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[test]
    fn a_json_line_is_one_object_with_the_fields_beside_the_message() {
        let text = logged(None, Format::Json, || {
            tracing::info!(app = "demo/todo", "rolled `demo/todo`");
        });
        let line: serde_json::Value = serde_json::from_str(&text).expect("one object");
        assert_eq!(line["message"], "rolled `demo/todo`");
        assert_eq!(line["app"], "demo/todo");
        assert_eq!(line["level"], "INFO");
        assert!(line["timestamp"].is_string());
    }

    #[test]
    fn a_line_for_people_has_level_message_and_fields() {
        let text = logged(None, Format::Human { color: false }, || {
            tracing::warn!(app = "demo/todo", "held");
        });
        assert!(text.contains(" WARN held app=\"demo/todo\"\n"), "{text}");
    }

    #[test]
    fn a_value_cannot_start_a_line_or_colour_the_terminal() {
        for format in [Format::Human { color: false }, Format::Json] {
            let text = logged(None, format, || {
                tracing::warn!(subject = "a\n2026 ERROR forged \u{1b}[31m", "seen");
            });
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn libraries_are_quiet_unless_asked() {
        let noise = || {
            tracing::info!(target: "hyper::proto", "noise");
            tracing::debug!(target: "amid::git", "detail");
        };
        assert_eq!(logged(None, Format::Json, noise), "");
        assert_eq!(logged(Some("  "), Format::Json, noise), "");
        let all = logged(Some("debug"), Format::Json, noise);
        assert_eq!(all.lines().count(), 2, "{all}");
    }

    #[test]
    fn a_wrong_filter_is_shown_with_the_way_out() {
        let error = subscriber(Some("amid=loud"), Format::Json, io::sink)
            .err()
            .map(|error| format!("{error:#}"))
            .unwrap_or_default();
        assert!(error.contains("the log filter `amid=loud`"), "{error}");
        assert!(error.contains("`warn,amid=debug`"), "{error}");
    }
}
