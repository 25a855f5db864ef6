//! The list of all apps, and the line above it.

use jiff::Timestamp;

use super::html::{Html, html};
use super::words::{self, Kind};
use super::{Outline, frame, roll};
use crate::status::{App, Status};

/// What the address asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// Words that an app's line has to hold.
    pub(super) words: String,
    /// One kind of apps, or all.
    pub(super) kind: Option<&'static str>,
}

impl Filter {
    /// From the values of `q` and `show`; what is unknown means nothing.
    pub(super) fn new(q: Option<String>, show: Option<&str>) -> Self {
        let kinds = [Kind::Held, Kind::Rolling, Kind::Steady];
        Self {
            words: q.unwrap_or_default().chars().take(200).collect(),
            kind: kinds
                .into_iter()
                .map(Kind::name)
                .find(|name| Some(*name) == show),
        }
    }

    fn takes(&self, app: &App) -> bool {
        let kind = Kind::of(app);
        let fits = self.kind.is_none_or(|wanted| wanted == kind.name());
        let haystack = haystack(app).to_lowercase();
        fits && self
            .words
            .to_lowercase()
            .split_whitespace()
            .all(|word| haystack.contains(word))
    }
}

/// What a search looks through.
fn haystack(app: &App) -> String {
    let mut parts = vec![app.app.as_str(), words::chip(app)];
    parts.extend(app.owner.as_deref());
    if let Some(desired) = &app.desired {
        parts.extend([desired.ami.as_str(), desired.key.as_str(), &desired.commit]);
        parts.extend(desired.version.as_deref());
        parts.extend(desired.author.as_deref());
    }
    for release in &app.releases {
        parts.push(&release.key);
        parts.extend(release.ami.as_deref());
    }
    parts.join(" ")
}

/// The whole page.
pub(super) fn page(
    status: &Status,
    filter: &Filter,
    outline: &Outline<'_>,
    now: Timestamp,
) -> Html {
    let mut main = Html::new();
    html!(
        main,
        "<h1 class=\"spoken\">What runs where, and why</h1>{}{}",
        head(status, filter),
        controls(filter)
    );
    if status.apps.is_empty() {
        html!(
            main,
            "<p class=\"empty\" id=\"first\">No app yet: the first manifest below <code>desired/</code> makes one.</p>"
        );
    }
    let web = words::web(&status.repository);
    let mut apps: Vec<&App> = status.apps.iter().collect();
    apps.sort_by(|a, b| (Kind::of(a).rank(), &a.app).cmp(&(Kind::of(b).rank(), &b.app)));
    html!(main, "<ul id=\"apps\" aria-label=\"Apps\">");
    for app in apps {
        html!(
            main,
            "{}",
            item(app, web.as_deref(), now, !filter.takes(app))
        );
    }
    html!(
        main,
        "</ul><p class=\"empty\" id=\"none\" hidden>No app matches.</p>"
    );
    frame(outline, &main, now)
}

/// Counts and the repository; refreshed as a whole.
pub(super) fn head(status: &Status, filter: &Filter) -> Html {
    let mut out = Html::new();
    let count = |kind: Kind| {
        status
            .apps
            .iter()
            .filter(|app| Kind::of(app) == kind)
            .count()
    };
    html!(
        out,
        "<div id=\"head\"><nav class=\"tiles\" aria-label=\"Filter\">"
    );
    for (kind, name, count) in [
        (None, "Apps", status.apps.len()),
        (Some(Kind::Held), "Held", count(Kind::Held)),
        (Some(Kind::Rolling), "Rolling", count(Kind::Rolling)),
        (Some(Kind::Steady), "Steady", count(Kind::Steady)),
    ] {
        let show = kind.map_or("", Kind::name);
        let current = if filter.kind.unwrap_or_default() == show {
            "true"
        } else {
            "false"
        };
        html!(
            out,
            "<a class=\"tile {}\" href=\"/?show={}\" data-show=\"{}\" aria-current=\"{}\"><b>{}</b> {}</a>",
            show,
            show,
            show,
            current,
            count,
            name
        );
    }
    let releases = || status.apps.iter().flat_map(|app| &app.releases);
    let healthy: u64 = releases().map(|release| u64::from(release.healthy)).sum();
    let desired: u64 = releases().map(|release| u64::from(release.desired)).sum();
    html!(
        out,
        "<p class=\"tile\"><b>{}</b> of {} instances healthy</p></nav>{}</div>",
        healthy,
        desired,
        repository(status)
    );
    out
}

fn repository(status: &Status) -> Html {
    let mut out = Html::new();
    let repository = &status.repository;
    html!(out, "<p class=\"repository\">");
    if let Some(accepted) = &repository.accepted {
        let web = words::web(repository);
        html!(
            out,
            "{} at {}",
            repository.branch,
            words::commit(accepted, web.as_deref())
        );
    } else {
        html!(out, "The repository has not been read yet");
    }
    if let Some(fetched) = repository.fetched {
        html!(out, " · git read {}", words::moment(fetched));
    }
    if let Some(swept) = status.swept {
        html!(out, " · AWS looked at {}", words::moment(swept));
    }
    html!(out, "</p>");
    if let Some(error) = &repository.error {
        html!(
            out,
            "<p class=\"alert\">The repository cannot be read: {}</p>",
            error
        );
    }
    if let Some(held) = &repository.held {
        html!(out, "{}", hold(held));
    }
    for problem in &repository.problems {
        html!(out, "<p class=\"alert\">{}</p>", problem);
    }
    out
}

