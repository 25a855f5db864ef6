//! bench/RESULTS.md: a table of bars and figures, and where they were measured.
//!
//! A run of one benchmark replaces its own rows and keeps the others, each with the day of its measurement.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use jiff::Timestamp;

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    unit: &'static str,
    limit: f64,
    of: Of,
}

/// Which of the figures has to be within the bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Min,
    Median,
    P99,
    Max,
}

impl Bar {
    /// Ninety-nine of a hundred have to be within it.
    pub fn p99(unit: &'static str, limit: f64) -> Bar {
        let of = Of::P99;
        Bar { unit, limit, of }
    }

    /// Every one has to be within it.
    pub fn max(unit: &'static str, limit: f64) -> Bar {
        let of = Of::Max;
        Bar { unit, limit, of }
    }

    /// Half of them have to be within it.
    pub fn median(unit: &'static str, limit: f64) -> Bar {
        let of = Of::Median;
        Bar { unit, limit, of }
    }

    /// The least has to be within it.
    pub fn min(unit: &'static str, limit: f64) -> Bar {
        let of = Of::Min;
        Bar { unit, limit, of }
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    name: &'static str,
    what: String,
    bar: Option<Bar>,
    unit: &'static str,
    sorted: Vec<f64>,
}

impl Row {
    /// A row of these samples, in the bar's unit.
    pub fn of_samples(name: &'static str, what: &str, bar: Bar, mut samples: Vec<f64>) -> Row {
        samples.sort_by(f64::total_cmp);
        Row {
            name,
            what: what.to_owned(),
            unit: bar.unit,
            bar: Some(bar),
            sorted: samples,
        }
    }

    /// A row of one figure.
    pub fn of_one(name: &'static str, what: &str, bar: Bar, value: f64) -> Row {
        Row::of_samples(name, what, bar, vec![value])
    }

    /// A row that is there to be read, without a bar.
    pub fn without_bar(
        name: &'static str,
        what: &str,
        unit: &'static str,
        samples: Vec<f64>,
    ) -> Row {
        let mut row = Row::of_samples(name, what, Bar::max(unit, f64::MAX), samples);
        row.bar = None;
        row
    }

    /// The sample below which this share of all lies; the worst one, where there are too few.
    fn at(&self, share: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        let rank = (share * self.sorted.len() as f64).ceil() as usize;
        let at = rank.saturating_sub(1).min(last);
        self.sorted.get(at).copied().unwrap_or(f64::NAN)
    }

    fn judged(&self, of: Of) -> f64 {
        match of {
            Of::Min => self.at(0.0),
            Of::Median => self.at(0.5),
            Of::P99 => self.at(0.99),
            Of::Max => self.at(1.0),
        }
    }

    /// Whether the bar is met; none where there is no bar.
    pub fn met(&self) -> Option<bool> {
        self.bar.map(|bar| self.judged(bar.of) <= bar.limit)
    }

