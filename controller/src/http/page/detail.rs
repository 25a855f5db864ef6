//! One app: the same card as in the list, its instances, its history.

use amid_core::history::Outcome;
use amid_core::history::deployments::Deployment;
use jiff::Timestamp;

use super::html::{Html, html};
use super::words::{self, Kind};
use super::{Outline, fleet, frame, images, roll};
use crate::cleanup::Handle;
use crate::status::{App, Release, Status};

/// Instances of one group that are listed.
const ROWS: usize = 200;

/// The whole page of `app`.
pub(super) fn page(
    status: &Status,
    app: &App,
    version: &str,
    cleanup: &Handle,
    now: Timestamp,
) -> Html {
    let mut main = Html::new();
    let web = words::web(&status.repository);
    html!(
        main,
        "<nav class=\"back\" aria-label=\"Where you are\"><a href=\"/\">All apps</a></nav>{}",
        body(app, web.as_deref(), cleanup, now)
    );
    let outline = Outline {
        title: &app.app,
        events: &format!("/events?app={}", app.app),
        version,
        images: cleanup.is_on(),
    };
    frame(&outline, &main, now)
}

/// What a name that is no app's gets.
pub(super) fn missing(name: &str, now: Timestamp) -> Html {
    let mut main = Html::new();
    html!(
        main,
        "<h1>No such app</h1><p>There is no app <code>{}</code>. <a href=\"/\">All apps</a></p>",
        name.chars().take(80).collect::<String>()
    );
    let outline = Outline {
        title: "No such app",
        ..Outline::default()
    };
    frame(&outline, &main, now)
}

/// What is refreshed.
pub(super) fn body(app: &App, web: Option<&str>, cleanup: &Handle, now: Timestamp) -> Html {
    let mut out = Html::new();
    let kind = Kind::of(app);
    html!(
        out,
        "<div id=\"detail\"><section class=\"app {} whole\">{}{}",
        kind.name(),
        fleet::title(app, false),
        fleet::card(app, web, now)
    );
    html!(out, "</section>{}{}", facts(app), history(app, web));
    for release in &app.releases {
        html!(out, "{}", instances(release));
    }
    html!(out, "{}", images::of_app(cleanup, &app.app));
    html!(
        out,
        "<p class=\"raw\"><a href=\"/api/v1/apps/{}\">As JSON</a> · <a href=\"/api/v1/apps/{}/history\">history as JSON</a></p></div>",
        app.app,
        app.app
    );
    out
}

fn facts(app: &App) -> Html {
    let mut out = Html::new();
    html!(out, "<dl class=\"facts\">");
    let desired = app.desired.as_ref();
    for (name, value) in [
        ("Owner", app.owner.as_deref()),
        ("Account", app.account.as_deref()),
        ("Region", app.region.as_deref()),
        ("Unit", app.unit.as_deref()),
        (
            "Desired release",
            desired.map(|desired| desired.key.as_str()),
        ),
    ] {
        if let Some(value) = value {
            html!(out, "<div><dt>{}</dt><dd>{}</dd></div>", name, value);
        }
    }
    for release in &app.releases {
        html!(
            out,
            "<div><dt>Group</dt><dd>{}, size {}–{}, desired {}</dd></div>",
            release.group,
            release.min,
            release.max,
            release.desired
        );
    }
    html!(out, "</dl>");
    out
}

fn instances(release: &Release) -> Html {
    let mut out = Html::new();
    if release.instances.is_empty() {
        return out;
    }
    html!(
        out,
        "<section class=\"instances\" data-key=\"{}\"><h2>Instances of <code>{}</code></h2>\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Instances of {}\"><table>\
         <thead><tr><th scope=\"col\">Instance</th><th scope=\"col\">In its group</th><th scope=\"col\">In its target groups</th><th scope=\"col\">Counts</th></tr></thead><tbody>",
        release.key,
        release.key,
        release.key
    );
    for instance in release.instances.iter().take(ROWS) {
        let (class, _) = roll::dot(instance, release.role);
        html!(
            out,
            "<tr data-key=\"{}\"><td><i class=\"dot {}\"></i> <code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            instance.id,
            class,
            instance.id,
            instance.lifecycle,
            instance.target.as_deref().unwrap_or("not asked"),
            if instance.healthy { "yes" } else { "no" }
        );
    }
    html!(out, "</tbody></table></div>");
    let hidden = release.instances.len().saturating_sub(ROWS);
    if hidden > 0 {
        html!(out, "<p>and {} more</p>", hidden);
    }
    html!(out, "</section>");
    out
}

fn history(app: &App, web: Option<&str>) -> Html {
    let mut out = Html::new();
    html!(out, "<section class=\"history\"><h2>History</h2>");
    if app.history.newest_first().len() == 0 {
        html!(
            out,
            "<p class=\"empty\">No commit has asked anything of it since this daemon's journal began.</p>"
        );
    } else {
        html!(out, "<ol>");
        for one in app.history.newest_first() {
            html!(out, "{}", deployment(app, one, web));
        }
        html!(out, "</ol>");
    }
    html!(out, "</section>");
    out
}

fn deployment(app: &App, one: &Deployment, web: Option<&str>) -> Html {
    let mut out = Html::new();
    let (class, words) = match one.outcome {
        Some(Outcome::Applied) => ("applied", "applied"),
        Some(Outcome::Superseded) => ("superseded", "superseded"),
        Some(Outcome::Rejected) => ("failed", "rejected"),
        Some(Outcome::FailedReverted) => ("failed", "failed and reverted"),
        Some(Outcome::FailedNotReverted) => ("failed", "failed, not reverted"),
        None => ("open", "under way"),
    };
    html!(
        out,
        "<li class=\"{}\" data-key=\"{}\"><p class=\"subject\">{} <bdi>{}</bdi></p><p class=\"meta\"><span class=\"chip {}\">{}</span>",
        class,
        one.commit.as_str(),
        words::commit(one.commit.as_str(), web),
        one.subject.as_deref().unwrap_or("no subject"),
        class,
        words
    );
    if let Some(author) = &one.author {
        html!(out, "<span><bdi>{}</bdi></span>", author);
    }
    html!(out, "<span>{}</span>", words::moment(one.asked));
    if let Some(took) = one.took() {
        html!(out, "<span>took {}</span>", words::span(took.as_secs()));
    }
    if let Some(healthy) = one.healthy {
        let after = healthy.duration_since(one.asked).as_secs();
        html!(out, "<span>healthy after {}</span>", words::span(after));
    }
    if let Some(ami) = &one.ami {
        html!(out, "<span><code>{}</code></span>", ami.as_str());
    }
    let is_live = |key: &str| app.releases.iter().any(|release| release.key == key);
    if one.key.as_ref().is_some_and(|key| is_live(key.as_str())) {
        html!(out, "<span class=\"live\">there now</span>");
    }
    html!(out, "</p>");
    if let Some(why) = &one.why {
        html!(out, "<p class=\"why\">{}</p>", words::marked(why));
    }
    if let Some(revert) = &one.reverted_by {
        html!(
            out,
            "<p class=\"meta\"><span>reverted by {}</span></p>",
            words::commit(revert.as_str(), web)
        );
    }
    html!(out, "</li>");
    out
}
