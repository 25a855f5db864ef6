//! Judges a run that has ended: what it did, or why not and what to do next.
//!
//! The exit code alone is never believed: terragrunt turns a killed terraform
//! into 0 (with `-detailed-exitcode`) and swallows cancelled runs. A plan or
//! an apply counts only with its closing line.

use super::child::{Finished, Stopped};
use super::error::RunError;
use super::output::{Diagnostic, Kind};
use super::record::{Ending, Operation};

/// Whether the run did what it was started for.
pub(super) fn judge(finished: &Finished) -> Result<(), RunError> {
    let report = &finished.report;
    let code = finished.exit.map(|exit| exit.code());
    let done = match finished.record.operation {
        // Zero says "no changes", so the lines must agree.
        Operation::Plan => {
            (code == Some(Some(0)) && report.changes.is_empty() || code == Some(Some(2)))
                && report.completed("plan")
                && finished
                    .run
                    .plan()
                    .metadata()
                    .is_ok_and(|meta| meta.len() > 0)
        }
        // Of an adopted apply no exit code is known.
        Operation::Apply => {
            (code == Some(Some(0)) || code.is_none() && report.outputs.is_some())
                && report.completed("apply")
        }
        Operation::Output | Operation::Show | Operation::State | Operation::Unlock => {
            code == Some(Some(0))
        }
    };
    if done && report.errors().next().is_none() && finished.stopped != Some(Stopped::TooLarge) {
        return Ok(());
    }
    match finished.stopped {
        Some(Stopped::Timeout) => return Err(RunError::Timeout),
        Some(Stopped::TooLarge) => return Err(RunError::OutputTooLarge),
        None => {}
    }
    Err(why(finished, code.flatten()))
}

fn why(finished: &Finished, code: Option<i32>) -> RunError {
    let report = &finished.report;
    let errors: Vec<&Diagnostic> = report.errors().collect();
    let of_kind = |kind: Kind| errors.iter().find(|one| one.kind == kind);
    if let Some(lock) = of_kind(Kind::Locked).and_then(|one| one.lock()) {
        return RunError::StateLocked(lock);
    }
    if of_kind(Kind::StalePlan).is_some() {
        return RunError::StalePlan;
    }
    if let Some(one) = of_kind(Kind::BrokenCache) {
        return RunError::BrokenCache(one.to_string());
    }
    let taken: Vec<String> = errors
        .iter()
        .filter(|one| one.kind == Kind::AlreadyExists)
        .map(|one| one.address.clone().unwrap_or_else(|| one.to_string()))
        .collect();
    if !taken.is_empty() {
        return RunError::AlreadyExists(taken);
    }
    if !errors.is_empty() {
        return RunError::Diagnostics(report.diagnostics.clone());
    }
    unspoken(finished, code)
}

/// Terraform said nothing on stdout: the log, the exit code, or silence.
fn unspoken(finished: &Finished, code: Option<i32>) -> RunError {
    let log = finished.log.text();
    let how = match (code, finished.exit) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(exit)) => exit.to_string(),
        (None, None) => "it was found ended".to_owned(),
    };
    // Lines without an error and without a closing line: cut off.
    if finished.report.lines > 0 || code.is_none() || log.contains("signal: killed") {
        return RunError::Killed(how);
    }
    match Diagnostic::from_log(log) {
        Some(one) if one.kind == Kind::BrokenCache => RunError::BrokenCache(one.summary),
        Some(one) if missing_tool(code, log) => RunError::ToolMissing(one.to_string()),
        Some(one) if code != Some(0) => match one.lock().filter(|_| one.kind == Kind::Locked) {
            Some(lock) => RunError::StateLocked(lock),
            None => RunError::Diagnostics(vec![one]),
        },
        _ => RunError::Killed(format!("{how} without a word")),
    }
}

fn missing_tool(code: Option<i32>, log: &str) -> bool {
    matches!(code, Some(126 | 127))
        || log.contains("fork/exec")
        || log.contains("executable file not found")
}

/// What is written into the record.
pub(super) fn ending(finished: &Finished, result: Result<(), &RunError>) -> Ending {
    if finished
        .report
        .errors()
        .any(|one| one.kind == Kind::LockNotReleased)
    {
        return Ending::LeftLock;
    }
    match result {
        Ok(()) => Ending::Succeeded,
        Err(RunError::StateLocked(_)) => Ending::Locked,
        Err(RunError::Killed(_) | RunError::OutputTooLarge) => Ending::Killed,
        // An apply that was interrupted says so with errors of its own.
        Err(RunError::Timeout) if finished.report.errors().next().is_none() => Ending::Killed,
        Err(_) => Ending::Failed,
    }
}
