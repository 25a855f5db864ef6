//! What a run prints: terraform's JSON lines on stdout, terragrunt's log on
//! stderr.
//!
//! Lines are fed as they arrive and folded into a [`Report`] of bounded size;
//! the text itself stays in files. Whatever is not a JSON line of a known type
//! is counted and passed over, so no output can stop or grow the controller.
//! What a diagnostic means for the next step is decided in `diagnostic.rs`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::diagnostic::{Diagnostic, Kind, LockInfo, Severity};

/// A line longer than this is passed over and counted.
pub(super) const LINE_MAX: usize = 1024 * 1024;
const CHANGES_MAX: usize = 10_000;
const DIAGNOSTICS_MAX: usize = 200;
/// How much of stderr is kept for messages, from its end.
const STDERR_KEPT: usize = 64 * 1024;

/// What terraform would do, or did, with one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// The resource's address, such as `aws_autoscaling_group.release["…"]`.
    pub address: String,
    /// The action.
    pub action: Action,
    /// Why, in terraform's word (`delete_because_each_key`), when it says so.
    pub reason: Option<String>,
    /// The resource is taken in by an `import` block.
    pub import: bool,
}

/// Terraform's name for what happens to a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are terraform's own")]
pub enum Action {
    Noop,
    Create,
    Read,
    Update,
    Replace,
    Delete,
    Import,
    Move,
    Forget,
    /// A word that this version of amid does not know.
    #[serde(untagged)]
    Other(String),
}

/// The last line of a complete plan or apply.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Summary {
    /// `plan` or `apply`.
    pub operation: String,
}

/// The sum of what was printed so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Report {
    /// Planned changes, without reads.
    pub changes: Vec<Change>,
    /// Resources that an apply has finished.
    pub completed: Vec<Change>,
    /// Resources that an apply works on now.
    pub running: BTreeSet<String>,
    /// The closing line, once it was seen.
    pub summary: Option<Summary>,
    /// The `outputs` line's object, once it was seen.
    pub outputs: Option<Value>,
    /// Warnings and errors.
    pub diagnostics: Vec<Diagnostic>,
    /// Drift that terraform noticed. It names every resource that a previous
    /// apply created, so it is only counted.
    pub drift_lines: u64,
    /// Lines that were too long or no JSON.
    pub skipped_lines: u64,
    /// More changes or diagnostics came than are kept.
    pub overflowed: bool,
    /// All lines that were understood.
    pub lines: u64,
    /// When terraform printed the first line after its version, that is: after
    /// it took the state lock.
    pub first_event_at: Option<Timestamp>,
}

impl Report {
    /// Folds in one line.
    pub(super) fn line(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        let parsed = serde_json::from_slice::<Value>(line).ok();
        let Some((value, kind)) = parsed.and_then(|value| {
            let kind = value.get("type")?.as_str()?.to_owned();
            Some((value, kind))
        }) else {
            self.skipped_lines += 1;
            return;
        };
        self.lines += 1;
        match kind.as_str() {
            "planned_change" => self.planned(&value["change"]),
            "resource_drift" => self.drift_lines += 1,
            "change_summary" => {
                self.summary = Summary::deserialize(&value["changes"]).ok();
            }
            "outputs" => self.outputs = Some(value["outputs"].clone()),
            "diagnostic" => self.diagnostic(&value["diagnostic"]),
            "apply_start" => {
                if let Some(change) = change(&value["hook"]) {
                    self.running.insert(change.address);
                }
            }
            "apply_complete" | "apply_errored" => {
                if let Some(change) = change(&value["hook"]) {
                    self.running.remove(&change.address);
                    if kind == "apply_complete" {
                        keep(
                            &mut self.completed,
                            change,
                            CHANGES_MAX,
                            &mut self.overflowed,
                        );
                    }
                }
            }
            _ => {}
        }
        // Plans and applies take the lock before they print any of these.
        let after_lock = matches!(
            kind.as_str(),
            "planned_change" | "apply_start" | "change_summary" | "refresh_start"
        );
        if after_lock && self.first_event_at.is_none() {
            self.first_event_at = value["@timestamp"].as_str().and_then(|at| at.parse().ok());
        }
    }

    /// Counts a line that was too long to read.
    pub(super) fn too_long(&mut self) {
        self.skipped_lines += 1;
    }

    fn planned(&mut self, value: &Value) {
        if let Some(change) = change(value)
            && !matches!(change.action, Action::Read)
            && (change.action != Action::Noop || change.import)
        {
            keep(&mut self.changes, change, CHANGES_MAX, &mut self.overflowed);
        }
    }

