//! Small things that are made of text: times, links, and the command in a
//! sentence.

use jiff::Timestamp;

use amid_core::decide::Phase;

use super::html::{Html, html};
use crate::status::{App, Repository, Sentence};

/// Where an app stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Something stands still.
    Held,
    /// A roll is under way.
    Rolling,
    /// Nothing is to be done.
    Steady,
    /// No pass has come to it yet.
    Unseen,
}

impl Kind {
    pub(super) fn of(app: &App) -> Self {
        match app.phase {
            _ if !app.held.is_empty() => Self::Held,
            Phase::Held => Self::Held,
            Phase::Steady if app.state.is_none() => Self::Unseen,
            Phase::Steady => Self::Steady,
            _ => Self::Rolling,
        }
    }

    /// The class, and the value of the filter.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Rolling => "rolling",
            Self::Steady => "steady",
            Self::Unseen => "unseen",
        }
    }

    /// What the list is sorted by.
    pub(super) fn rank(self) -> u32 {
        match self {
            Self::Held => 0,
            Self::Rolling => 1,
            Self::Steady | Self::Unseen => 2,
        }
    }
}

/// The word on an app's chip.
pub(super) fn chip(app: &App) -> &'static str {
    match app.phase {
        Phase::Steady if app.state.is_none() && app.held.is_empty() => "Not seen yet",
        Phase::Steady => "Steady",
        Phase::Adding => "Adding",
        Phase::Starting => "Starting",
        Phase::Baking => "Baking",
        Phase::Draining => "Draining",
        Phase::Removing => "Removing",
        Phase::GivingUp => "Giving up",
        Phase::Held => "Held",
    }
}

/// A moment as people of all zones read it; the script makes it relative.
pub(super) fn moment(at: Timestamp) -> Html {
    let mut out = Html::new();
    html!(
        out,
        "<time class=\"ago\" datetime=\"{}\">{}</time>",
        machine(at),
        at.strftime("%Y-%m-%d %H:%M UTC").to_string()
    );
    out
}