fn controls(filter: &Filter) -> Html {
    let mut out = Html::new();
    html!(
        out,
        "<form class=\"search\" method=\"get\" action=\"/\" role=\"search\">\
         <input type=\"search\" name=\"q\" value=\"{}\" placeholder=\"Search by app, owner, image, commit\" aria-label=\"Search\" autocomplete=\"off\" spellcheck=\"false\">\
         <input type=\"hidden\" name=\"show\" value=\"{}\"><button type=\"submit\">Search</button></form>",
        filter.words,
        filter.kind.unwrap_or_default()
    );
    out
}

/// One app in the list: a line while it is steady, else a card.
pub(super) fn item(app: &App, web: Option<&str>, now: Timestamp, hidden: bool) -> Html {
    let mut out = Html::new();
    let kind = Kind::of(app);
    html!(
        out,
        "<li class=\"app {}\" id=\"app-{}\" data-sort=\"{} {}\" data-kind=\"{}\" data-find=\"{}\"",
        kind.name(),
        app.app,
        kind.rank(),
        app.app,
        kind.name(),
        haystack(app).to_lowercase()
    );
    if hidden {
        html!(out, " hidden");
    }
    html!(out, ">{}", title(app, true));
    match kind {
        Kind::Steady | Kind::Unseen => html!(out, "{}", line(app)),
        Kind::Held | Kind::Rolling => html!(out, "{}", card(app, web, now)),
    }
    html!(out, "</li>");
    out
}

/// The name, the chip, the owner.
pub(super) fn title(app: &App, link: bool) -> Html {
    let mut out = Html::new();
    let (folder, name) = match app.app.rsplit_once('/') {
        Some((folder, name)) => (format!("{folder}/"), name),
        None => (String::new(), app.app.as_str()),
    };
    let mut shown = Html::new();
    html!(shown, "<span class=\"folder\">{}</span>{}", folder, name);
    html!(out, "<div class=\"title\">");
    if link {
        html!(out, "<h2><a href=\"/apps/{}\">{}</a></h2>", app.app, shown);
    } else {
        html!(out, "<h1>{}</h1>", shown);
    }
    html!(
        out,
        "<span class=\"chip {}\">{}</span>",
        chip_class(app),
        words::chip(app)
    );
    if let Some(owner) = &app.owner {
        html!(out, "<span class=\"owner\"><bdi>{}</bdi></span>", owner);
    }
    if Kind::of(app) != Kind::Unseen {
        html!(
            out,
            "<span class=\"since\">{}</span>",
            words::moment(app.since)
        );
    }
    html!(out, "</div>");
    out
}

fn chip_class(app: &App) -> &'static str {
    match app.phase {
        amid_core::decide::Phase::GivingUp => "failing",
        _ => Kind::of(app).name(),
    }
}

/// What a steady app shows.
fn line(app: &App) -> Html {
    let mut out = Html::new();
    html!(out, "<p class=\"image\">");
    if let Some(desired) = &app.desired {
        if let Some(version) = &desired.version {
            html!(out, "<b>{}</b> ", version);
        }
        html!(out, "<code>{}</code>", desired.ami);
    }
    html!(out, "</p>");
    for release in &app.releases {
        html!(out, "{}", roll::dots(release));
    }
    // That it is as git asks is said by where it stands; else it is said.
    if let Some(said) = app.state.as_ref().filter(|said| said.label != "as_desired") {
        html!(out, "{}", words::sentence(said));
    }
    html!(out, "{}", notes(app));
    out
}

/// What an app shows that is not steady.
pub(super) fn card(app: &App, web: Option<&str>, now: Timestamp) -> Html {
    let mut out = Html::new();
    for held in &app.held {
        html!(out, "{}", hold(held));
    }
    // A hold that stands alone has no other sentence.
    if let Some(said) = &app.state
        && !app.held.iter().any(|held| held.text == said.text)
        && app.phase != amid_core::decide::Phase::Held
    {
        html!(out, "{}", words::sentence(said));
    }
    html!(out, "{}", notes(app));
    if let Some(running) = &app.running {
        html!(out, "<p class=\"running\">terragrunt {}</p>", running);
    }
    html!(out, "{}{}", asked(app, web), roll::picture(app, now));
    out
}

/// What people should know, though nothing stands still for it.
fn notes(app: &App) -> Html {
    let mut out = Html::new();
    for note in &app.notes {
        html!(
            out,
            "<p class=\"note\" data-reason=\"{}\">{}</p>",
            note.label,
            words::marked(&note.text)
        );
    }
    out
}

/// What stands still, and what frees it.
fn hold(held: &crate::status::Sentence) -> Html {
    let mut out = Html::new();
    html!(out, "<div class=\"hold\">{}", words::sentence(held));
    if let Some(frees) = &held.frees {
        html!(
            out,
            "<p class=\"frees\"><span>To free it:</span> {}</p>",
            words::frees(frees)
        );
    }
    html!(out, "</div>");
    out
}

/// The commit that asks for what git asks for.
pub(super) fn asked(app: &App, web: Option<&str>) -> Html {
    let mut out = Html::new();
    let Some(desired) = &app.desired else {
        return out;
    };
    html!(out, "<p class=\"asked\">Git asks for ");
    if let Some(version) = &desired.version {
        html!(out, "<b>{}</b> ", version);
    }
    html!(out, "<code>{}</code>", desired.ami);
    if !desired.commit.is_empty() {
        html!(out, " by {}", words::commit(&desired.commit, web));
    }
    if let Some(subject) = &desired.subject {
        html!(out, " <bdi>{}</bdi>", subject);
    }
    if let Some(author) = &desired.author {
        html!(out, " <span class=\"author\"><bdi>{}</bdi></span>", author);
    }
    html!(out, "</p>");
    out
}