    fn diagnostic(&mut self, value: &Value) {
        let diagnostic = Diagnostic::from_json(value);
        keep(
            &mut self.diagnostics,
            diagnostic,
            DIAGNOSTICS_MAX,
            &mut self.overflowed,
        );
    }

    /// Whether the closing line of `operation` was seen.
    pub(super) fn completed(&self, operation: &str) -> bool {
        self.summary
            .as_ref()
            .is_some_and(|summary| summary.operation == operation)
    }

    /// The diagnostics that are errors.
    pub(super) fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|one| one.is_error())
    }

    /// Names of the outputs that a plan would change.
    pub(super) fn outputs_changed(&self) -> Vec<String> {
        let Some(Value::Object(outputs)) = &self.outputs else {
            return Vec::new();
        };
        outputs
            .iter()
            .filter(|(_, output)| {
                output["action"]
                    .as_str()
                    .is_some_and(|action| action != "noop")
            })
            .map(|(name, _)| name.clone())
            .collect()
    }
}

fn keep<T>(list: &mut Vec<T>, item: T, max: usize, overflowed: &mut bool) {
    if list.len() < max {
        list.push(item);
    } else {
        *overflowed = true;
    }
}

fn change(value: &Value) -> Option<Change> {
    Some(Change {
        address: value["resource"]["addr"].as_str()?.to_owned(),
        action: Action::deserialize(&value["action"]).ok()?,
        reason: value["reason"].as_str().map(str::to_owned),
        import: value["importing"].is_object(),
    })
}

/// Cuts a stream into lines without ever holding more than one of them.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// Inside a line that is already too long.
    skipping: bool,
}

impl Lines {
    /// Feeds more bytes; `line` gets each whole line, or `None` for one that
    /// was too long.
    pub(super) fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(Option<&[u8]>)) {
        let mut pieces = bytes.split_inclusive(|byte| *byte == b'\n');
        for piece in &mut pieces {
            let (body, ended) = match piece.split_last() {
                Some((b'\n', body)) => (body, true),
                _ => (piece, false),
            };
            if !self.skipping && self.partial.len() + body.len() > LINE_MAX {
                self.skipping = true;
                self.partial = Vec::new();
            }
            match (ended, self.skipping) {
                (true, true) => {
                    line(None);
                    self.skipping = false;
                }
                (true, false) if self.partial.is_empty() => line(Some(body)),
                (true, false) => {
                    self.partial.extend_from_slice(body);
                    line(Some(&self.partial));
                    self.partial.clear();
                }
                (false, true) => {}
                (false, false) => self.partial.extend_from_slice(body),
            }
        }
    }

    /// The stream ended: a last line without its end still counts.
    pub(super) fn finish(&mut self, mut line: impl FnMut(Option<&[u8]>)) {
        if std::mem::take(&mut self.skipping) {
            line(None);
        } else if !self.partial.is_empty() {
            line(Some(&std::mem::take(&mut self.partial)));
        }
    }

    /// Part of the stream was lost: the next line cannot be trusted.
    pub(super) fn lost_some(&mut self) {
        self.partial = Vec::new();
        self.skipping = true;
    }
}

/// The end of terragrunt's log, and its errors.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    text: String,
}

impl Log {
    /// Folds in one line: of terragrunt's JSON the message, else the text.
    pub(super) fn line(&mut self, line: &[u8]) {
        let parsed = serde_json::from_slice::<Value>(line).ok();
        match parsed.as_ref().and_then(|value| value.get("msg")?.as_str()) {
            Some(message) => {
                let level = parsed
                    .as_ref()
                    .and_then(|value| value.get("level")?.as_str());
                // Progress is of no use once a run has failed.
                if matches!(level, Some("error" | "fatal" | "stderr")) {
                    self.push(message);
                }
            }
            None => self.push(&String::from_utf8_lossy(line)),
        }
    }

    fn push(&mut self, message: &str) {
        self.text.push_str(message.trim_end());
        self.text.push('\n');
        if self.text.len() > STDERR_KEPT {
            let mut from = self.text.len() - STDERR_KEPT / 2;
            while !self.text.is_char_boundary(from) {
                from += 1;
            }
            self.text.drain(..from);
        }
    }

