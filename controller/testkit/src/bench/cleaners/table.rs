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

    /// Images that it would delete though they are needed; none where that was not to be found out.
    fn lost(&self, kind: &Kind) -> Option<usize> {
        let is_there = !matches!(kind.place, Place::Aws(field) if self.lacks.contains(&field));
        (self.answer.error.is_none() && is_there).then(|| {
            let lost = |id: &&String| self.answer.would_delete.contains(*id);
            kind.ids.iter().filter(lost).count()
        })
    }

    /// The sum over these kinds.
    fn sum<'k>(&self, kinds: impl Iterator<Item = &'k Kind>) -> Option<usize> {
        let known: Vec<usize> = kinds.filter_map(|kind| self.lost(kind)).collect();
        (!known.is_empty()).then(|| known.iter().sum())
    }
}

/// The whole text; `again` is how many seconds a second run of ours took.
pub(super) fn write(
    account: &Account,
    answers: &[Answer],
    moto_lacks: &BTreeMap<String, String>,
    again: f64,
    now: Timestamp,
) -> String {
    let columns: Vec<Column<'_>> = answers
        .iter()
        .map(|answer| Column {
            answer,
            lacks: match answer.on.as_str() {
                "moto" => moto_lacks.keys().map(String::as_str).collect(),
                _ => Vec::new(),
            },
        })
        .collect();
    let day = now.strftime("%Y-%m-%d %H:%M UTC");
    let needed: usize = account.needed.iter().map(|kind| kind.ids.len()).sum();
    let newest = account.newest();
    let mut text = format!(
        "# Cleaners of images, compared\n\n{}\nMeasured on {day} by `scripts/bench.sh cleaners`, which writes this \
         page.\n\nOne emulated account of {} images: {needed} are needed, each planted for one reason; {newest} are the \
         newest of their\nfamily, which nothing needs; the other {} may go. Each tool only reported. A figure is how many \
         images it would\nhave deleted; – where that cannot be said, see below.\n\n",
        machine(),
        account.images.len(),
        account.images.len() - needed - newest,
    );
    table(&mut text, account, &columns);
    let _ = writeln!(
        text,
        "\nTime is from the start of a process to its answer; for amid from the start of the daemon to its first \
         report, git and\nterraform's states included (a second run: {again:.2} s). It depends on the emulator: moto \
         takes longer to list a\nthousand images than the stand-in does.\n\n## How\n"
    );
    how(&mut text, &columns, account);
    let _ = writeln!(
        text,
        "\namid reads the account from the project's own AWS stand-in: moto does not hold all of it, and where any list \
         cannot be\nread to its end amid reports and does nothing else. The others read moto, and the stand-in with the \
         same ids, names, dates\nand tags. What of the account moto does not hold, in its own words:\n"
    );
    for (field, why) in moto_lacks {
        let kinds = account.needed.iter();
        let kinds = kinds.filter(|kind| matches!(kind.place, Place::Aws(one) if one == field));
        let kinds: Vec<&str> = kinds.map(|kind| kind.what).collect();
        let _ = writeln!(text, "- {}: {why}", kinds.join(", "));
    }
    text
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
    let shown = |of: Option<usize>| match of {
        None => "–".to_owned(),
        Some(0) => "0".to_owned(),
        Some(lost) => format!("**{lost}**"),
    };
    let of_aws = |kind: &&Kind| kind.place != Place::Elsewhere;
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
    let planted = |kinds: &mut dyn Iterator<Item = &Kind>| -> String {
        kinds.map(|kind| kind.ids.len()).sum::<usize>().to_string()
    };
    let all = planted(&mut account.needed.iter().filter(of_aws));
    row(
        ["all that AWS itself shows as needed", &all, ""],
        &|column| shown(column.sum(account.needed.iter().filter(of_aws))),
    );
    let all = planted(&mut account.needed.iter());
    row(["all that is needed", &all, ""], &|column| {
        shown(column.sum(account.needed.iter()))
    });
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
