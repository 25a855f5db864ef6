//! The images, and why each is kept: what the last run of clean-up said.
//!
//! There is nothing here where the config has no section `cleanup`, and a
//! sentence in its place until the first run has ended.

use std::fmt::Display;

use amid_core::retention::{Cleaning, Stage, Verdict};
use jiff::Timestamp;

use super::html::{Html, html};
use super::{Outline, frame, words};
use crate::cleanup::{Handle, Run};

/// Images of one account and region that are listed; the API has them all.
const LISTED: usize = 500;
/// Reasons of one image that are listed.
const REASONS: usize = 4;

/// The whole page; `None` where nobody looks at images.
pub(super) fn page(cleanup: &Handle, version: &str, now: Timestamp) -> Option<Html> {
    if !cleanup.is_on() {
        return None;
    }
    let mut main = Html::new();
    html!(main, "<h1>Images</h1>{}", body(cleanup));
    let outline = Outline {
        title: "Images",
        events: "/events?page=images",
        version,
        images: true,
    };
    Some(frame(&outline, &main, now))
}

/// What every run of clean-up writes anew.
pub(super) fn body(cleanup: &Handle) -> Html {
    let mut out = Html::new();
    html!(out, "<div id=\"images\">");
    match cleanup.last() {
        None => html!(
            out,
            "<p class=\"empty\">The first run of clean-up has not ended yet.</p>"
        ),
        Some(run) => html!(out, "{}", whole(&run)),
    }
    html!(out, "</div>");
    out
}

fn whole(run: &Run) -> Html {
    let mut out = Html::new();
    html!(
        out,
        "<p class=\"meta\"><span>Looked at {}</span><span><a href=\"/api/v1/images\">as JSON</a></span></p>",
        words::moment(run.ended)
    );
    if let Some(stopped) = &run.stopped {
        html!(out, "<p class=\"alert\">{}</p>", words::marked(stopped));
    }
    for cleaning in &run.cleanings {
        html!(out, "{}", place(cleaning));
    }
    out
}

fn place(cleaning: &Cleaning) -> Html {
    let mut out = Html::new();
    html!(
        out,
        "<section class=\"images\"><h2>{}</h2>",
        cleaning.place.to_string()
    );
    for blocker in &cleaning.blockers {
        html!(
            out,
            "<div class=\"hold\"><p class=\"why\" data-reason=\"{}\">{}</p>",
            blocker.label(),
            words::marked(&blocker.to_string())
        );
        if let Some(frees) = blocker.frees() {
            html!(
                out,
                "<p class=\"frees\"><span>To free it:</span> {}</p>",
                words::frees(&frees)
            );
        }
        html!(out, "</div>");
    }
    // What is on its way out comes first, then by app and age.
    let mut images: Vec<&Verdict> = cleaning.images.iter().collect();
    images.sort_by_key(|one| {
        let newest = one.created.map(|at| std::cmp::Reverse(at.as_second()));
        (one.stage == Stage::Kept, one.app.clone(), newest)
    });
    html!(out, "{}", list(&images));
    html!(out, "</section>");
    out
}

/// The images of one app, wherever they lie; nothing where none is known.
pub(super) fn of_app(cleanup: &Handle, app: &str) -> Html {
    let mut out = Html::new();
    let Some(run) = cleanup.last() else {
        return out;
    };
    let mut images: Vec<&Verdict> = run
        .cleanings
        .iter()
        .flat_map(|cleaning| &cleaning.images)
        .filter(|one| one.app.as_ref().is_some_and(|of| of.as_str() == app))
        .collect();
    if images.is_empty() {
        return out;
    }
    images.sort_by_key(|one| std::cmp::Reverse(one.created));
    html!(
        out,
        "<section class=\"images\"><h2>Images</h2>{}</section>",
        list(&images)
    );
    out
}

fn list(images: &[&Verdict]) -> Html {
    let mut out = Html::new();
    html!(out, "<ul>");
    for image in images.iter().take(LISTED) {
        html!(out, "{}", item(image));
    }
    html!(out, "</ul>");
    let hidden = images.len().saturating_sub(LISTED);
    if hidden > 0 {
        html!(
            out,
            "<p class=\"meta\"><span>and {} more: <a href=\"/api/v1/images\">/api/v1/images</a></span></p>",
            hidden
        );
    }
    out
}

fn item(image: &Verdict) -> Html {
    let mut out = Html::new();
    let class = match image.stage {
        Stage::Kept => "steady",
        Stage::Stale | Stage::Deprecated | Stage::Disabled => "held",
    };
    html!(
        out,
        "<li data-key=\"{}\"><p class=\"subject\"><code>{}</code> <bdi>{}</bdi> <span class=\"chip {}\">{}</span></p><p class=\"meta\">",
        image.ami.as_str(),
        image.ami.as_str(),
        image.name,
        class,
        image.stage.label()
    );
    if let Some(app) = &image.app {
        html!(
            out,
            "<span><a href=\"/apps/{}\">{}</a></span>",
            app.as_str(),
            app.as_str()
        );
    }
    if let Some(created) = image.created {
        html!(out, "<span>made {}</span>", words::moment(created));
    }
    if let Some(since) = image.since {
        html!(
            out,
            "<span>{} since {}</span>",
            image.stage.label(),
            words::moment(since)
        );
    }
    if image.bytes > 0 {
        html!(out, "<span>{}</span>", gibibytes(image.bytes));
    }
    html!(out, "</p><ul class=\"reasons\">");
    for keep in image.keeps.iter().take(REASONS) {
        html!(out, "{}", reason(keep.label(), keep));
    }
    let hidden = image.keeps.len().saturating_sub(REASONS);
    if hidden > 0 {
        html!(out, "<li>and {} more reasons</li>", hidden);
    }
    if let Some(wait) = &image.wait {
        html!(out, "{}", reason(wait.label(), wait));
    }
    if let Some(action) = image.action {
        html!(out, "{}", reason(action.label(), action));
    }
    html!(out, "</ul></li>");
    out
}

fn reason(label: &str, says: impl Display) -> Html {
    let mut out = Html::new();
    html!(
        out,
        "<li data-reason=\"{}\">{}</li>",
        label,
        words::marked(&says.to_string())
    );
    out
}

/// A size as AWS names it, with one digit behind the point.
fn gibibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 30;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}