    /// Everything that was kept.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<Option<String>> {
        let mut seen = Vec::new();
        let mut lines = Lines::default();
        let mut push = |line: Option<&[u8]>| {
            seen.push(line.map(|line| String::from_utf8_lossy(line).into_owned()));
        };
        for chunk in chunks {
            lines.feed(chunk, &mut push);
        }
        lines.finish(&mut push);
        seen
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let text = b"one\ntwo\n\nthree";
        let expected: Vec<_> = ["one", "two", "", "three"]
            .iter()
            .map(|s| Some((*s).to_owned()))
            .collect();
        for cut in 0..=text.len() {
            assert_eq!(
                lines(&[&text[..cut], &text[cut..]]),
                expected,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_passed_over_and_the_next_is_read() {
        let long = vec![b'x'; LINE_MAX];
        let seen = lines(&[b"a\n", &long, b"y", &long, b"\nb\n"]);
        assert_eq!(seen, [Some("a".to_owned()), None, Some("b".to_owned())]);
        assert_eq!(lines(&[&long, b"y"]), [None], "without an end");
    }

    fn report(text: &[&str]) -> Report {
        let mut report = Report::default();
        for line in text {
            report.line(line.as_bytes());
        }
        report
    }

    #[test]
    fn a_plan_is_read() {
        let report = report(&[
            r#"{"type":"version","terraform":"1.11.4","ui":"1.2","@timestamp":"2026-11-23T12:02:06.0Z"}"#,
            r#"{"type":"resource_drift","change":{"resource":{"addr":"a.x"},"action":"update"}}"#,
            r#"{"type":"planned_change","@timestamp":"2026-11-23T12:02:07.5Z","change":{"resource":{"addr":"a.b[\"k\"]"},"action":"delete","reason":"delete_because_each_key"}}"#,
            r#"{"type":"planned_change","change":{"resource":{"addr":"data.x.y"},"action":"read"}}"#,
            r#"{"type":"planned_change","change":{"resource":{"addr":"a.c"},"action":"noop","importing":{"id":"i-1"}}}"#,
            r#"{"type":"planned_change","change":{"resource":{"addr":"a.d"},"action":"transmute"}}"#,
            r#"{"type":"change_summary","changes":{"add":0,"change":0,"import":1,"remove":1,"operation":"plan"}}"#,
            r#"{"type":"outputs","outputs":{"memory":{"action":"noop"},"releases":{"action":"update"}}}"#,
            r#"{"type":"from_the_future","x":[]}"#,
        ]);
        let seen: Vec<_> = report
            .changes
            .iter()
            .map(|change| {
                (
                    change.address.as_str(),
                    change.action.clone(),
                    change.import,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("a.b[\"k\"]", Action::Delete, false),
                ("a.c", Action::Noop, true),
                ("a.d", Action::Other("transmute".to_owned()), false),
            ]
        );
        assert_eq!(
            report.changes[0].reason.as_deref(),
            Some("delete_because_each_key")
        );
        assert!(report.completed("plan") && !report.completed("apply"));
        assert_eq!(report.outputs_changed(), ["releases"]);
        assert_eq!((report.drift_lines, report.skipped_lines), (1, 0));
        assert_eq!(report.first_event_at, "2026-11-23T12:02:07.5Z".parse().ok());
    }

    #[test]
    fn rubbish_is_counted_and_harmless() {
        let deep = "[".repeat(100_000);
        let mut report = report(&[
            "{\"type\":\"planned_change\",\"chan",
            "null",
            "[1]",
            "{}",
            "\u{0}\u{1b}[31m",
            &deep,
        ]);
        report.line(&[0xff, 0xfe, 0x00]);
        report.line(br#"{"type":"planned_change"}"#);
        report.line(br#"{"type":"change_summary","changes":"all"}"#);
        report.line(br#"{"type":"diagnostic","diagnostic":7}"#);
        assert_eq!(report.skipped_lines, 7);
        assert!(report.changes.is_empty() && report.summary.is_none());
    }

    #[test]
    fn a_flood_of_changes_is_bounded_and_said() {
        let mut report = Report::default();
        for number in 0..CHANGES_MAX + 10 {
            report.line(format!(r#"{{"type":"planned_change","change":{{"resource":{{"addr":"a.b[{number}]"}},"action":"create"}}}}"#).as_bytes());
        }
        assert_eq!(report.changes.len(), CHANGES_MAX);
        assert!(report.overflowed);
    }

    #[test]
    fn the_log_keeps_errors_and_its_end() {
        let mut log = Log::default();
        log.line(br#"{"level":"info","msg":"Initializing the backend"}"#);
        log.line(br#"{"level":"error","msg":"it broke\n"}"#);
        log.line(b"plain text");
        assert_eq!(log.text(), "it broke\nplain text\n");
        for _ in 0..10_000 {
            log.line("aé".repeat(20).as_bytes());
        }
        log.line(b"last");
        assert!(log.text().len() <= STDERR_KEPT && log.text().ends_with("last\n"));
    }
}