    /// The row as it stands in the table.
    pub fn line(&self, day: &str) -> String {
        let show = |value: f64| {
            if value.fract() == 0.0 || value >= 100.0 {
                format!("{value:.0}")
            } else if value >= 10.0 {
                format!("{value:.1}")
            } else {
                format!("{value:.2}")
            }
        };
        let (bar, measured) = match self.bar {
            Some(bar) => {
                let of = match bar.of {
                    Of::Min => "least ",
                    Of::Median => "median ",
                    Of::P99 => "p99 ",
                    Of::Max => "",
                };
                let text = format!("{of}≤ {} {}", show(bar.limit), bar.unit);
                (text, self.judged(bar.of))
            }
            None => ("–".to_owned(), self.at(0.5)),
        };
        let met = match self.met() {
            Some(true) => "yes",
            Some(false) => "**missed**",
            None => "–",
        };
        format!(
            "| `{}` | {} | {bar} | {} {} | {met} | {} | {} | {} | {} | {} | {day} |",
            self.name,
            self.what,
            show(measured),
            self.unit,
            show(self.at(0.0)),
            show(self.at(0.5)),
            show(self.at(0.99)),
            show(self.at(1.0)),
            self.sorted.len(),
        )
    }
}

const HEAD: &str = "| name | what | bar | measured | met | min | median | p99 | max | samples | measured on |\n\
                    |---|---|---|---|---|---|---|---|---|---|---|\n";

/// Writes the rows to RESULTS.md and keeps those of the file that were not measured now.
pub fn write(path: &Path, rows: &[Row], order: &[&str]) -> Result<()> {
    let before = fs::read_to_string(path).unwrap_or_default();
    let day = Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
    let new: Vec<String> = rows.iter().map(|row| row.line(&day)).collect();
    let mut lines: Vec<&str> = before
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter(|old| rows.iter().all(|row| name_of(old) != row.name))
        .chain(new.iter().map(String::as_str))
        .collect();
    lines.sort_by_key(|line| {
        let name = name_of(line);
        let family = name.split('-').next().unwrap_or(name);
        (order.iter().position(|one| *one == family), name.len())
    });
    let text = format!(
        "# Benchmarks\n\n{}\n\n\
         `make bench` measures all of this, `scripts/bench.sh NAME…` one or some: {}. Figures of other days stay\n\
         until they are measured again. A time is as seen from outside the process, on a release build; p99 of\n\
         fewer than a hundred samples is their maximum.\n\n{HEAD}{}\n",
        machine(),
        order
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
        lines.join("\n"),
    );
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("Failed to make {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("Failed to write {}", path.display()))
}

/// The table of these rows alone.
pub fn table(rows: &[Row]) -> String {
    let lines: Vec<String> = rows.iter().map(|row| row.line("now")).collect();
    format!("{HEAD}{}\n", lines.join("\n"))
}

fn name_of(line: &str) -> &str {
    line.split('`').nth(1).unwrap_or_default()
}

/// The machine in a sentence.
pub(super) fn machine() -> String {
    let field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once([':', '=']));
        value.map_or_else(
            || "unknown".to_owned(),
            |(_, value)| value.trim().trim_matches('"').to_owned(),
        )
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal");
    let gib = memory
        .trim_end_matches(" kB")
        .parse::<u64>()
        .map_or(memory.clone(), |kib| format!("{} GiB", kib >> 20));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "Machine: {}, {cores} cores, {gib} of memory, {}, Linux {}; {}.",
        field("/proc/cpuinfo", "model name"),
        field("/etc/os-release", "PRETTY_NAME"),
        kernel.trim(),
        compiler(),
    )
}

fn compiler() -> String {
    let output = Command::new("rustc")
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "rustc unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bar: Bar, samples: &[f64]) -> Row {
        Row::of_samples("push", "a push", bar, samples.to_vec())
    }

    #[test]
    fn the_figure_that_the_bar_names_decides() {
        let samples: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(row(Bar::p99("ms", 198.0), &samples).met(), Some(true));
        assert_eq!(row(Bar::p99("ms", 197.0), &samples).met(), Some(false));
        assert_eq!(row(Bar::max("ms", 199.0), &samples).met(), Some(false));
        assert_eq!(row(Bar::median("ms", 100.0), &samples).met(), Some(true));
        assert_eq!(row(Bar::min("ms", 1.0), &samples).met(), Some(true));
        let read = Row::without_bar("push", "a push", "ms", samples);
        assert_eq!(read.met(), None);
    }

    #[test]
    fn a_missed_bar_is_said_in_its_row() {
        let line = row(Bar::p99("ms", 1.5), &[1.0, 2.0]).line("today");
        assert_eq!(
            line,
            "| `push` | a push | p99 ≤ 1.50 ms | 2 ms | **missed** | 1 | 1 | 2 | 2 | 2 | today |"
        );
    }

    #[test]
    fn rows_of_an_earlier_run_stay_until_they_are_measured_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench/RESULTS.md");
        let order = ["push", "sweep"];
        let one = |name, value| Row::of_one(name, "x", Bar::max("ms", 10.0), value);
        write(
            &path,
            &[one("sweep", 1.0), one("sweep-memory", 7.0)],
            &order,
        )
        .unwrap();
        write(&path, &[one("push", 2.0), one("sweep", 3.0)], &order).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let names: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(name_of)
            .collect();
        assert_eq!(names, ["push", "sweep", "sweep-memory"]);
        assert!(text.contains("| `sweep` | x | ≤ 10 ms | 3 ms |"), "{text}");
    }
}
