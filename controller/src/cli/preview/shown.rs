//! A preview as text, as one line, and as a comment.

use std::fmt::Write;

use super::Report;

/// By which the comment is found again; people do not see it.
pub(super) const MARK: &str = "<!-- amid preview -->";

/// The most files that are listed.
const MAX_FILES: usize = 20;
/// A comment's length, in bytes; forges refuse more than 64 KiB.
const MAX_COMMENT: usize = 60_000;

/// In one line.
pub(super) fn line(report: &Report) -> String {
    let apps = report.apps.values();
    let problems: usize = apps.map(|app| app.problems.len()).sum();
    let problems = problems + report.problems.len();
    if problems > 0 {
        let s = if problems == 1 { "" } else { "s" };
        return format!("{problems} problem{s}: do not merge this yet");
    }
    let mut effects: Vec<(&str, usize)> = Vec::new();
    for app in report.apps.values() {
        let words = app.effect.words();
        match effects.iter_mut().find(|(known, _)| *known == words) {
            Some((_, number)) => *number += 1,
            None => effects.push((words, 1)),
        }
    }
    if effects.is_empty() {
        return "no app is touched".to_owned();
    }
    let effects: Vec<String> = effects
        .iter()
        .map(|(words, number)| format!("{words}: {number}"))
        .collect();
    effects.join(", ")
}

/// For a terminal.
pub(super) fn text(report: &Report) -> String {
    let mut out = format!(
        "{} ({}) into {}: {}\n",
        report.branch,
        &report.commit[..8.min(report.commit.len())],
        report.into,
        line(report)
    );
    for (app, told) in &report.apps {
        let _ = writeln!(out, "\n{app}: {}", told.effect.words());
        for problem in &told.problems {
            let _ = writeln!(out, "  ✗ {problem}");
        }
        for says in &told.says {
            let _ = writeln!(out, "  {says}");
        }
    }
    for problem in &report.problems {
        let _ = writeln!(out, "\n✗ {problem}");
    }
    if !report.code.is_empty() {
        let _ = writeln!(out, "\n{}", code_words(report));
        for file in report.code.iter().take(MAX_FILES) {
            let _ = writeln!(out, "  {file}");
        }
    }
    if !report.online {
        out.push_str("\nAWS was not asked\n");
    }
    out
}

fn code_words(report: &Report) -> String {
    format!(
        "Files that amid runs once they are merged, and that nothing here has run: {}. Live releases must not change by them, or their plans are held",
        report.code.len()
    )
}

/// For the pull request.
pub(super) fn markdown(report: &Report) -> String {
    let mut out = format!("{MARK}\n**amid:** {}\n", plain(&line(report)));
    for (app, told) in &report.apps {
        let _ = write!(out, "\n### {app}: {}\n\n", told.effect.words());
        for problem in &told.problems {
            let _ = writeln!(out, "- ❌ {}", plain(problem));
        }
        for says in &told.says {
            let _ = writeln!(out, "- {}", plain(says));
        }
    }
    for problem in &report.problems {
        let _ = write!(out, "\n- ❌ {}\n", plain(problem));
    }
    if !report.code.is_empty() {
        let _ = write!(out, "\n### Code\n\n{}:\n\n", plain(&code_words(report)));
        for file in report.code.iter().take(MAX_FILES) {
            let _ = writeln!(out, "- {}", plain(file));
        }
    }
    let asked = if report.online {
        "images and groups as AWS has them now"
    } else {
        "AWS was not asked"
    };
    let commit = &report.commit[..8.min(report.commit.len())];
    let foot = format!("\n<sub>for {commit}; {asked}</sub>\n");
    if out.len() > MAX_COMMENT {
        let mut end = MAX_COMMENT;
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        out.push_str("\n\n… and more: `amid preview` shows all of it\n");
    }
    out + &foot
}

/// Text that comes from a manifest or a path, as nothing but text: it calls
/// nobody, holds no HTML and begins no element of its own.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '[' | ']' | '*' | '_' | '#' | '!' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_branch_says_stays_text() {
        assert_eq!(
            plain("<img> @team [x](y) a\nb"),
            "&lt;img&gt; &#64;team \\[x\\](y) a b"
        );
    }

    #[test]
    fn a_comment_has_a_bound_and_keeps_its_mark() {
        let report = Report {
            branch: "b".to_owned(),
            commit: "c".repeat(40),
            into: "main".to_owned(),
            ok: false,
            online: false,
            apps: Default::default(),
            problems: vec!["ä".repeat(300); 300],
            code: Vec::new(),
        };
        let comment = markdown(&report);
        assert!(comment.len() < 64 << 10 && comment.starts_with(MARK));
        assert!(comment.contains("300 problems"));
    }
}
