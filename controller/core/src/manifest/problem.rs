//! What is wrong with a manifest, and where.
//!
//! While a file is read, problems are notes with a byte offset; at its end
//! they become [`Problem`]s with line and column, in the order of the text.
//! Their number and their length are bounded: a hostile file costs no more
//! than an honest one.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::Serialize;

use super::text::{BOM, starts_with_mark};

/// How many problems of one file are kept.
const MAX_PROBLEMS: usize = 50;

/// How long a message or a field's name may be, in characters.
const MAX_MESSAGE: usize = 300;

/// One mistake in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as it was named to the parser, such as
    /// `desired/demo/todo.json`.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The field as a path, such as `roll.bake`, where it is about one.
    pub field: Option<String>,
    /// What is wrong and what to do, one sentence.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            field: _,
            message,
        } = self;
        write!(f, "{file}:{line}:{column}: {message}")
    }
}

impl Problem {
    /// A problem of a file as a whole.
    pub(super) fn of_file(file: &str, message: &str) -> Self {
        Self {
            file: shorten(file.to_owned()),
            line: 1,
            column: 1,
            field: None,
            message: shorten(message.to_owned()),
        }
    }
}

/// The problems of one file while it is being read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    kept: RefCell<Vec<Note>>,
    /// How many were found beyond those that are kept.
    beyond: Cell<usize>,
}

#[derive(Debug)]
struct Note {
    at: usize,
    field: Option<String>,
    message: String,
}

impl Notes {
    /// Adds a problem at a byte of the file.
    pub(super) fn add(&self, at: usize, field: Option<&str>, message: impl Into<String>) {
        if self.are_full() {
            self.beyond.set(self.beyond.get() + 1);
            return;
        }
        self.kept.borrow_mut().push(Note {
            at,
            field: field.map(|field| shorten(field.to_owned())),
            message: shorten(message.into()),
        });
    }

    /// Whether further problems are only counted.
    pub(super) fn are_full(&self) -> bool {
        self.kept.borrow().len() >= MAX_PROBLEMS
    }

    /// The problems with their places in `bytes`, in the order of the text.
    pub(super) fn into_problems(self, file: &str, bytes: &[u8]) -> Vec<Problem> {
        let mut notes = self.kept.into_inner();
        notes.sort_by_key(|note| note.at);
        let mut problems: Vec<Problem> = notes
            .into_iter()
            .map(|note| {
                let (line, column) = place(bytes, note.at);
                Problem {
                    file: shorten(file.to_owned()),
                    line,
                    column,
                    field: note.field,
                    message: note.message,
                }
            })
            .collect();
        let beyond = self.beyond.get();
        if beyond > 0 {
            let message = format!("{beyond} more problems in this file are not shown");
            problems.push(Problem::of_file(file, &message));
        }
        problems
    }
}

/// Line and column of a byte. A byte order mark takes no column, as editors
/// do not show it.
fn place(bytes: &[u8], at: usize) -> (u32, u32) {
    let before = bytes.get(..at).unwrap_or(bytes);
    let line_start = before
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |newline| newline + 1);
    let mut this_line = before.get(line_start..).unwrap_or_default();
    if line_start == 0 && starts_with_mark(this_line) {
        this_line = this_line.get(BOM.len()..).unwrap_or_default();
    }
    let lines = before.iter().filter(|&&b| b == b'\n').count();
    let characters = this_line.iter().filter(|&&b| b & 0xC0 != 0x80).count();
    let from_one = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    (from_one(lines), from_one(characters))
}

fn shorten(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(MAX_MESSAGE) {
        text.truncate(at);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_characters_from_one() {
        let text = "é{\n  \"ä\": x\r\n}".as_bytes();
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, 2), (1, 2));
        assert_eq!(place(text, 4), (2, 1));
        assert_eq!(place(text, 12), (2, 8));
        assert_eq!(place(text, 99), (3, 2));
        assert_eq!(place(b"\xEF\xBB\xBF{", 3), (1, 1));
    }

    #[test]
    fn problems_come_in_the_order_of_the_text_and_are_bounded() {
        let notes = Notes::default();
        for at in (0..1000).rev() {
            notes.add(at, Some("f"), "é".repeat(10_000));
        }
        let problems = notes.into_problems("f.json", &[b' '; 2000]);
        assert_eq!(problems.len(), MAX_PROBLEMS + 1);
        assert!(
            problems[..MAX_PROBLEMS].is_sorted_by_key(|problem| problem.column),
            "{problems:?}"
        );
        assert_eq!(problems[0].message.chars().count(), MAX_MESSAGE + 1);
        assert_eq!(
            problems[MAX_PROBLEMS].to_string(),
            "f.json:1:1: 950 more problems in this file are not shown"
        );
    }
}