/// A moment as programs read it.
pub(super) fn machine(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// A span in at most two units: `42 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub(super) fn span(seconds: i64) -> String {
    let two = |big: i64, unit: &str, small: i64, less: &str| match small {
        0 => format!("{big} {unit}"),
        _ => format!("{big} {unit} {small} {less}"),
    };
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(minutes, "min", seconds % 60, "s"),
        3600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// The web address of the repository, where its address tells it. Nothing is
/// made of a path, and nothing but http and https comes out, so that a link
/// cannot be a script.
pub(super) fn web(repository: &Repository) -> Option<String> {
    let url = repository.url.trim_end_matches('/');
    let url = url.strip_suffix(".git").unwrap_or(url);
    if url.starts_with("https://") || url.starts_with("http://") {
        return Some(url.to_owned());
    }
    let (host, path) = match url.strip_prefix("ssh://") {
        Some(rest) => rest.split_once('/')?,
        // As scp writes it: `git@host:owner/name`.
        None => url.split_once(':').filter(|(host, _)| {
            !host.contains('/') && host.contains('.') && !host.ends_with("://")
        })?,
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split(':').next().unwrap_or(host);
    (!host.is_empty() && !path.starts_with('/')).then(|| format!("https://{host}/{path}"))
}

/// A commit's short id, a link where there is something to link to.
pub(super) fn commit(id: &str, web: Option<&str>) -> Html {
    let mut out = Html::new();
    let short = id.get(..8).unwrap_or(id);
    match web {
        Some(web) => {
            let middle = if web.contains("gitlab") {
                "/-/commit/"
            } else {
                "/commit/"
            };
            html!(
                out,
                "<a class=\"commit\" href=\"{}{}{}\" rel=\"noreferrer\"><code>{}</code></a>",
                web,
                middle,
                id,
                short
            );
        }
        None => html!(
            out,
            "<code class=\"commit\" title=\"{}\">{}</code>",
            id,
            short
        ),
    }
    out
}

/// A reason's sentence. It stands alone here, so it begins like one.
pub(super) fn sentence(said: &Sentence) -> Html {
    let mut out = Html::new();
    html!(
        out,
        "<p class=\"why\" data-reason=\"{}\">{}</p>",
        said.label,
        marked(&said.text)
    );
    out
}

/// A text whose parts in backticks are code.
pub(super) fn marked(text: &str) -> Html {
    let mut out = Html::new();
    for (is_code, part) in pieces(text) {
        if is_code {
            html!(out, "<code>{}</code>", part);
        } else {
            html!(out, "{}", part);
        }
    }
    out
}

/// What frees a hold, its commands ready to be copied.
pub(super) fn frees(text: &str) -> Html {
    let mut out = Html::new();
    let (command, rest) = leading_command(text);
    if let Some(command) = command {
        html!(out, "{}", copyable(command));
    }
    for (is_code, part) in pieces(rest) {
        if is_code && is_command(part) {
            html!(out, "{}", copyable(part));
        } else if is_code {
            html!(out, "<code>{}</code>", part);
        } else {
            html!(out, "{}", part);
        }
    }
    out
}

/// A command that a sentence begins with, and what is left of it.
fn leading_command(text: &str) -> (Option<&str>, &str) {
    let first = text.split([',', ';']).next().unwrap_or(text);
    // A sentence may go on with words: `amid status web shows the groups`.
    let is_whole = first.starts_with("amid ") && first.split(' ').count() <= 3;
    if is_whole {
        (Some(first), text.get(first.len()..).unwrap_or_default())
    } else {
        (None, text)
    }
}

/// Whether it can be run as it stands: `git revert` alone is a mention.
fn is_command(code: &str) -> bool {
    let programs = ["amid ", "git ", "terragrunt ", "terraform "];
    let is_run = programs.iter().any(|program| code.starts_with(program));
    is_run && code.split(' ').count() > 2
}

fn copyable(command: &str) -> Html {
    let mut out = Html::new();
    html!(
        out,
        "<span class=\"command\"><code>{}</code><button type=\"button\" class=\"copy\" data-copy=\"{}\" aria-label=\"Copy {}\">Copy</button></span>",
        command,
        command,
        command
    );
    out
}

/// The parts of a text: whether each stands in backticks.
fn pieces(text: &str) -> impl Iterator<Item = (bool, &str)> {
    // A backtick without its fellow is none.
    let pairs = text.matches('`').count() / 2 * 2;
    let mut splits = text.splitn(pairs + 1, '`').enumerate();
    std::iter::from_fn(move || splits.next().map(|(at, part)| (at % 2 == 1, part)))
        .filter(|(_, part)| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web_of(url: &str) -> Option<String> {
        web(&Repository {
            url: url.to_owned(),
            ..Repository::default()
        })
    }

    #[test]
    fn a_repository_has_a_web_address_or_none() {
        for (url, want) in [
            ("https://github.com/o/r.git", Some("https://github.com/o/r")),
            ("http://git.local/o/r/", Some("http://git.local/o/r")),
            ("git@github.com:o/r.git", Some("https://github.com/o/r")),
            (
                "ssh://git@host.example:2222/o/r.git",
                Some("https://host.example/o/r"),
            ),
            ("/srv/git/desired.git", None),
            ("../desired", None),
            ("javascript:alert(1)", None),
            ("file:///srv/git", None),
            ("", None),
        ] {
            assert_eq!(web_of(url).as_deref(), want, "{url}");
        }
    }

    #[test]
    fn the_command_that_frees_a_hold_can_be_copied() {
        let commands = |text: &str| -> Vec<String> {
            let html = frees(text).into_string();
            html.split("data-copy=\"")
                .skip(1)
                .filter_map(|rest| rest.split('"').next().map(str::to_owned))
                .collect()
        };
        for (text, want) in [
            ("amid resume demo/web", vec!["amid resume demo/web"]),
            (
                "amid approve 1f2e, or push a branch",
                vec!["amid approve 1f2e"],
            ),
            (
                "`git revert` the commit, or try it again with `amid restart web`",
                vec!["amid restart web"],
            ),
            (
                "correct desired/web.json, `amid validate` shows every mistake",
                vec![],
            ),
            (
                "amid status web shows the groups; then `amid reconcile web`",
                vec!["amid reconcile web"],
            ),
            ("correct `targets` in the config", vec![]),
        ] {
            assert_eq!(commands(text), want, "{text}");
        }
    }

    #[test]
    fn backticks_make_code_and_a_lone_one_stays() {
        let html = |text| marked(text).into_string();
        assert_eq!(html("a `b` c"), "a <code>b</code> c");
        assert_eq!(html("a `b c"), "a `b c");
        assert_eq!(html("`<b>`"), "<code>&lt;b&gt;</code>");
        assert_eq!(html("`a` `b"), "<code>a</code> `b");
    }

    #[test]
    fn spans_have_at_most_two_units() {
        for (seconds, want) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (185, "3 min 5 s"),
            (7800, "2 h 10 min"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(span(seconds), want);
        }
    }
}
