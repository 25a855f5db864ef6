//! bench/CLEANERS.md: the comparison as a table of kinds and tools.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use jiff::Timestamp;

use super::{
    Answer,
    account::{Account, Kind, Place},
};
use crate::bench::report::machine;

/// What an answer comes to.
struct Column<'a> {
    answer: &'a Answer,
    /// Fields of the account that its emulator cannot hold.
    lacks: Vec<&'a str>,
}

impl Column<'_> {
    fn title(&self) -> String {
        let Answer {
            tool, version, on, ..
        } = self.answer;
        format!("{tool} {version}, {on}")
    }

    /// Whether its emulator holds what makes these images needed.
    fn holds(&self, kind: &Kind) -> bool {
        !matches!(kind.place, Place::Aws(field) if self.lacks.contains(&field))
    }

    /// Images that it would delete though they are needed; none where that was not to be found out.
    fn lost(&self, kind: &Kind) -> Option<usize> {
        (self.answer.error.is_none() && self.holds(kind)).then(|| {
            let lost = |id: &&String| self.answer.would_delete.contains(*id);
            kind.ids.iter().filter(lost).count()
        })
    }

    /// The sum over these kinds, and of how many where its emulator does not hold all of them.
    fn sum(&self, kinds: &[&Kind]) -> String {
        let known = kinds.iter().filter(|kind| self.holds(kind));
        let of: usize = known.map(|kind| kind.ids.len()).sum();
        let all: usize = kinds.iter().map(|kind| kind.ids.len()).sum();
        let lost: Option<usize> = match self.answer.error {
            Some(_) => None,
            None => Some(kinds.iter().filter_map(|kind| self.lost(kind)).sum()),
        };
        let of = match of == all {
            true => String::new(),
            false => format!(" of {of}"),
        };
        format!("{}{of}", shown(lost))
    }
}

/// A figure of the table; one that should be 0 stands out.
fn shown(lost: Option<usize>) -> String {
    match lost {
        None => "–".to_owned(),
        Some(0) => "0".to_owned(),
        Some(lost) => format!("**{lost}**"),
    }
}

/// What the page is made of.
pub(super) struct Page<'a> {
    pub(super) account: &'a Account,
    /// Ours first.
    pub(super) answers: &'a [Answer],
    /// What of the account moto cannot hold: the field, and why.
    pub(super) moto_lacks: &'a BTreeMap<String, String>,
    /// The seconds that a second run of ours took.
    pub(super) again: f64,
    pub(super) now: Timestamp,
}

impl<'a> Page<'a> {
    /// The whole text.
    pub(super) fn text(&self) -> String {
        let lacks: Vec<&str> = self.moto_lacks.keys().map(String::as_str).collect();
        let column = |answer: &'a Answer| Column {
            answer,
            lacks: match answer.on.as_str() {
                "moto" => lacks.clone(),
                _ => Vec::new(),
            },
        };
        let columns: Vec<Column<'_>> = self.answers.iter().map(column).collect();
        let account = self.account;
        let needed: usize = account.needed.iter().map(|kind| kind.ids.len()).sum();
        let newest = account.newest();
        let mut text = format!(
            "# Cleaners of images, compared\n\n{}\nMeasured on {} by `scripts/bench.sh cleaners`, which writes this \
             page.\n\nOne emulated account of {} images: {needed} are needed, each planted for one reason; {newest} are \
             the newest of their\nfamily, which nothing needs; the other {} may go. Each tool only reported. A figure is \
             how many images it would\nhave deleted; – where that cannot be said, see below. The reasons are those that \
             amid looks for, so its own zeros are no\nmore than what it promises; the other columns show what is lost by \
             a cleaner that does not know a reason. None of the\nothers reads git or terraform's states by itself.\n\n",
            machine(),
            self.now.strftime("%Y-%m-%d %H:%M UTC"),
            account.images.len(),
            account.images.len() - needed - newest,
        );
        table(&mut text, account, &columns);
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "\nTime is from the start of a process to its answer; for amid from the start of the daemon to its first \
             report, git and\nterraform's states included (a second run: {:.2} s). It depends on the emulator: moto \
             takes longer to list a\nthousand images than the stand-in does, so compare within one of them.\n\n## How\n",
            self.again
        );
        how(&mut text, &columns, account);
        let _ = writeln!(
            text,
            "\n## Emulators\n\namid reads moto through the project's proxy, which plays what moto does not answer: instance refreshes (none), \
             the\nreferences of an image, the rules of the Recycle Bin (none), pages. The others read moto itself. The stand-in is the\n\
             project's own, with the same ids, names, dates and tags. What of the account moto does not hold, in its own words:\n"
        );
        for (field, why) in self.moto_lacks {
            let kinds = account.needed.iter();
            let kinds = kinds.filter(|kind| matches!(kind.place, Place::Aws(one) if one == field));
            let kinds: Vec<&str> = kinds.map(|kind| kind.what).collect();
            let _ = writeln!(text, "- {}: {why}", kinds.join(", "));
        }
        text
    }
}

