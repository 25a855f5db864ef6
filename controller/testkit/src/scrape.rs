//! A scrape of `/metrics`, to be asked for what it says.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// One series with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name, with `_bucket`, `_sum` or `_count` where it has that.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// All series of one moment.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    /// In their order.
    pub series: Vec<Series>,
    /// As it came.
    pub text: String,
}

impl Scrape {
    /// Reads the text format. Label values of `amid` hold nothing that is escaped.
    pub fn read(text: &str) -> Result<Scrape> {
        let mut series = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let one = read_line(line).with_context(|| format!("No series: {line}"))?;
            series.push(one);
        }
        let text = text.to_owned();
        Ok(Scrape { series, text })
    }

    /// Those with this name and these labels, whatever other labels they have.
    pub fn all<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Series> {
        self.series.iter().filter(move |one| {
            one.name == name
                && labels
                    .iter()
                    .all(|(label, value)| one.labels.get(*label).is_some_and(|of| of == value))
        })
    }

    /// Their sum; nothing where there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut values = self.all(name, labels).map(|one| one.value).peekable();
        values.peek()?;
        Some(values.sum())
    }
}

fn read_line(line: &str) -> Option<Series> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let labels = labels
        .split("\",")
        .filter(|label| !label.is_empty())
        .map(|label| {
            let (name, value) = label.split_once("=\"")?;
            Some((name.to_owned(), value.trim_end_matches('"').to_owned()))
        });
    Some(Series {
        name: name.to_owned(),
        labels: labels.collect::<Option<_>>()?,
        value: value.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_and_summed_by_their_labels() {
        let text =
            "# HELP a A.\n# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4.5\nb 7\n";
        let scrape = Scrape::read(text).unwrap();
        assert_eq!(scrape.sum("a", &[("x", "1")]), Some(7.5));
        assert_eq!(scrape.sum("a", &[("y", "3")]), Some(4.5));
        assert_eq!(scrape.sum("a", &[("y", "4")]), None);
        assert_eq!(scrape.sum("b", &[]), Some(7.0));
        assert!(Scrape::read("no value").is_err());
    }
}