/// The reasons that amid gives for images of a kind.
fn reasons(columns: &[Column<'_>], ids: &[String]) -> String {
    let given = columns.iter().map(|column| &column.answer.reasons);
    let labels: BTreeSet<&String> = given
        .flat_map(|reasons| ids.iter().filter_map(|id| reasons.get(id)))
        .flatten()
        .collect();
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    labels.join(", ")
}

fn table(text: &mut String, account: &Account, columns: &[Column<'_>]) {
    let mut row = |cells: [&str; 3], of: &dyn Fn(&Column<'_>) -> String| {
        let cells_of_tools: Vec<String> = columns.iter().map(of).collect();
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            cells[0],
            cells[1],
            cells_of_tools.join(" | "),
            cells[2],
        );
    };
    row(["needed for", "planted", "amid keeps it for"], &|column| {
        column.title()
    });
    row(["---", "---", "---"], &|_| "---".to_owned());
    for kind in &account.needed {
        let planted = kind.ids.len().to_string();
        let why = reasons(columns, &kind.ids);
        row([kind.what, &planted, &why], &|column| {
            shown(column.lost(kind))
        });
    }
    let all: Vec<&Kind> = account.needed.iter().collect();
    let of_aws = all.iter().filter(|kind| kind.place != Place::Elsewhere);
    let of_aws: Vec<&Kind> = of_aws.copied().collect();
    for (what, kinds) in [
        ("all that AWS itself shows as needed", of_aws),
        ("all that is needed", all),
    ] {
        let planted: usize = kinds.iter().map(|kind| kind.ids.len()).sum();
        row([what, &planted.to_string(), ""], &|column| {
            column.sum(&kinds)
        });
    }
    let newest = account.newest();
    let plain = |column: &Column<'_>, of: &dyn Fn(&str) -> bool| match column.answer.error {
        Some(_) => "–".to_owned(),
        None => {
            let would = column.answer.would_delete.iter();
            would.filter(|id| of(id)).count().to_string()
        }
    };
    let is_newest = |id: &str| account.is_newest(id);
    let ids = account.images.iter().map(|image| image.id.clone());
    let ids: Vec<String> = ids.filter(|id| is_newest(id)).collect();
    let kept = reasons(columns, &ids);
    row(
        [
            "nothing: the newest of a family",
            &newest.to_string(),
            &kept,
        ],
        &|column| plain(column, &is_newest),
    );
    let is_needed = |id: &str| {
        let mut ids = account.needed.iter().flat_map(|kind| &kind.ids);
        ids.any(|needed| needed == id)
    };
    let rest = account.images.iter();
    let rest = rest.filter(|image| !is_newest(&image.id) && !is_needed(&image.id));
    row(
        ["nothing: may go", &rest.count().to_string(), ""],
        &|column| plain(column, &|id| !is_newest(id) && !is_needed(id)),
    );
    row(["time", "", ""], &|column| match column.answer.error {
        Some(_) => "–".to_owned(),
        None => format!("{:.2} s", column.answer.seconds),
    });
}

/// How each tool was called, why one could not be, and whether both emulators led it to the same.
fn how(text: &mut String, columns: &[Column<'_>], account: &Account) {
    for (at, column) in columns.iter().enumerate() {
        let answer = column.answer;
        let mut before = columns[..at].iter();
        let same_tool = before.find(|other| other.answer.tool == answer.tool);
        if let Some(error) = &answer.error {
            let words: Vec<&str> = error.split_whitespace().collect();
            let _ = writeln!(
                text,
                "- {} could not be run: {}",
                column.title(),
                words.join(" ")
            );
        } else if let Some(other) = same_tool {
            let differs: Vec<&str> = account
                .needed
                .iter()
                .filter(|kind| {
                    let (one, two) = (column.lost(kind), other.lost(kind));
                    one.is_some() && two.is_some() && one != two
                })
                .map(|kind| kind.what)
                .collect();
            let _ = match differs.is_empty() {
                true => writeln!(
                    text,
                    "- {} answers the same on both emulators, wherever both hold what is needed.",
                    answer.tool
                ),
                false => writeln!(
                    text,
                    "- {} answers otherwise on the stand-in for: {}.",
                    answer.tool,
                    differs.join(", ")
                ),
            };
        } else {
            let _ = writeln!(
                text,
                "- {} {}: {}.",
                answer.tool, answer.version, answer.called
            );
        }
    }
}
